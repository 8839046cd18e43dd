"""Coordinates of a cell: the values by which it is found in any table and any results folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from prunebench.errors import PrunebenchError, suggest
from prunebench.storage.layout import RECORD, sparsity_name
from prunebench.storage.records import DENSE
from prunebench.text.numbers import percent

_FORM = "results/<experiment>/cells/<task>/<regime>/<model>/seed-<n>/<method>/<sparsity>"


class Coordinates(NamedTuple):
    """A point of a grid, whatever code computed it; its fields are columns of ``cells.csv``."""

    task: str
    regime: str
    model: str
    seed: int
    method: str = DENSE
    sparsity: float = 0.0  # the target

    @property
    def baseline(self) -> Coordinates:
        """The dense cell that it stands on."""
        return self._replace(method=DENSE, sparsity=0.0)

    @property
    def curve_label(self) -> str:
        """Its curve, as the lines of a job name it."""
        return f"{self.task} {self.regime} {self.model} seed {self.seed} {self.method}"

    @property
    def label(self) -> str:
        """The cell, as the lines of a job name it."""
        at = f" {percent(self.sparsity)}" if self.sparsity else ""
        return f"{self.curve_label}{at}"

    def __str__(self) -> str:
        where = f"{self.task}/{self.regime}/{self.model}/{self.method} seed {self.seed}"
        return where if self.method == DENSE else f"{where} sparsity {sparsity_name(self.sparsity)}"


def coordinates_of_row(row: Mapping[Any, Any]) -> Coordinates:
    """Return the coordinates in a checked row of ``cells.csv``.

    The sparsity is rounded to ten digits: a table may have been written with fewer than a
    sparsity such as 1/3 has.
    """
    return Coordinates(
        row["task"], row["regime"], row["model"], int(row["seed"]), row["method"],
        round(float(row["sparsity"]), 10),
    )  # fmt: skip


def coordinates_of_folder(cell: Path) -> tuple[Path, Coordinates]:
    """Return the results folder of the experiment and the coordinates that a cell's folder names.

    Raises:
        PrunebenchError: the path is no folder of a finished cell; says the nearest that is there.
    """
    folder = cell.resolve()
    parts = folder.parts
    if len(parts) < 8 or parts[-7] != "cells" or not parts[-3].removeprefix("seed-").isdigit():
        raise PrunebenchError(f"{cell} is no cell's folder: it would be {_FORM}")
    missing = folder
    while not missing.parent.is_dir():
        missing = missing.parent
    if not missing.is_dir():
        there = sorted(path.name for path in missing.parent.iterdir())
        raise PrunebenchError(
            f"no such cell: {cell}: {missing.parent} has no {missing.name!r}"
            f"{suggest(missing.name, there)}"
        )
    if not (folder / RECORD).is_file():
        raise PrunebenchError(f"{cell} has no {RECORD}: the cell is not finished")
    task, regime, model, seed, method, sparsity = parts[-6:]
    try:
        target = float(sparsity)
    except ValueError:
        raise PrunebenchError(f"{cell} is no cell's folder: it would be {_FORM}") from None
    seed_number = int(seed.removeprefix("seed-"))
    return folder.parents[6], Coordinates(task, regime, model, seed_number, method, target)
