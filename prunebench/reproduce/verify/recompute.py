"""Compute cells of an experiment again, in a temporary folder, and compare their records."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.experiment.settings import Experiment
from prunebench.reproduce.verify.compare_records import CONFIRMED, Compared, compare, errors_of
from prunebench.reproduce.verify.stored_experiment import Stored, reduced
from prunebench.runner import pipeline
from prunebench.storage.coordinates import Coordinates, coordinates_of_row
from prunebench.storage.layout import Layout
from prunebench.storage.provenance import differences, doubt, environment
from prunebench.storage.records import DENSE


@dataclass(frozen=True)
class Outcome:
    """The result of computing cells again."""

    drawn: int  # number of cells that were drawn
    cells: tuple[Compared, ...]  # these, and their baselines
    environment: tuple[tuple[str, str, str], ...]  # what differs: name, provenance.json's, here
    doubt: str = ""  # why provenance.json does not belong to these records, if it does not

    @property
    def confirmed(self) -> bool:
        """Whether every cell has the same bits or lies inside the interval."""
        return all(compared.verdict in CONFIRMED for compared in self.cells)


def rerun(stored: Stored, cells: list[Coordinates], data: Path) -> Outcome:
    """Compute cells and their baselines again and compare each with its record.

    The experiment's own folder is only read, and nothing is downloaded. Progress goes to standard
    error.

    Args:
        stored: the experiment.
        cells: the cells to compute, none of them dense.
        data: folder of downloaded and prepared data.

    Raises:
        PrunebenchError: data are missing, or a baseline cannot be computed here.
    """
    plans = {cell: reduced(stored.experiment, cell) for cell in cells}
    for task in dict.fromkeys(cell.task for cell in cells):
        make_ready(stored, task, data)
    found: dict[Coordinates, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="prunebench-") as folder:
        for number, cell in enumerate(cells, 1):
            print(f"re-running {number} of {len(cells)}: {cell}", file=sys.stderr, flush=True)
            found |= compute(plans[cell], Path(folder), data)
    rows = stored.rows
    raw = stored.raw.to_dict("records")
    compared = [
        compare(cell, _texts(raw[rows[cell]]), found[cell], errors_of(stored.cells, cell))
        for cell in sorted({*cells, *(cell.baseline for cell in cells)}, key=_order)
        if cell in rows and cell in found
    ]
    layout = Layout(stored.folder)
    told = doubt(stored.provenance, layout.config, layout.cells_csv)
    differing = differences(stored.provenance, environment())
    return Outcome(len(cells), tuple(compared), differing, told)


def _texts(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(column): value for column, value in row.items()}


def compute(experiment: Experiment, folder: Path, data: Path) -> dict[Coordinates, dict[str, Any]]:
    """Return the rows of an experiment's cells.

    Args:
        experiment: the experiment.
        folder: where the cells are computed, or found if they were computed before.
        data: folder of downloaded and prepared data.
    """
    plan = Plan(experiment, folder)
    for name in plan.baseline_jobs:
        pipeline.baselines(plan, name, data)
    for name in plan.curve_jobs:
        pipeline.curves(plan, name, data)
    for name in plan.probe_jobs:
        pipeline.probes(plan, name, data)
    rows = [row for name in plan.measure_jobs for row in pipeline.measure(plan, name)["cells"]]
    return {coordinates_of_row(row): row for row in rows}


def make_ready(stored: Stored, name: str, data: Path) -> None:
    """Prepare the data of a task unless that was done.

    Args:
        stored: the experiment.
        name: the task's name.
        data: folder of downloaded and prepared data.

    Raises:
        PrunebenchError: the data must be downloaded first; the message names the command.
    """
    from prunebench.tasks.sources import downloader

    plan = Plan(stored.experiment)
    task = plan.task(name)
    if prepared(task, data).is_file():
        return
    print(f"preparing the data of {name}", file=sys.stderr, flush=True)
    try:
        pipeline.prepare(plan, name, data)
    except PrunebenchError as error:
        fetched = downloader(task.source) is not None and task.path is None
        command = f"python -m prunebench download {stored.folder / 'config.json'} {name}"
        hint = f"; its data are not here: run `{command}` first" if fetched else ""
        raise PrunebenchError(f"{error}{hint}") from error


def _order(cell: Coordinates) -> tuple[Any, ...]:
    """A key that sorts a baseline before the cells that were pruned from it."""
    return (*cell[:4], cell.method != DENSE, *cell[4:])
