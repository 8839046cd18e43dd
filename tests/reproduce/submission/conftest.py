"""The worked example of the docs, followed as it stands: the submission that tests then spoil."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from prunebench import cli
from prunebench.report.figures.figure_registry import FigureSpec
from prunebench.statistics.cells_table import read_text
from tests.docs.examples import SUBMISSION, blocks

PROGRAM = [".venv/bin/python", "-m", "prunebench"]


@dataclass(frozen=True)
class Followed:
    """The example's working directory, and what each of its commands did."""

    folder: Path
    commands: tuple[str, ...]
    results: tuple[Result, ...]

    @property
    def submission(self) -> Path:
        return self.folder / "submissions" / "centred"

    @property
    def data(self) -> Path:
        return self.folder / "data"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), terminal_width=200)


@pytest.fixture(scope="session")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    folder = tmp_path_factory.mktemp("contributor")
    [criterion], [grid], [commands] = (
        blocks(language, SUBMISSION) for language in ("python", "yaml", "bash")
    )
    (folder / "my_criterion.py").write_text(criterion, encoding="utf-8")
    (folder / "my_grid.yaml").write_text(grid, encoding="utf-8")
    deterministic = torch.are_deterministic_algorithms_enabled()
    done = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # a submission holds no figures, and to draw them takes as long as all the rest
        patch.setattr(FigureSpec, "draw", lambda *_: None)
        for line in commands.splitlines():
            words = shlex.split(line)
            assert words[:3] == PROGRAM, line
            done.append(invoke(*words[3:]))
    yield Followed(folder, tuple(commands.splitlines()), tuple(done))
    torch.use_deterministic_algorithms(deterministic)


Spoil = Callable[..., Path]


@pytest.fixture
def spoilt(followed: Followed, tmp_path: Path) -> Spoil:
    """Copies the submission, with values of the table changed where ``method`` and all say."""

    def copy(change: dict[str, Any] | None = None, **where: str) -> Path:
        folder = tmp_path / "submission"
        shutil.copytree(followed.submission, folder)
        if change is not None:
            table = read_text(folder / "cells.csv")
            chosen = table["experiment"].notna()
            for column, value in where.items():
                chosen &= table[column] == value
            assert chosen.any()
            for column, value in change.items():
                table.loc[chosen, column] = value
            table.to_csv(folder / "cells.csv", index=False)
            (folder / "provenance.json").unlink()  # its hash is of the table as it was
        return folder

    return copy
