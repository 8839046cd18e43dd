"""Derive an experiment's tables anew from what is stored of its cells, and compare. Nothing trains.

Measures come from the stored predictions, the rest of a row from the cell's record, whose files are
compared with their hashes. A table that was written over differs, in whichever row.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.evaluation import long_tables
from prunebench.evaluation.rows import Targets
from prunebench.experiment import absent_code, registry
from prunebench.experiment.cell import Cell
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Experiment, Report
from prunebench.report.tables import all_tables
from prunebench.reproduce.verify.compare_records import same
from prunebench.reproduce.verify.recompute import needs
from prunebench.reproduce.verify.stored_experiment import Stored, load
from prunebench.runner.collect import write_tables
from prunebench.statistics.published_results import (
    published_files,
    published_manifest,
    read_all,
)
from prunebench.storage.coordinates import Coordinates, coordinates_of_row
from prunebench.storage.layout import RECORD, Layout
from prunebench.storage.manifest import Manifest, removal
from prunebench.storage.provenance import doubt
from prunebench.text.numbers import plural

_SHOWN = 20  # lines of a kind that people are shown
Row = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """A field of cells.csv that is not what follows from the stored cell."""

    cell: str
    column: str
    table: str
    derived: str

    def __str__(self) -> str:
        return f"{self.cell}: {self.column} is {self.table}, derived {self.derived}"


@dataclass
class Derived:
    """What came of deriving an experiment's tables."""

    cells: int = 0  # rows that were derived
    tables: int = 0  # files that were derived
    differing: list[Difference] = field(default_factory=list)
    differing_tables: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)  # files that are not as their hashes say
    not_derived: list[str] = field(default_factory=list)  # cells, each with the reason
    mismatch: str = ""  # why provenance.json, where there is one, is not of these files

    @property
    def confirmed(self) -> bool:
        """Whether every row and every table was derived, and is the same."""
        faults = (self.differing, self.differing_tables, self.damaged, self.not_derived)
        return bool(self.cells) and not any(faults) and not self.mismatch

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON can say it."""
        return {"confirmed": self.confirmed, **asdict(self)}

    def __str__(self) -> str:
        lines = list(_lines("different", map(str, self.differing)))
        lines += _lines("different", self.differing_tables)
        lines += _lines("damaged", self.damaged)
        lines += _lines("not derived", self.not_derived)
        lines += [f"provenance: {self.mismatch}"] if self.mismatch else []
        verdict = "confirmed" if self.confirmed else "NOT confirmed"
        derived = f"{plural(self.cells, 'row')} and {plural(self.tables, 'table')}"
        said = f"{verdict}: {derived} derived without training"
        differ, are = ("differs", "differ"), ("is", "are")
        told = [
            plural(len(found), noun, verb) + rest
            for noun, verb, rest, found in (
                ("field", differ, "", self.differing),
                ("table", differ, "", self.differing_tables),
                ("file", are, " damaged", self.damaged),
                ("part", are, " not derived", self.not_derived),
            )
            if found
        ]
        return "\n".join([*lines, ": ".join(filter(None, [said, ", ".join(told)]))])


def _lines(title: str, found: Iterable[str]) -> Iterator[str]:
    every = list(found)
    yield from (f"{title}: {line}" for line in every[:_SHOWN])
    if len(every) > _SHOWN:
        yield f"{title}: and {len(every) - _SHOWN} more"


def derive(folder: Path, trust_code: bool = False, rows_alone: bool = False) -> Derived:
    """Derive cells.csv and tables/ of an experiment from its stored cells, and compare.

    Args:
        folder: the experiment's folder; it is only read.
        trust_code: whether to run Python that the configuration names: measures of one's own,
            which are otherwise not compared, and kinds of tasks.
        rows_alone: whether to leave out tables/ and what lies beside cells.csv.

    Raises:
        PrunebenchError: the table or the configuration is missing or damaged, or a kind of task
            needs Python that is not trusted.
    """
    stored = load(folder)
    plan = Plan(_without_code(stored.experiment, trust_code))
    plan.layout = Layout(folder)
    found = Derived()
    if stored.provenance is not None:
        here = Layout(folder)
        found.mismatch = doubt(stored.provenance, here.config, here.cells_csv)
    rows: dict[Coordinates, Row] = {}
    if (folder / "cells").is_dir():
        rows, failed = _rows(plan)
        found.cells = len(rows)
        found.damaged += [str(path) for cell in _cells_at(plan, rows) for path in _damaged(cell)]
        found.not_derived += [f"{cell}: {why}" for cell, why in failed.items()]
        _compare_rows(stored, rows, failed, found)
    else:
        found.not_derived.append(f"cells.csv: {folder} has no cells/, where predictions are stored")
    if rows_alone:
        return found
    if stored.absent:  # tables stand on all rows
        names = dict.fromkeys(name for needed in stored.absent.values() for name in needed)
        found.not_derived.append(f"tables/: {absent_code.where_from(list(names))}")
        return found
    with tempfile.TemporaryDirectory(prefix="prunebench-") as place:
        _compare_tables(stored, plan, list(rows.values()), Layout(Path(place)), found)
    return found


def _without_code(experiment: Experiment, trust_code: bool) -> Experiment:
    """The experiment as far as it can be measured without Python that is not trusted."""
    if trust_code:
        return experiment
    kinds = {task.kind for task in experiment.tasks} - set(registry.builtin(TaskKindTraits))
    if kinds:
        raise PrunebenchError(needs([registry.find(TaskKindTraits, kind).source for kind in kinds]))
    return experiment.model_copy(update={"report": Report()})


def _cells_at(plan: Plan, wanted: Iterable[Coordinates]) -> Iterator[Cell]:
    """Yield the cells of a plan at some coordinates, in the plan's order."""
    known = set(wanted)
    for name in plan.measure_jobs:
        yield from (c for c in plan.cells_of("measures", name) if _place(c) in known)


