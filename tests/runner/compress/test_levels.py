"""The sparsities that a compression looks at are those that were found, or are found again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.runner.compress import search_plan
from prunebench.runner.compress.levels import kept_levels
from prunebench.runner.compress.request import Request
from prunebench.runner.compress.size_budget import Budget
from prunebench.storage.files import write_json, write_sealed

FOUND: dict[str, Any] = {"sparsities": [0.3, 0.5, 0.7], "batch_norm": True}
WHOLE = {"name": "asked", **FOUND}


class Finder:
    """Finds the same each time, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, Any]:
        self.times += 1
        return dict(FOUND)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that was written for a request ``asked``."""
    path = tmp_path / "search" / "levels.json"
    kept_levels(path, "asked", Finder())
    return path


def assert_found_anew(path: Path, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Found once more, said in one line, and whole from then on."""
    find = Finder()
    assert kept_levels(path, "asked", find).model_dump() == WHOLE
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {path}")
    assert said in line
    assert line.endswith(": the sparsities to look at are found again")
    assert kept_levels(path, "asked", find).model_dump() == WHOLE
    assert find.times == 1
    assert capsys.readouterr().err == ""


def test_what_was_found_is_not_looked_for_again(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    find = Finder()
    assert kept_levels(path, "asked", find).model_dump() == WHOLE
    assert find.times == 0
    # of another request: nothing is wrong with it
    assert kept_levels(path, "another", find).name == "another"
    assert find.times == 1
    assert capsys.readouterr().err == ""


def _lie(path: Path) -> None:
    value = json.loads(path.read_text())
    write_json(path, {**value, "sparsities": [0.1, 0.2, 0.3]})


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.write_bytes(b"\xff\x00{"), "is damaged"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "is damaged"),
        (lambda path: path.write_text("[" * 100_000), "is damaged"),
        (lambda path: path.write_text("[0.5]\n"), "is damaged: it has no"),
        (lambda path: write_json(path, WHOLE), "is damaged: it has no"),  # of an earlier version
        (_lie, "is damaged: its content is not what its"),
        (_pipe, "is no plain file"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_as_it_was_written_is_told_and_written_anew(
    path: Path, harm: Callable[[Path], object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    harm(path)
    assert_found_anew(path, said, capsys)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sparsities": "0.5"}, "sparsities: must be a list"),
        ({"sparsities": [0.3, "0.5"]}, "sparsities[1]: input should be a valid number"),
        ({"sparsities": [True]}, "not a boolean"),
        ({"sparsities": None}, "sparsities: must be a list"),
        ({"sparsities": []}, "sparsities: list should have at least 1 item"),
        ({"sparsities": [0.0, 0.5]}, "sparsities[0]: input should be greater than 0"),
        ({"sparsities": [0.5, 1.0]}, "sparsities[1]: input should be less than 1"),
        ({"sparsities": [0.5, 0.5]}, "sparsities: must rise"),
        ({"sparsities": [0.7, 0.5]}, "sparsities: must rise"),
        ({"batch_norm": "yes"}, "batch_norm: input should be a valid boolean"),
        ({"name": 3}, "name: input should be a valid string"),
        ({"more": 1}, "more: unknown key"),
    ],
)
def test_anybody_can_seal_something_else(
    path: Path, change: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sealed(path, WHOLE | change)
    assert_found_anew(path, said, capsys)


def test_nothing_is_kept_where_nothing_is_found(path: Path) -> None:
    path.write_text("{")

    def fails() -> dict[str, Any]:
        raise PrunebenchError("out of reach")

    with pytest.raises(PrunebenchError, match="out of reach"):
        kept_levels(path, "asked", fails)
    assert path.read_text() == "{"


def test_a_search_looks_at_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_plan, "_levels", lambda *_: dict(FOUND))
    (tmp_path / "my.pt").touch()
    request = Request(
        "resnet20", "digits", weights=str(tmp_path / "my.pt"), budget=Budget("macs", 0.5)
    )
    folder = tmp_path / "compressed"
    for harm in (lambda path: None, _lie, lambda path: path.write_text("{")):
        plan = search_plan.planned(request, folder, tmp_path / "data")
        assert plan.experiment.sparsities == FOUND["sparsities"]
        harm(folder / search_plan.SEARCH / search_plan.LEVELS)
    assert (
        search_plan.planned(request, folder, tmp_path).experiment.sparsities == FOUND["sparsities"]
    )
