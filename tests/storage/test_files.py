"""Files that are whole or absent."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from prunebench.errors import PrunebenchError
from prunebench.storage.files import (
    read_json,
    read_sealed,
    read_text,
    replacing,
    sha256_file,
    write_json,
    write_sealed,
    write_text,
)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    write_text(path, "old")
    write_text(path, "größer")
    assert path.read_bytes() == "größer".encode()
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_an_exception_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    for fault in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(fault), replacing(path) as temporary:  # noqa: PT012
            temporary.write_text("ne")
            assert path.read_text() == "old"
            raise fault
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_a_message(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with (
        pytest.raises(PrunebenchError, match=r"cannot write .*a\.txt: No space left"),
        replacing(path),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(PrunebenchError, match=r"cannot write .*: (Not a directory|File exists)"):
        write_text(file / "folder" / "a.txt", "x")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(PrunebenchError, match=r"cannot write .*folder: Is a directory"):
        write_text(tmp_path / "folder", "x")
    with pytest.raises(PrunebenchError, match="File name too long"):
        write_text(tmp_path / ("x" * 300), "x")


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "a", "x")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
        assert os.umask(0o022) == 0o022  # left as it was
    finally:
        os.umask(before)


def test_json_comes_back_and_says_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    value = {"a": [1, 2.5, None, True, "ü\n"], "b": {}}
    write_json(path, value)
    assert read_json(path) == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"x": float("nan")})
    assert read_json(path) == value


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"a": 1', b"\xff\xfe", b"[" * 200_000, b"9" * 5000]
)
def test_damaged_json_is_named(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(damage)
    with pytest.raises(PrunebenchError, match=r"a\.json is damaged"):
        read_json(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"a\.json: No such file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(PrunebenchError, match="Is a directory"):
        read_text(tmp_path)


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 300_000)
    assert sha256_file(path) == hashlib.sha256(b"x" * 300_000).hexdigest()


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path, other = tmp_path / "a.txt", tmp_path / ".a.txt.notes"
    other.write_text("not ours")
    code = (
        "import os, sys; from prunebench.storage.files import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    (left,) = (p for p in tmp_path.iterdir() if p != other)
    assert left.read_text() == "half"
    with replacing(path) as at_work:
        assert not left.exists()
        at_work.write_text("mine")
        write_text(path, "another's")  # at the same time: it does not touch what is in work
        assert at_work.exists()
    assert path.read_text() == "mine"
    assert {p.name for p in tmp_path.iterdir()} == {"a.txt", other.name}


def test_file_and_folder_are_synced_before_anybody_relies_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, order = tmp_path / "a.txt", []
    sync = os.fsync

    def fsync(handle: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    rename = Path.replace
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (order.append("rename"), rename(self, to))[1]
    )
    write_text(path, "x")
    assert order == ["file", "rename", "folder"]


def test_a_seal_shows_every_change(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    value = {"b": [1, 2.5, None, "ü"], "a": {"y": 1e-300, "x": True}}
    write_sealed(path, value)
    assert read_sealed(path) == value
    content = path.read_bytes()
    for place in range(0, len(content), 3):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        try:
            assert read_sealed(path) == value  # a space for another says the same
        except PrunebenchError as error:
            assert "is damaged" in str(error)  # noqa: PT017
    path.write_bytes(content[:-1])
    with pytest.raises(PrunebenchError, match="its end is missing"):
        read_sealed(path)
    path.write_text("[1]")
    with pytest.raises(PrunebenchError, match="has no sha256"):
        read_sealed(path)


def test_a_file_of_holes_is_not_read_into_memory(tmp_path: Path) -> None:
    """An archive of some bytes may hold a file of terabytes."""
    path = tmp_path / "record.json"
    with path.open("wb") as file:
        file.truncate(2**42)
    for read in (read_text, read_json, read_sealed):
        with pytest.raises(PrunebenchError, match=r"record\.json is larger than 256 MiB: not read"):
            read(path)
