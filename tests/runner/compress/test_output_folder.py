"""Whose folder it is that compress writes into."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunebench.errors import PrunebenchError
from prunebench.runner.compress.output_folder import held


def refusal(folder: Path) -> str:
    with pytest.raises(PrunebenchError) as caught, held(folder):
        (folder / "written").touch()
    assert not (folder / "written").exists()
    return str(caught.value)


def test_a_new_folder_and_one_that_compress_began(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "compressed"
    with held(folder):
        (folder / "model.pt2").touch()
    with held(folder):  # the same command goes on
        assert (folder / "model.pt2").is_file()


def test_two_at_once(tmp_path: Path) -> None:
    with held(tmp_path / "compressed"):
        assert "another command is at work on it" in refusal(tmp_path / "compressed")


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    assert "holds other files: name a new folder" in refusal(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert "Not a directory" in refusal(tmp_path / "README.md")


@pytest.mark.parametrize("name", ["given", "onnx", "search/levels.json", ".lock"])
def test_links_in_the_folder_lead_nowhere(tmp_path: Path, name: str) -> None:
    theirs, folder = tmp_path / "theirs", tmp_path / "compressed"
    theirs.write_text("theirs")
    (folder / "search").mkdir(parents=True)
    (folder / name).symlink_to(theirs)
    assert "link" in refusal(folder)
    assert theirs.read_text() == "theirs"
