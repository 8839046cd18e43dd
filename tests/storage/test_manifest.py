"""Manifests: both forms are read, damage is named, files may be missing on purpose."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prunebench.storage.files import read_sealed, sha256_file, write_sealed, write_text
from prunebench.storage.hashing import digest
from prunebench.storage.layout import RECORD, REMOVED
from prunebench.storage.manifest import Manifest, removal, remove_files


@pytest.fixture(params=["hash", "size and hash"])
def manifest(tmp_path: Path, request: pytest.FixtureRequest) -> Manifest:
    """A manifest of ``a`` and ``b/c``, in the form of a record and in that of a step."""
    files = [tmp_path / "a", tmp_path / "b" / "c"]
    for path in files:
        write_text(path, f"{path.name}\n")
    found = Manifest(tmp_path / RECORD, tmp_path)
    found.write(files)
    if request.param == "hash":
        hashes = {name: sha for name, (_, sha) in read_sealed(found.path)["files"].items()}
        write_sealed(found.path, {"files": hashes})
    return found


def test_files_are_compared_with_what_was_written(manifest: Manifest) -> None:
    first, second = sorted(manifest.listed() or ())
    assert manifest.damaged() == manifest.damaged(thorough=True) == []
    times = first.stat()
    write_text(first, "x\n")
    assert manifest.damaged() == [first]
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))  # a disk that fails tells nobody
    assert manifest.damaged() == []
    assert manifest.damaged(thorough=True) == [first]
    second.unlink()
    assert manifest.damaged() == [second]
    assert manifest.damaged(absent=["b/c"]) == []


def test_what_is_not_finished_or_not_there_vouches_for_nothing(manifest: Manifest) -> None:
    manifest.begin()
    assert (manifest.listed(), manifest.damaged()) == (None, [])
    manifest.path.write_text("{")
    assert (manifest.listed(), manifest.damaged()) == (set(), [manifest.path])
    manifest.remove()
    assert (manifest.listed(), manifest.damaged()) == (set(), [])


def test_what_is_removed_is_known_until_there_is_another_record(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "a")
    record = {"identity": "i", "files": {"a": sha256_file(tmp_path / "a")}}
    remove_files(tmp_path, record, ["a", "none"], lambda: {"values": 1})
    assert not (tmp_path / "a").exists()
    remove_files(tmp_path, record, ["a"], dict)  # again: nothing is measured anew
    assert removal(tmp_path, record) == {
        "record": read_sealed(tmp_path / REMOVED)["record"],
        "removed": ["a"],
        "measured": {"values": 1},
    }
    assert removal(tmp_path, {**record, "identity": "j"}) == {"removed": [], "measured": {}}


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a", "a\0", "", "."])
def test_a_name_of_a_file_elsewhere_or_of_none_is_damage(tmp_path: Path, name: str) -> None:
    """With a right seal, as anybody can write it."""
    folder = tmp_path / "cell"
    write_text(tmp_path / "a", "somebody's own")
    manifest = Manifest(folder / RECORD, folder)
    write_sealed(manifest.path, {"files": {name: "0" * 64}})
    assert (manifest.listed(), manifest.damaged()) == (set(), [manifest.path])
    record = read_sealed(manifest.path)
    content = {"record": digest(record), "removed": [name], "measured": {}}
    write_sealed(folder / REMOVED, content)
    assert removal(folder, record)["removed"] == []
    remove_files(folder, record, ["a"], dict)
    assert (tmp_path / "a").read_text() == "somebody's own"
