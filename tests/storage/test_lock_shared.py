"""The lock of an experiment on file systems that know none, as some of NFS and Lustre."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.storage.lock import Lock


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
