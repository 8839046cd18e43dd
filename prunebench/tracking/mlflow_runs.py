"""The runs that MLflow shall show of an experiment, from its files; knows nothing of MLflow."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.statistics.cells_table import read_text, typed
from prunebench.storage import records
from prunebench.storage.coordinates import Coordinates, coordinates_of_row
from prunebench.storage.files import read_json, sha256_file
from prunebench.storage.layout import HISTORY, Layout, sparsity_name

EXPERIMENT_KEY = "experiment"  # the key of the run of the whole grid
NOTE = "mlflow.note.content"  # the tag that MLflow shows as a description
# tag that says what a run shows, to filter by
LEVEL, EXPERIMENT, BASELINE, CURVE, CELL = "level", "experiment", "baseline", "curve", "cell"
# each prefix is a section of its own in MLflow's charts; val_error is a metric of all three
HISTORY_PREFIX, CURVE_PREFIX = "history/", "curve/"
_CELL_METRICS = (*records.SIZE, *records.QUALITY, *records.COST)
# what a curve is looked at for, and what it can be drawn against; its cells have the rest
_CURVE_METRICS = (
    *(f"{split}_error" for split in records.SPLITS), "generalization_gap", "test_nll", "test_ece",
    "memorized", "flips", "corrupted_error", "compression_ratio",
)  # fmt: skip
_CURVE_IDENTITY = tuple(name for name in records.IDENTITY if name != "sparsity")
_HASHES = tuple(name for name in records.PROVENANCE if name.endswith(("hash", "commit", "dirty")))
_SETUP = tuple(name for name in records.PROVENANCE if name not in {*_HASHES, "identity"})
# settings that are no parameters: names are shown already, prose is in the note, paths are private
_NOT_PARAMETERS = {"name", "description", "paper", "path", "family", "training"}
# columns of the record, with the key of the configuration that lists their entries
_ENTRIES = {"task": "tasks", "regime": "regimes", "model": "models", "method": "methods"}

Metrics = tuple[tuple[str, float, int], ...]  # name, value, step


@dataclass(frozen=True)
class MlflowRun:
    """One run as MLflow shall show it."""

    key: str  # names it among all runs of the experiment
    parent: str | None  # key of the run that it hangs under; None at the top
    name: str
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: Metrics = ()
    failed: bool = False
    seconds: float = 0.0  # its duration
    files: dict[str, Path] = field(default_factory=dict)  # by their path in MLflow

    @property
    def is_cell(self) -> bool:
        """Whether it shows one row of the table."""
        return self.tags[LEVEL] in (BASELINE, CELL)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that is exported: a run with another digest is replaced."""
        parts = [self.name, self.tags, self.params, self.metrics, self.failed]
        parts += [[name, sha256_file(path)] for name, path in self.files.items()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def step_of(sparsity: float) -> int:
    """Return the step of a cell's metrics: its nominal compression ratio in hundredths.

    Steps are whole numbers: in per cent of sparsity, all that is above 99 % would be one point.
    100 is the dense baseline, 200 half of the weights left, 1000 a tenth. On a logarithmic axis,
    which MLflow's charts have, equal ratios are equally far apart.

    Args:
        sparsity: The fraction of the weights that is removed, in [0, 1).
    """
    return round(100 / (1 - sparsity))


def read_config(layout: Layout) -> dict[str, Any]:
    """Return the resolved configuration; empty where there is none, as of a table that was copied.

    Args:
        layout: The folders of the experiment.

    Raises:
        PrunebenchError: The file is damaged.
    """
    config = _of_type(dict, read_json(layout.config) if layout.config.exists() else {})
    # it is described, never run: a value of another kind, which anybody may have written, is not
    lists = ("tasks", "regimes", "models", "methods", "seeds", "sparsities")
    kinds = {**dict.fromkeys(lists, list), "training": dict}
    return {key: _of_type(kinds.get(key, type(value)), value) for key, value in config.items()}


def read_runs(layout: Layout) -> list[MlflowRun]:
    """Return the runs of all baselines, curves and cells, each after the one that it hangs under.

    Curves hang under nothing: MLflow's charts leave out runs that are folded in below another.
    They show the first ten alone, so the curves of primary and highlighted methods are the first;
    where none is declared primary, as in the leaderboard, those of all methods but the controls.

    Args:
        layout: The folders of the experiment.

    Raises:
        PrunebenchError: A file is missing or damaged, or the table is no table of cells.
    """
    rows = {row.cell: row for row in _table_rows(layout)}
    curves: dict[str, list[_TableRow]] = {}
    for row in rows.values():
        if not row.is_dense:
            curves.setdefault(row.curve, []).append(row)
    config = read_config(layout)
    primary = _names_of(config, "analysis", "primary") or [
        cells[0].cell.method for cells in curves.values() if not cells[0].is_control
    ]
    shown = [*primary, *_names_of(config, "report", "highlight")]
    curves = dict(sorted(curves.items(), key=lambda item: item[1][0].cell.method not in shown))
    return [
        *(_cell_run(row) for row in rows.values() if row.is_dense),
        *(_curve_run(cells, rows.get(cells[0].cell.baseline)) for cells in curves.values()),
        *(_cell_run(row) for cells in curves.values() for row in cells),
    ]


def _names_of(config: dict[str, Any], section: str, key: str) -> list[Any]:
    return _of_type(list, _of_type(dict, config.get(section)).get(key))


@dataclass(frozen=True)
class _TableRow:
    """One row of the table, and what the configuration says of it."""

    cell: Coordinates
    text: dict[str, str]  # without the columns that are empty
    settings: dict[str, str]
    about: list[str]  # the method in words
    history: Path

    @property
    def is_dense(self) -> bool:
        return self.cell.method == records.DENSE

    @property
    def is_control(self) -> bool:
        return self.text.get("control") == "True"

    @property
    def curve(self) -> str:
        """The key of its curve; that of the cell is longer by the sparsity."""
        return "{}/{}/{}/seed-{}/{}".format(*self.cell)

    def name(self, method: str) -> str:
        """The name of a run: a method, and what it was trained on."""
        return "{4} · {0} {1} · {2} · seed {3}".format(*self.cell._replace(method=method))

    def present(self, columns: Sequence[str]) -> dict[str, str]:
        """The columns that are not empty."""
        return {column: self.text[column] for column in columns if column in self.text}

    def metrics(self, columns: Sequence[str], prefix: str = "") -> Metrics:
        """The columns that hold a finite number, at the step of its sparsity."""
        step = step_of(self.cell.sparsity)
        values = {column: float(text) for column, text in self.present(columns).items()}
        return tuple((prefix + c, value, step) for c, value in values.items() if isfinite(value))

    def seconds(self) -> float:
        """The time of training and pruning."""
        return sum(value for _, value, _ in self.metrics(("train_seconds", "prune_seconds")))


def _table_rows(layout: Layout) -> Iterator[_TableRow]:
    config = read_config(layout)
    entries = {
        (column, entry.get("name")): entry
        for column, plural in _ENTRIES.items()
        for entry in config.get(plural, [])
        if isinstance(entry, dict)
    }
    table = read_text(layout.cells_csv, "; run the grid first")
    checked = typed(table, str(layout.cells_csv))[list(records.COORDINATES)].to_dict("records")
    for coordinates, values in zip(checked, table.to_dict("records"), strict=True):
        cell = coordinates_of_row(coordinates)
        text = {str(column): value for column, value in values.items() if isinstance(value, str)}
        said = {column: entries.get((column, text[column]), {}) for column in _ENTRIES}
        both = (config.get("training"), said["model"].get("training"))
        training = {k: v for part in both for k, v in _of_type(dict, part).items()}
        settings = [*_flat("training", training), *(x for c in said for x in _flat(c, said[c]))]
        about = [str(x) for key in ("description", "paper") if (x := said["method"].get(key))]
        yield _TableRow(cell, text, dict(settings), about, layout.cell(*cell) / HISTORY)


def _of_type(kind: type[Any], value: Any) -> Any:
    """Return a value, or an empty one where it is not of its kind: anybody may have written it."""
    return value if isinstance(value, kind) else kind()


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Settings as parameters, as ``method.criterion`` = magnitude; those without a value not."""
    if isinstance(value, dict):
        if "name" in value and prefix.count("."):  # a part: {name, parameters}
            yield prefix, str(value["name"])
            value = _of_type(dict, value.get("parameters"))
        for key, item in value.items():
            if key not in _NOT_PARAMETERS:
                yield from _flat(f"{prefix}.{key}", item)
    elif value not in (None, "", []):
        yield prefix, str(value)


def _history(path: Path) -> Iterator[tuple[str, float, int]]:
    """Finite values per epoch; none where there is no file."""
    if not path.exists():
        return
    epochs = read_json(path)
    if not isinstance(epochs, list) or not all(isinstance(epoch, dict) for epoch in epochs):
        raise PrunebenchError(f"{path} is damaged: not a list of epochs")
    steps = [epoch.get("epoch") for epoch in epochs]
    # an iterative schedule may count from 0 in every round; a step must not come twice
    if not all(isinstance(step, int) for step in steps) or any(a >= b for a, b in pairwise(steps)):
        steps = list(range(len(epochs)))
    for step, epoch in zip(steps, epochs, strict=True):
        for name, value in epoch.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if name != "epoch" and number and isfinite(value):
                yield HISTORY_PREFIX + name, float(value), step


def _cell_run(row: _TableRow) -> MlflowRun:
    text, method = row.text, row.cell.method
    more = {
        "prunebench.identity": text.get("identity"),
        "mlflow.source.git.commit": text.get("commit"),
        NOTE: "\n\n".join(filter(None, [text.get("message"), *row.about])),
        LEVEL: BASELINE if row.is_dense else CELL,
    }
    return MlflowRun(
        key=f"{row.curve}/{sparsity_name(row.cell.sparsity)}",
        parent=EXPERIMENT_KEY if row.is_dense else row.curve,
        name=row.name(method if row.is_dense else f"{method} {100 * row.cell.sparsity:.6g} %"),
        tags=row.present((*records.IDENTITY, "status", *_HASHES))
        | {name: value for name, value in more.items() if value},
        params=row.present((*records.IDENTITY[1:], *_SETUP)) | row.settings,
        metrics=(*row.metrics(_CELL_METRICS), *_history(row.history)),
        failed=text["status"] in (records.FAILED, records.DIVERGED),
        seconds=row.seconds(),
    )


def _curve_run(rows: Sequence[_TableRow], dense: _TableRow | None) -> MlflowRun:
    """One method on one baseline: its metrics over sparsity, from the baseline on."""
    rows = sorted(rows, key=lambda row: row.cell.sparsity)
    counts = Counter(row.text["status"] for row in rows)
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    first, points = rows[0], [*([dense] if dense else []), *rows]
    tags = {
        LEVEL: CURVE,
        "status": statuses if len(counts) > 1 else first.text["status"],
        NOTE: "\n\n".join([*first.about, f"{len(rows)} sparsities: {statuses}"]),
    }
    return MlflowRun(
        key=first.curve,
        parent=None,
        name=first.name(first.cell.method),
        tags=first.present(_CURVE_IDENTITY) | tags,
        params=first.present(_CURVE_IDENTITY[1:]) | first.settings,
        metrics=tuple(m for row in points for m in row.metrics(_CURVE_METRICS, CURVE_PREFIX)),
        seconds=sum(row.seconds() for row in rows),
    )