def _place(cell: Cell) -> Coordinates:
    place = cell.coordinates
    return place._replace(sparsity=round(place.sparsity, 10))  # as rows have it


def _rows(plan: Plan) -> tuple[dict[Coordinates, Row], dict[Coordinates, str]]:
    """The rows of all cells that have what is needed, and of the others what they lack."""
    rows: dict[Coordinates, Row] = {}
    failed: dict[Coordinates, str] = {}
    targets: Targets | None = None
    for name in plan.measure_jobs:
        for cell in plan.cells_of("measures", name):
            try:
                if targets is None or targets.baseline != cell.baseline:
                    targets = Targets(plan, cell.baseline)
                row = targets.row(cell.folder, cell.method)
            except (PrunebenchError, OSError) as error:
                failed[_place(cell)] = str(error)
                continue
            rows[coordinates_of_row(row)] = row
    return rows, failed


def _damaged(cell: Cell) -> list[Path]:
    record = cell.record()
    if record is None:
        return [cell.folder / RECORD]
    absent = removal(cell.folder, record)["removed"]
    return Manifest.of_cell(cell.folder).damaged(True, absent)


def _compare_rows(
    stored: Stored, rows: Mapping[Coordinates, Row], failed: Mapping[Coordinates, str],
    found: Derived,
) -> None:  # fmt: skip
    table, places = stored.raw.to_dict("records"), stored.rows
    for cell, row in rows.items():
        if cell not in places:
            found.not_derived.append(f"{cell}: cells.csv has no such row")
            continue
        for column, text in table[places[cell]].items():
            if column in row and not same(text, row[str(column)]):
                told = str(cell), str(column), _shown(text), _shown(row[str(column)])
                found.differing.append(Difference(*told))
    found.not_derived += [
        f"{cell}: {stored.lacks(cell) or 'the configuration has no such cell'}"
        for cell in places
        if cell not in rows and cell not in failed
    ]


def _shown(value: Any) -> str:
    return "empty" if same("", value) else str(value)


def _compare_tables(
    stored: Stored, plan: Plan, rows: list[Row], derived: Layout, found: Derived
) -> None:
    """Compare the files of tables/, derived from the rows; without all of these from cells.csv."""
    here = Layout(stored.folder)
    shutil.copyfile(here.config, derived.config)
    for path in published_files(here):  # with what says whether they were changed since
        for each in (path, published_manifest(path).path):
            if each.is_file():
                copy = derived.root / each.relative_to(here.root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(each, copy)
    beside = [here.latency_csv, here.layers_csv, here.sensitivity_csv]
    if found.not_derived:
        for path in (here.cells_csv, *(path for path in beside if path.is_file())):
            shutil.copyfile(path, derived.root / path.name)
    else:
        names = list(plan.measure_jobs)
        jobs = [long_tables.of_job(plan, name) for name in names]
        long = {table: [row for job in jobs for row in job[table]] for table in jobs[0]}
        write_tables(plan, {"cells": rows, **long}, derived)
        _compare_files(beside, here.root, derived.root, found)
    if not here.tables.is_dir():  # a table alone, as one commits it
        return
    all_tables.write(read_all(derived), derived)
    both = {p.relative_to(r.root) for r in (here, derived) for p in r.tables.rglob("*")}
    _compare_files([here.root / path for path in sorted(both)], here.root, derived.root, found)


def _compare_files(paths: list[Path], root: Path, derived: Path, found: Derived) -> None:
    for path in paths:
        name = path.relative_to(root)
        other = derived / name
        if path.is_dir() or other.is_dir() or not (path.exists() or other.exists()):
            continue
        found.tables += other.exists()
        if not path.exists():
            found.differing_tables.append(f"{name} is missing")
        elif not other.exists():
            found.differing_tables.append(f"{name} does not follow from these records")
        elif not path.is_file() or path.read_bytes() != other.read_bytes():  # a pipe never ends
            found.differing_tables.append(f"{name} is not what follows from the cells")
