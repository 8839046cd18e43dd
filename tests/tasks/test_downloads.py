"""Downloads: checked sums, archives, whole or not at all; from files in place of servers."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import zipfile
from pathlib import Path

import pytest

from prunebench.errors import PrunebenchError
from prunebench.tasks.downloads import Remote, fetch, root_of

from .conftest import MakeTask


def remote(
    path: Path, content: bytes, name: str | None = None, algorithm: str = "sha256"
) -> Remote:
    path.write_bytes(content)
    return Remote(path.as_uri(), algorithm, hashlib.new(algorithm, content).hexdigest(), name)


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_files_and_archives_lie_unpacked_in_the_folder(
    tmp_path: Path, make_task: MakeTask, algorithm: str
) -> None:
    task = make_task(dataset="set")
    files = [
        remote(tmp_path / "1.zip", zipped(**{"in/a.txt": "A"}), algorithm=algorithm),
        remote(tmp_path / "2.tar.gz", tarred("b.txt", b"B"), algorithm=algorithm),
        remote(tmp_path / "3", b"C", "c.txt", algorithm),
    ]
    fetch(task, tmp_path / "raw", files)
    root = root_of(task, tmp_path / "raw", "a folder")
    assert root == tmp_path / "raw" / "set"
    found = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.txt")}
    assert found == {"in/a.txt": "A", "b.txt": "B", "c.txt": "C"}
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["set"]  # nothing half done


def test_a_wrong_sum_leaves_nothing(tmp_path: Path, make_task: MakeTask) -> None:
    good = remote(tmp_path / "1", b"A", "a.txt")
    (tmp_path / "1").write_bytes(b"B")
    with pytest.raises(
        PrunebenchError, match=r"downloading set failed: .* has the sha256 sum"
    ) as e:
        fetch(make_task(dataset="set"), tmp_path / "raw", [good])
    assert "\n" not in str(e.value)
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_server_that_is_not_there(tmp_path: Path, make_task: MakeTask) -> None:
    gone = Remote((tmp_path / "nothing").as_uri(), "md5", "0")
    before = socket.getdefaulttimeout()
    with pytest.raises(PrunebenchError, match="run again, or give path: where it already lies"):
        fetch(make_task(dataset="set"), tmp_path / "raw", [gone])
    assert socket.getdefaulttimeout() == before


def test_what_is_there_is_not_fetched_again_unless_it_was_damaged(
    tmp_path: Path, make_task: MakeTask
) -> None:
    task, source = make_task(dataset="set"), tmp_path / "1"
    file = remote(source, b"A", "a.txt")
    fetch(task, tmp_path / "raw", [file])
    source.unlink()
    fetch(task, tmp_path / "raw", [file])
    kept = tmp_path / "raw" / "set" / "a.txt"
    kept.write_bytes(b"damaged")
    with pytest.raises(PrunebenchError, match=r"a\.txt is missing or not as it was fetched"):
        root_of(task, tmp_path / "raw", "a folder")
    source.write_bytes(b"A")
    fetch(task, tmp_path / "raw", [file])
    assert kept.read_bytes() == b"A"


def test_a_task_with_a_path_fetches_nothing(tmp_path: Path, make_task: MakeTask) -> None:
    task = make_task(dataset="set", path=str(tmp_path))
    fetch(task, tmp_path / "raw", [Remote("file:///nothing", "md5", "0")])
    assert not (tmp_path / "raw").exists()
    assert root_of(task, tmp_path / "raw", "a folder") == tmp_path


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt"])
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_no_member_of_an_archive_leaves_the_folder(
    tmp_path: Path, make_task: MakeTask, name: str, kind: str
) -> None:
    content = zipped(**{name: "x"}) if kind == "zip" else tarred(name, b"x")
    try:
        fetch(make_task(dataset="set"), tmp_path / "raw", [remote(tmp_path / f"1.{kind}", content)])
    except PrunebenchError:
        assert list((tmp_path / "raw").iterdir()) == []
    outside = [path for path in tmp_path.rglob("evil.txt") if "set" not in path.parts]
    assert outside == []
    assert not Path("/tmp/evil.txt").exists()


def test_a_damaged_archive_of_the_right_sum(tmp_path: Path, make_task: MakeTask) -> None:
    broken = tarred("b.txt", b"B" * 5000)[:-20]
    with pytest.raises(PrunebenchError, match="downloading set failed"):
        fetch(make_task(dataset="set"), tmp_path / "raw", [remote(tmp_path / "1.tar.gz", broken)])
    assert list((tmp_path / "raw").iterdir()) == []


def test_an_archive_holds_files_alone(tmp_path: Path, make_task: MakeTask) -> None:
    path = tmp_path / "1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("b.txt")
        member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(member)
    with pytest.raises(PrunebenchError, match="downloading set failed"):
        fetch(make_task(dataset="set"), tmp_path / "raw", [remote(path, path.read_bytes())])
    assert list((tmp_path / "raw").iterdir()) == []
