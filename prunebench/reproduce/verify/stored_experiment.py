"""Read a finished experiment, and draw some of its cells."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment import absent_code, config, inheritance
from prunebench.experiment.settings import Experiment, Report
from prunebench.statistics.cells_table import read_text, typed
from prunebench.storage import provenance
from prunebench.storage.coordinates import Coordinates, coordinates_of_row
from prunebench.storage.layout import Layout
from prunebench.storage.records import DENSE


@dataclass(frozen=True)
class Stored:
    """A finished experiment in its folder."""

    folder: Path
    experiment: Experiment
    raw: pd.DataFrame  # cells.csv, every field as text
    cells: pd.DataFrame  # the same rows, checked and typed
    provenance: dict[str, Any] | None  # provenance.json, where there is one
    absent: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # of ``absent_code``

    def lacks(self, cell: Coordinates) -> str:
        """Return what a cell needs that is not here, and who has it; "" where it needs nothing."""
        parts = [("tasks", cell.task), ("models", cell.model), ("methods", cell.method)]
        of_cell = next((m for m in self.experiment.methods if m.name == cell.method), None)
        if of_cell is not None and of_cell.budget == "longest":  # that of any method
            parts += [part for part in self.absent if part[0] == "methods"]
        names = [name for part in parts for name in self.absent.get(part, ())]
        return absent_code.where_from(list(dict.fromkeys(names))) if names else ""

    @property
    def rows(self) -> dict[Coordinates, int]:
        """The row number of every cell in the tables."""
        every = self.cells.to_dict("records")
        return {coordinates_of_row(row): number for number, row in enumerate(every)}

    @property
    def multiples(self) -> dict[Coordinates, int]:
        """The multiple of channels that each cell's smaller network keeps, where it is told."""
        if "channels_multiple" not in self.cells:
            return {}
        told = self.cells["channels_multiple"]
        return {
            cell: int(told.iloc[at]) for cell, at in self.rows.items() if pd.notna(told.iloc[at])
        }

    @property
    def in_float32(self) -> set[Coordinates]:
        """The cells that were trained in float32 on a CPU.

        Those that do not tell are among them: under ``precision: auto`` all were at that time.
        """
        told, device = (
            self.raw[column] if column in self.raw else pd.Series(None, self.raw.index)
            for column in ("precision", "device")
        )
        single = (device == "cpu") & (told.isna() | (told == "float32"))
        return {cell for cell, at in self.rows.items() if single.iloc[at]}


def load(folder: Path, experiment: Experiment | None = None) -> Stored:
    """Read ``config.json``, ``cells.csv`` and, where it is there, ``provenance.json``.

    Tasks, models and methods of Python files that are not here are left out of its settings.

    Args:
        folder: the experiment's folder.
        experiment: its settings, where the caller has read them already.

    Raises:
        PrunebenchError: a file is missing or damaged, or nothing can do without the files that are
            not here.
    """
    layout = Layout(folder)
    if not folder.is_dir():
        raise PrunebenchError(f"{folder} is no folder; it must hold config.json and cells.csv")
    absent: dict[tuple[str, str], list[str]] = {}
    if experiment is None:
        experiment, absent = _present(layout.config)
    raw = read_text(layout.cells_csv, "; run the grid first")
    cells = typed(raw, str(layout.cells_csv))
    return Stored(folder, experiment, raw, cells, provenance.read(layout.provenance), absent)


def _present(path: Path) -> tuple[Experiment, dict[tuple[str, str], list[str]]]:
    """Read settings as far as the files that they name are here, and which are not."""
    value = inheritance.read(path).value
    if not isinstance(value, dict):
        return config.parse(value, str(path)), {}
    found = absent_code.present(value)
    for kind, name in found.absent:
        if not found.value[kind]:  # nothing is left to look at
            told = absent_code.where_from(found.absent[kind, name])
            raise PrunebenchError(f"{path}: {kind}: {name}: {told}")
    return config.parse(found.value, str(path)), found.absent


