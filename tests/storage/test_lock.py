"""One command at a time on an experiment; who was killed holds nobody up."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError, Unwritable
from prunebench.storage.lock import Lock, locked

HOLD = "import sys; from prunebench.storage.lock import Lock; from pathlib import Path\n"
HOLD += "lock = Lock(Path(sys.argv[1])); lock.require(); print('held', flush=True); input()"


def test_a_second_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with locked(tmp_path / "x"):
        second = Lock(tmp_path / "x")
        assert not second.taken
        with pytest.raises(PrunebenchError, match=rf"at work on it \(process {os.getpid()}\)"):
            second.require()
        with locked(tmp_path / "y"):  # another experiment
            pass
    with locked(tmp_path / "x"):
        pass


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(PrunebenchError, match=f"process {holder.pid}"), locked(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_where_nothing_can_be_written_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lock = Lock(tmp_path / "file" / "x")
    assert not lock.taken
    with pytest.raises(Unwritable, match=r"cannot write .*\.lock: Not a directory"):
        lock.require()


@pytest.mark.parametrize("fault", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_there_are_no_locks_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(fault))
    lock = Lock(tmp_path)
    assert lock.taken
    lock.require()
    lock.release()


def test_another_fault_of_the_file_system_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    with pytest.raises(PrunebenchError, match="cannot write"):
        Lock(tmp_path).require()


def refusing(fault: int) -> Any:
    def flock(*_: Any) -> None:
        raise OSError(fault, "as the file system says")

    return flock
