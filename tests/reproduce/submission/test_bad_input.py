"""What is no submission is refused before anything of it is read or run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prunebench.errors import PrunebenchError
from prunebench.reproduce.submission.submission_folder import load
from prunebench.storage.files import read_json, write_json
from tests.reproduce.submission.conftest import Spoil


def refused(folder: Path) -> str:
    with pytest.raises(PrunebenchError) as caught:
        load(folder)
    return str(caught.value)


def test_folders_that_are_no_submission(spoilt: Spoil, tmp_path: Path) -> None:
    assert "is no folder" in refused(tmp_path / "none")
    folder = spoilt()
    (folder / "my_criterion.py").rename(folder / "other.py")
    assert "has no my_criterion.py: put the file there" in refused(folder)
    (folder / "other.py").rename(folder / "my_criterion.py")
    form = yaml.safe_load((folder / "submission.yaml").read_text())
    for change, told in (
        ({"method": "centered"}, "no method 'centered'; did you mean 'centred'?"),
        ({"author": "x"}, "author: unknown key"),
    ):
        (folder / "submission.yaml").write_text(yaml.safe_dump({**form, **change}))
        assert told in refused(folder)
    (folder / "submission.yaml").unlink()
    assert "submission.yaml: No such file" in refused(folder)


def test_code_from_elsewhere_is_never_read(spoilt: Spoil, tmp_path: Path) -> None:
    folder = spoilt()
    outside = tmp_path / "outside.py"
    outside.write_text("raise SystemExit('it was run')\n")
    config = read_json(folder / "config.json")
    for name in (f"{outside}:score", "../outside.py:score"):
        config["methods"][1]["criterion"]["name"] = name
        write_json(folder / "config.json", config)
        assert "has no outside.py: put the file there" in refused(folder)
    (folder / "outside.py").symlink_to(outside)
    assert "has no outside.py" in refused(folder)
    config["methods"][1]["criterion"]["name"] = "os.path:join"
    write_json(folder / "config.json", config)
    assert "is in a Python module" in refused(folder)


def test_a_table_with_percentages(spoilt: Spoil) -> None:
    assert "test_error must be a fraction in [0,1]" in refused(spoilt({"test_error": "12.5"}))
