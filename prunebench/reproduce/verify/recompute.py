"""Compute cells of an experiment again, in a temporary folder, and compare their records."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment import foreign_code
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.experiment.settings import Experiment
from prunebench.reproduce.verify.compare_records import (
    CONFIRMED,
    NOT_RUN,
    UNDECIDED,
    Compared,
    compare,
    errors_of,
    not_computed,
)
from prunebench.reproduce.verify.stored_experiment import Stored, reduced
from prunebench.runner import pipeline
from prunebench.runner.own_process import Unfinished, apart
from prunebench.storage.coordinates import Coordinates, coordinates_of_row
from prunebench.storage.layout import Layout
from prunebench.storage.provenance import differences, doubt, environment
from prunebench.storage.records import DENSE

_SHOWN = 3  # files that a line names


@dataclass(frozen=True)
class Outcome:
    """The result of computing cells again."""

    drawn: int  # number of cells that were drawn
    cells: tuple[Compared, ...]  # these, and their baselines
    environment: tuple[tuple[str, str, str], ...]  # what differs: name, provenance.json's, here
    doubt: str = ""  # why provenance.json does not belong to these records, if it does not
    mismatch: bool = False  # whether that is since it names other files

    @property
    def confirmed(self) -> bool:
        """Whether every cell has the same bits or lies inside the interval.

        And some were computed, and ``provenance.json``, where there is one, is of these files.
        """
        alike = all(compared.verdict in CONFIRMED for compared in self.cells)
        return bool(self.cells) and alike and not self.mismatch


def rerun(
    stored: Stored, cells: list[Coordinates], data: Path, trust_code: bool = False
) -> Outcome:
    """Compute cells and their baselines again and compare each with its record.

    The experiment's own folder is only read, and no data are downloaded. Networks and tokenizers
    that the configuration names are told before they are fetched. Progress goes to standard error.
    Python of others runs only where it is trusted, named by its hash, and in a process of its own;
    a cell that needs it otherwise, or whose process ends early, is not confirmed.

    Args:
        stored: the experiment.
        cells: the cells to compute, none of them dense.
        data: folder of downloaded and prepared data.
        trust_code: whether to run Python that the configuration names and that does not ship.

    Raises:
        PrunebenchError: data are missing, or a baseline cannot be computed here.
    """
    multiples, in_float32 = stored.multiples, stored.in_float32
    plans = {
        cell: reduced(stored.experiment, cell, multiples.get(cell, 1), cell in in_float32)
        for cell in cells
        if not stored.lacks(cell)
    }
    code = {cell: foreign_code.of_experiment(plan) for cell, plan in plans.items()}
    say_trusted(file for files in code.values() for file in files if trust_code)
    left = {cell: why for cell in cells if (why := stored.lacks(cell))}
    left |= {cell: needs(files) for cell, files in code.items() if files and not trust_code}
    say_fetched(plans[cell] for cell in cells if cell not in left)
    ended: dict[Coordinates, str] = {}
    for task in dict.fromkeys(cell.task for cell in cells if cell not in left):
        make_ready(stored, task, data)
    found: dict[Coordinates, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="prunebench-") as folder:
        for number, cell in enumerate(cells, 1):
            if cell in left:
                continue
            print(f"re-running {number} of {len(cells)}: {cell}", file=sys.stderr, flush=True)
            # what code of others could have changed, no other cell stands on
            place = Path(folder, "others" if code[cell] else "shipped")
            try:
                found |= compute(plans[cell], place, data)
            except Unfinished as error:
                ended[cell] = str(error)
    rows = stored.rows
    raw = stored.raw.to_dict("records")
    compared = [
        compare(cell, _texts(raw[rows[cell]]), found[cell], errors_of(stored.cells, cell))
        for cell in sorted({*cells, *(cell.baseline for cell in cells)}, key=_order)
        if cell in rows and cell in found
    ]
    missing = [cell for cell in cells if cell not in {*left, *found}]
    compared += [not_computed(cell, NOT_RUN, why) for cell, why in left.items()]
    compared += [
        not_computed(cell, UNDECIDED, ended.get(cell, "nothing was computed")) for cell in missing
    ]
    layout = Layout(stored.folder)
    told = doubt(stored.provenance, layout.config, layout.cells_csv)
    differing = differences(stored.provenance, environment())
    other = bool(told) and stored.provenance is not None
    return Outcome(len(cells), tuple(compared), differing, told, other)


def say_trusted(files: Iterable[Path]) -> None:
    """Name files of others that are run because their reader trusts them, each once."""
    for line in foreign_code.told(dict.fromkeys(files)):
        print(f"runs code of others, as --trust-code says: {line}", file=sys.stderr, flush=True)


def say_fetched(experiments: Iterable[Experiment]) -> None:
    """Name what others chose and this machine fetches where its cache has it not, each once."""
    for name in dict.fromkeys(name for each in experiments for name in foreign_code.fetched(each)):
        print(
            f"fetches, unless it is in the cache: {name}, which the results name",
            file=sys.stderr, flush=True,
        )  # fmt: skip


def needs(files: Sequence[Path]) -> str:
    """Return why something is not run that needs files of others."""
    shown = ", ".join(foreign_code.told(files[:_SHOWN]))
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return f"needs code: {shown}{more}: read it, then pass --trust-code"


def _texts(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(column): value for column, value in row.items()}


def compute(experiment: Experiment, folder: Path, data: Path) -> dict[Coordinates, dict[str, Any]]:
    """Return the rows of an experiment's cells.

    Where it runs code that does not ship, that happens in a process of its own.

    Args:
        experiment: the experiment.
        folder: where the cells are computed, or found if they were computed before.
        data: folder of downloaded and prepared data.

    Raises:
        Unfinished: that process ended early.
    """
    if foreign_code.of_experiment(experiment):
        settings = experiment.model_dump(mode="json")
        rows = apart(f"{__name__}:computed_rows", settings, str(folder), str(data))
    else:
        rows = _rows(experiment, folder, data)
    return {coordinates_of_row(row): row for row in rows}


def computed_rows(settings: dict[str, Any], folder: str, data: str) -> list[dict[str, Any]]:
    """Do what ``compute`` does, for a process that is told of an experiment as JSON."""
    return _rows(Experiment.model_validate(settings), Path(folder), Path(data))


def _rows(experiment: Experiment, folder: Path, data: Path) -> list[dict[str, Any]]:
    plan = Plan(experiment, folder)
    for name in plan.baseline_jobs:
        pipeline.baselines(plan, name, data)
    for name in plan.curve_jobs:
        pipeline.curves(plan, name, data)
    for name in plan.probe_jobs:
        pipeline.probes(plan, name, data)
    return [row for name in plan.measure_jobs for row in pipeline.measure(plan, name)["cells"]]


def make_ready(stored: Stored, name: str, data: Path) -> None:
    """Prepare the data of a task unless that was done; own code in a process of its own.

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
        if foreign_code.of_data(task):
            settings = stored.experiment.model_dump(mode="json")
            apart(f"{__name__}:prepare_told", settings, name, str(data))
        else:
            pipeline.prepare(plan, name, data)
    except PrunebenchError as error:
        fetched = downloader(task.source) is not None and task.path is None
        command = f"python -m prunebench download {stored.folder / 'config.json'} {name}"
        hint = f"; its data are not here: run `{command}` first" if fetched else ""
        raise PrunebenchError(f"{error}{hint}") from error


def prepare_told(settings: dict[str, Any], name: str, data: str) -> None:
    """Prepare the data of a task, for a process that is told of an experiment as JSON."""
    pipeline.prepare(Plan(Experiment.model_validate(settings)), name, Path(data))


def _order(cell: Coordinates) -> tuple[Any, ...]:
    """A key that sorts a baseline before the cells that were pruned from it."""
    return (*cell[:4], cell.method != DENSE, *cell[4:])
