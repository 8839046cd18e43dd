"""Checks of a submission that need its table and its configuration alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from prunebench.experiment import registry
from prunebench.experiment.budget import budget
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import PARTS, Method
from prunebench.reproduce.submission.submission_findings import BROKEN, WARNING, SubmissionFinding
from prunebench.reproduce.submission.submission_folder import Submission
from prunebench.storage.coordinates import Coordinates, coordinates_of_row
from prunebench.storage.hashing import digest
from prunebench.storage.layout import Layout
from prunebench.storage.provenance import mismatched
from prunebench.storage.records import COLLAPSED, COLUMNS, DENSE, DIVERGED, FAILED, OK, PROVENANCE
from prunebench.text.private import without_paths

TABLE = "cells.csv"
_HEX = {"identity": 64, "config_hash": 64, "data_hash": 64, "label_hash": 64, "mask_hash": 64,
        "code_hash": 64, "weights_hash": 64, "lock_hash": 64, "commit": 40}  # fmt: skip
# a cell that failed has trained nothing and pruned nothing; a dense one has no mask
_NOT_OF_FAILED = ("label_hash", "mask_hash", "code_hash")
_MAY_LACK = ("lock_hash", "processor")
# units of an error that counts what the columns of samples count
_COUNTED = ("share of samples", "share of sequences")
_SHARES = {
    split: (f"{split}_error", f"stopped_{split}_error", *more)
    for split, more in (
        ("train", ("train_clean_error",)), ("val", ("noisy_val_error",)), ("test", ()),
    )
}  # fmt: skip
_ROUNDING = 1e-3  # of a sample: a share may be written with single precision
_ONE = ("commit", "lock_hash", "processor", "device", "python_version", "torch_version",
        "torchvision_version", "timm_version")  # fmt: skip


def columns(submission: Submission) -> Iterator[SubmissionFinding]:
    """Check that all columns are there; their types were checked when the table was read."""
    raw = submission.stored.raw
    for column in COLUMNS:
        if column not in raw.columns:
            outcome = BROKEN if column in PROVENANCE else WARNING
            yield SubmissionFinding(
                outcome, "columns", TABLE, f"column {column} is missing: collect the records again"
            )
    own = submission.stored.experiment.own_columns
    for column in raw.columns:
        if column not in COLUMNS and column not in own:
            yield SubmissionFinding(WARNING, "columns", TABLE, f"column {column} is unknown")


def grid(submission: Submission) -> Iterator[SubmissionFinding]:
    """Check that the table has the cells of the configuration, all of them and no others.

    Each must have the family and the parts that the configuration gives it.
    """
    stored = submission.stored
    plan = Plan(stored.experiment)
    expected = {
        cell.coordinates._replace(sparsity=round(cell.sparsity, 10))
        for baseline in plan.baselines
        for cell in plan.cells_on(baseline)
    }
    there = set(stored.rows)
    for cell in sorted(expected - there):
        what = "its dense baseline" if cell.method == DENSE else "the cell"
        told = f"{what} is missing; a cell that failed has a row as well"
        yield SubmissionFinding(BROKEN, "grid", f"{TABLE}: {cell}", told)
    for cell in sorted(there - expected):
        yield SubmissionFinding(BROKEN, "grid", f"{TABLE}: {cell}", "config.json has no such cell")
    methods = {method.name: method for method in stored.experiment.methods}
    for row in _rows(submission, expected & there):
        for column, value in _composition(submission, methods.get(row["method"])).items():
            found = row[column]
            found = without_paths(found) if isinstance(found, str) else found
            if _missing(found) or found != value:
                told = f"{column} is {row[column]}, but {value} in config.json"
                yield SubmissionFinding(BROKEN, "grid", f"{TABLE}: {coordinates_of_row(row)}", told)
    names = set(stored.cells["experiment"])
    if names != {stored.experiment.experiment}:
        told = f"experiment is {min(names)}, but {stored.experiment.experiment} in config.json"
        yield SubmissionFinding(BROKEN, "grid", TABLE, told)
    if len(stored.experiment.seeds) < 3:
        told = (
            f"{len(stored.experiment.seeds)} seed(s): with fewer than 3 there are no intervals,"
            " and no test can be significant"
        )
        yield SubmissionFinding(WARNING, "grid", "config.json", told)


def _composition(submission: Submission, method: Method | None) -> dict[str, Any]:
    """Columns of a row that follow from its method; a dense baseline (None) has no parts."""
    if method is None:
        return {"family": DENSE, "control": True}
    parts = {part: {"name": getattr(method, part).name} for part in PARTS}
    written = {part: submission.as_written(value)["name"] for part, value in parts.items()}
    names = {part: without_paths(name) for part, name in written.items()}
    return {"family": method.family, "control": method.control, **names}


def provenance(submission: Submission) -> Iterator[SubmissionFinding]:
    """Check that every row names its code, data and machine, and that the rows agree.

    The hashes of settings must be those of config.json, and rows of one task must have the same
    data.
    """
    stored = submission.stored
    warned: dict[str, list[str]] = {}  # what is the same of many rows is said once
    for row in _rows(submission):
        where = f"{TABLE}: {coordinates_of_row(row)}"
        for column in PROVENANCE:
            fault = _fault(row, column)
            if fault and fault[0] == WARNING:
                warned.setdefault(fault[1], []).append(where)
            elif fault:
                yield SubmissionFinding(fault[0], "provenance", where, fault[1])
        expected = _config_hash(submission, coordinates_of_row(row))
        if expected is not None and row["config_hash"] != expected:
            told = "config_hash differs from that of config.json: the record has other settings"
            yield SubmissionFinding(BROKEN, "provenance", where, told)
        threads = stored.experiment.compute.threads
        if str(row["threads"]) not in (str(threads), f"{threads}.0"):
            told = f"threads is {row['threads']}, but {threads} in config.json"
            yield SubmissionFinding(BROKEN, "provenance", where, told)
    for told, places in warned.items():
        where = places[0] if len(places) == 1 else f"{TABLE}: {len(places)} rows"
        yield SubmissionFinding(WARNING, "provenance", where, told)
    # every method sees the same images and the same wrong labels
    for column, group in (("data_hash", ["task"]), ("label_hash", ["task", "regime", "seed"])):
        counts = stored.cells.groupby(group)[column].nunique()
        for key in counts.index[counts > 1]:
            name = "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
            told = f"{column} differs between its rows: they do not have the same data"
            yield SubmissionFinding(BROKEN, "provenance", f"{TABLE}: {name}", told)
    for column in _ONE:
        if stored.cells[column].nunique() > 1:
            told = f"{column} differs between rows: they were not computed alike"
            yield SubmissionFinding(WARNING, "provenance", TABLE, told)
    yield from _files(submission)


def _fault(row: dict[str, Any], column: str) -> tuple[str, str] | None:
    """The outcome and the message for a field of PROVENANCE that is wrong, else None."""
    value = row[column]
    failed, dense = row["status"] == FAILED, row["method"] == DENSE
    if (failed and column in _NOT_OF_FAILED) or (dense and column == "mask_hash"):
        return None
    if column == "weights_hash" and _missing(value):  # weights that were drawn
        return None
    if column == "nondeterministic":  # empty is what it should be
        return None if _missing(value) else (WARNING, f"nondeterministic operations: {value}")
    if _missing(value):
        outcome = WARNING if column in _MAY_LACK else BROKEN
        return outcome, f"{column} is empty: run the experiment in a Git checkout"
    if column in _HEX and not re.fullmatch(f"[0-9a-f]{{{_HEX[column]}}}", str(value)):
        return BROKEN, f"{column} must be {_HEX[column]} hexadecimal digits, found {value!r}"
    if column == "dirty" and str(value).lower() != "false":
        return WARNING, "dirty: the code differed from its commit when this was computed"
    return None


def _config_hash(submission: Submission, cell: Coordinates) -> str | None:
    baselines, methods = _by_name(submission)
    baseline, method = baselines.get(cell[:4]), methods.get(cell.method)
    if baseline is None or (method is None and cell.method != DENSE):
        return None  # ``grid`` says so
    if method is None:
        return digest(baseline.settings())
    return digest([baseline.settings(), submission.as_written(method.settings())])


def _by_name(submission: Submission) -> tuple[dict[Any, Baseline], dict[str, Method]]:
    experiment = submission.stored.experiment
    baselines = {baseline.key: baseline for baseline in Plan(experiment).baselines}
    return baselines, {method.name: method for method in experiment.methods}


def _files(submission: Submission) -> Iterator[SubmissionFinding]:
    """Check that provenance.json belongs to this configuration and to this table."""
    layout, origin = Layout(submission.folder), submission.stored.provenance
    name = layout.provenance.name
    if origin is None:
        told = "the file is missing: lock file, machine, packages and command are not known"
        yield SubmissionFinding(WARNING, "provenance", name, told)
        return
    for key, file in mismatched(origin, layout.config, layout.cells_csv):
        told = f"{key} does not fit {file}: it was changed since, or is of another experiment"
        yield SubmissionFinding(BROKEN, "provenance", name, told)


def shares(submission: Submission) -> Iterator[SubmissionFinding]:
    """Check that errors which are shares of samples are those of whole numbers of samples."""
    kinds = {task.name: task.kind for task in submission.stored.experiment.tasks}
    units = {name: registry.find(TaskKindTraits, kind).traits.unit for name, kind in kinds.items()}
    for row in _rows(submission):
        if units.get(row["task"]) not in _COUNTED or row["status"] == FAILED:
            continue
        for split, columns in _SHARES.items():
            samples = _number(row, f"{split}_samples")
            for column in columns:
                wrong = _number(row, column) * samples
                if abs(math.remainder(wrong, 1)) > _ROUNDING:  # NaN is not
                    told = (
                        f"{column} is {row[column]}: of {samples:.0f} samples that is {wrong:.3f},"
                        " no whole number"
                    )
                    where = f"{TABLE}: {coordinates_of_row(row)}"
                    yield SubmissionFinding(BROKEN, "shares", where, told)


def _number(row: dict[str, Any], column: str) -> float:
    """A number of a row; NaN where there is none."""
    value = row.get(column)
    return math.nan if value is None or _missing(value) else float(value)


def budgets(submission: Submission) -> Iterator[SubmissionFinding]:
    """Check that every finished cell trained for as many epochs as its parts ask for."""
    baselines, methods = _by_name(submission)
    own: set[str] = set()
    for row in _rows(submission):
        cell = coordinates_of_row(row)
        baseline, method = baselines.get(cell[:4]), methods.get(cell.method)
        if row["status"] not in (OK, COLLAPSED) or baseline is None:
            continue
        training = baseline.training
        expected = float(training.epochs)
        if method is not None:
            asked = budget(method, training, cell.sparsity)
            if asked is None:
                own.add(method.name)
                continue
            expected = asked
        epochs = float(row["train_epochs"])
        searched = row.get("search_epochs")
        if searched is not None and not _missing(searched):
            epochs -= float(searched)  # the search of an allocation is no training, has no budget
        if not abs(epochs - expected) < 1e-6:
            told = f"train_epochs is {epochs:g}, the budget {expected:g}"
            yield SubmissionFinding(BROKEN, "budget", f"{TABLE}: {cell}", told)
    for name in sorted(own):
        told = "the budget was not checked: its schedule or recovery does not ship with prunebench"
        yield SubmissionFinding(WARNING, "budget", name, told)


def statuses(submission: Submission) -> Iterator[SubmissionFinding]:
    """Name the cells that failed or diverged, and so leave every comparison, and why."""
    for row in _rows(submission):
        if row["status"] in (FAILED, DIVERGED):
            told = f"{row['status']}: {row['message']}"
            yield SubmissionFinding(WARNING, "status", f"{TABLE}: {coordinates_of_row(row)}", told)


def _rows(submission: Submission, cells: set[Coordinates] | None = None) -> list[dict[str, Any]]:
    rows = submission.stored.cells.to_dict("records")
    every: list[dict[str, Any]] = [{str(key): v for key, v in row.items()} for row in rows]
    return [row for row in every if cells is None or coordinates_of_row(row) in cells]


def _missing(value: Any) -> bool:
    return bool(pd.isna(value))