def chosen(
    stored: Stored, task: str | None = None, method: str | None = None, cell: str | None = None
) -> list[Coordinates]:
    """Return the cells of an experiment that are of a task, of a method, or the one of a name.

    Args:
        stored: the experiment.
        task: a task's name; None: any.
        method: a method's name; None: any.
        cell: a cell's folder below ``cells/``, e.g. ``digits/clean/seed-cnn/seed-0/imp/0.5``, also
            with what comes before; None: any.

    Raises:
        PrunebenchError: there is no such cell; names the nearest.
    """
    rows = list(stored.rows)
    for name, wanted in (("task", task), ("method", method)):
        known = {getattr(row, name) for row in rows}
        if wanted is not None and wanted not in known:
            raise PrunebenchError(f"--{name}: no {name} {wanted!r}{suggest(wanted, known)}")
        rows = [row for row in rows if wanted in (None, getattr(row, name))]
    if cell is not None:
        layout = Layout(stored.folder)
        named = {
            layout.cell(*row).relative_to(layout.root / "cells").as_posix(): row for row in rows
        }
        below = Path(cell).as_posix().rpartition("cells/")[2]
        if below not in named:
            raise PrunebenchError(f"--cell: no cell {below!r}{suggest(below, named)}")
        rows = [named[below]]
    if not rows:
        raise PrunebenchError(f"--task and --method: task {task!r} has no cell of {method!r}")
    return rows


def draw(cells: Iterable[Coordinates], count: int, seed: int) -> list[Coordinates]:
    """Draw cells at random, without replacement. Dense baselines are not drawn.

    The same seed draws the same cells, in whatever order they come.

    Args:
        cells: the cells to draw from.
        count: number of cells.
        seed: seed of the draw.

    Returns:
        The cells, sorted; all, where there are fewer than ``count``.

    Raises:
        PrunebenchError: the count is below 1, or all cells are dense baselines.
    """
    if count < 1:
        raise PrunebenchError(f"--sample must be at least 1, found {count}")
    chosen = sorted(cell for cell in cells if cell.method != DENSE)
    if not chosen:
        raise PrunebenchError("there are no cells to draw from: all are dense baselines")
    generator = random.Random(seed)  # noqa: S311  # a draw, no secret
    return sorted(generator.sample(chosen, min(count, len(chosen))))


def reduced(
    experiment: Experiment, cell: Coordinates, multiple: int = 1, float32: bool = False
) -> Experiment:  # fmt: skip
    """Return an experiment that has one cell and its baseline alone.

    Names stay, and so do seeds and bits.

    Args:
        experiment: the whole experiment.
        cell: the cell, which is not dense.
        multiple: of channels that its smaller network keeps, where the configuration has that
            measured.
        float32: whether ``precision: auto`` was float32 where it was recorded.

    Raises:
        PrunebenchError: the experiment does not have the cell.
    """
    method = _named(experiment.methods, cell, "method")
    own = method.sparsities(experiment.sparsities)
    near = [sparsity for sparsity in own if round(sparsity, 10) == cell.sparsity]
    if not near:
        raise PrunebenchError(f"{cell}: the configuration has no such sparsity")
    if cell.seed not in experiment.seeds:
        raise PrunebenchError(f"{cell}: the configuration has no such seed")
    # what was measured counts here too, on whatever machine
    rounding = {"round_to": multiple} if experiment.probes.finds_channels else {}
    single = {"precision": "float32"} if float32 and experiment.compute.precision == "auto" else {}
    return experiment.model_copy(
        update={
            "compute": experiment.compute.model_copy(update=single),
            "tasks": [_named(experiment.tasks, cell, "task")],
            "regimes": [_named(experiment.regimes, cell, "regime")],
            "models": [_named(experiment.models, cell, "model")],
            "methods": [method],
            "seeds": [cell.seed],
            "probes": experiment.probes.model_copy(update={"sensitivity": [], **rounding}),
            # of Python of whoever made the results; what it gives is not compared
            "report": Report(),
            # times are not compared, and measuring them takes long
            "latency": experiment.latency.model_copy(update={"engines": []}),
            # a method that knows its sparsity, such as 0 of a control, does not look at the grid's
            "sparsities": near if near[0] else experiment.sparsities[:1],
        }
    )


def _named(entries: Any, cell: Coordinates, kind: str) -> Any:
    """The entry of the configuration that has the cell's name."""
    name = getattr(cell, kind)
    for entry in entries:
        if entry.name == name:
            return entry
    names = [entry.name for entry in entries]
    raise PrunebenchError(f"{cell}: the configuration has no {kind} {name!r}{suggest(name, names)}")
