"""What MLflow shall show of an experiment, read from its files; knows nothing of MLflow itself."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from prunebench import records
from prunebench.errors import PrunebenchError
from prunebench.files import read_json, sha256_file
from prunebench.layout import HISTORY, Layout

EXPERIMENT_KEY = "experiment"  # the key of the run that all others hang under
HISTORY_PREFIX = "history/"  # a section of its own in MLflow's charts; also val_error is twofold
_METRICS = (*records.SIZE, *records.QUALITY, *records.COST)
_HASHES = tuple(name for name in records.PROVENANCE if name.endswith(("hash", "commit", "dirty")))
_SETUP = tuple(name for name in records.PROVENANCE if name not in {*_HASHES, "identity"})
# of no use as a parameter: names are there already, prose has its own place, paths are private
_NOT_PARAMETERS = {"name", "description", "paper", "path", "family", "training"}
# columns of the record, with the key of the configuration that lists their entries
_ENTRIES = (("task", "tasks"), ("regime", "regimes"), ("model", "models"), ("method", "methods"))

Row = dict[str, str | None]
Place = tuple[str, str, str, int, str, float]  # task, regime, model, seed, method, sparsity


@dataclass(frozen=True)
class Run:
    """One run as it shall be: ``metrics`` are (name, value, step), ``seconds`` its duration."""

    key: str
    parent: str | None
    name: str
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: tuple[tuple[str, float, int], ...] = ()
    failed: bool = False
    seconds: float = 0.0

    @cached_property
    def content(self) -> str:
        """Hash of all that is exported: another hash, another run."""
        parts = [self.name, self.tags, self.params, self.metrics, self.failed]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def step_of(sparsity: float) -> int:
    """The step of a cell's metrics: its target sparsity in hundredths of a percent."""
    return round(sparsity * 10_000)


def read_rows(layout: Layout) -> list[Row]:
    """The rows of ``cells.csv`` as text, missing values None.

    Raises PrunebenchError where the table is absent, unreadable or lacks columns.
    """
    path = layout.cells_csv
    try:
        # a regime may well be called "none" or "NA"
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise PrunebenchError(f"{path} is missing: run the grid first") from None
    except (ValueError, OSError) as error:
        raise PrunebenchError(f"{path} is damaged: {error}") from error
    missing = [column for column in records.COLUMNS if column not in table]
    if missing:
        raise PrunebenchError(f"{path} lacks the columns {', '.join(missing)}")
    cells = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(column): value for column, value in cell.items()} for cell in cells]


def _number(row: Row, column: str, path: Path) -> float | None:
    text = row[column]
    try:
        value = math.nan if text is None else float(text)
    except ValueError:
        raise PrunebenchError(f"{path}: {column} is {text!r}, not a number") from None
    return value if math.isfinite(value) else None


def _place(row: Row, path: Path) -> Place:
    """Where a row stands in the grid; PrunebenchError where it does not say so."""
    names = [row[column] for column in ("task", "regime", "model", "method")]
    seed, sparsity = _number(row, "seed", path), _number(row, "sparsity", path)
    task, regime, model, method = names
    if not (task and regime and model and method) or seed is None or sparsity is None:
        raise PrunebenchError(f"{path}: a row does not say which cell it is")
    return task, regime, model, int(seed), method, sparsity


def _key(task: str, regime: str, model: str, seed: int, method: str, sparsity: float) -> str:
    return f"{task}/{regime}/{model}/seed-{seed}/{method}/{sparsity:.10g}"


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Settings as parameters: ``method.criterion`` = magnitude; what is empty says nothing."""
    if isinstance(value, dict):
        if "name" in value and prefix.count("."):  # a part: {name, parameters}
            yield prefix, str(value["name"])
            value = value.get("parameters") or {}
        for key, item in value.items():
            if key not in _NOT_PARAMETERS:
                yield from _flat(f"{prefix}.{key}", item)
    elif value not in (None, "", []):
        yield prefix, str(value)


class Settings:
    """The resolved configuration, asked for what concerns one row."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._training = config.get("training") or {}
        self._entries = {
            (column, entry.get("name")): entry
            for column, plural in _ENTRIES
            for entry in config.get(plural) or []
            if isinstance(entry, dict)
        }

    def entry(self, column: str, row: Row) -> dict[str, Any]:
        """What the configuration says of the row's task, regime, model or method."""
        return self._entries.get((column, row[column]), {})

    def params(self, row: Row) -> dict[str, str]:
        """Every setting of a row, flat."""
        training = {**self._training, **(self.entry("model", row).get("training") or {})}
        flat = dict(_flat("training", training))
        for column, _ in _ENTRIES:
            flat.update(_flat(column, self.entry(column, row)))
        return flat


def _history(path: Path) -> Iterator[tuple[str, float, int]]:
    """Per-epoch values, where there are any; null and non-numbers are left out."""
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
            if name == "epoch" or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if math.isfinite(value):
                yield HISTORY_PREFIX + name, float(value), step


def _cell(
    layout: Layout,
    row: Row,
    place: Place,
    settings: Settings,
    known: frozenset[str],
    several_tasks: bool,
) -> Run:
    """The run of one row, ``known`` being the keys of all rows."""
    path = layout.cells_csv
    task, regime, model, seed, method, sparsity = place
    baseline = _key(task, regime, model, seed, records.DENSE, 0.0)
    dense = method == records.DENSE
    where = [*([task] if several_tasks else []), regime, model, f"seed {seed}"]
    head = method if dense else f"{method} {100 * sparsity:.6g} %"
    values = {name: _number(row, name, path) for name in _METRICS}
    metrics = [(name, v, step_of(sparsity)) for name, v in values.items() if v is not None]
    about = settings.entry("method", row)
    note = [row["message"], about.get("description"), about.get("paper")]
    tags = {
        **{name: row[name] for name in (*records.IDENTITY, "status", *_HASHES)},
        "prunebench.identity": row["identity"],
        "mlflow.source.git.commit": row["commit"],
        "mlflow.note.content": "\n\n".join(filter(None, note)) or None,
    }
    params = {name: row[name] for name in (*records.IDENTITY[1:], *_SETUP)}
    folder = layout.cell(task, regime, model, seed, method, sparsity)
    return Run(
        key=_key(*place),
        parent=baseline if not dense and baseline in known else EXPERIMENT_KEY,
        name=" · ".join([head, *where]),
        tags={name: value for name, value in tags.items() if value is not None},
        params={k: v for k, v in params.items() if v is not None} | settings.params(row),
        metrics=(*metrics, *_history(folder / HISTORY)),
        failed=row["status"] in (records.FAILED, records.DIVERGED),
        seconds=(values["train_seconds"] or 0.0) + (values["prune_seconds"] or 0.0),
    )


def artifacts(layout: Layout) -> dict[str, Path]:
    """Files for people, by the path that they get in MLflow."""
    pages = [page(kind) for page in (layout.leaderboard, layout.report) for kind in ("html", "md")]
    found = [layout.cells_csv, layout.config, *pages]
    found += [*layout.figures.glob("*.png"), *(p for p in layout.tables.glob("*") if p.is_file())]
    return {
        path.relative_to(layout.root).as_posix(): path for path in sorted(found) if path.is_file()
    }


def experiment_digest(files: dict[str, Path], description: str) -> str:
    """Changes when any of the artifacts or the description does."""
    parts = [description, *([name, sha256_file(path)] for name, path in files.items())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def read_runs(layout: Layout) -> list[Run]:
    """The runs of all cells, each after the one that it hangs under, in the order of the table.

    Raises PrunebenchError where a file is missing or damaged, or a cell is there twice.
    """
    rows = read_rows(layout)
    config = read_json(layout.config) if layout.config.exists() else {}
    settings = Settings(config if isinstance(config, dict) else {})
    places = [_place(row, layout.cells_csv) for row in rows]
    keys = [_key(*place) for place in places]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise PrunebenchError(f"{layout.cells_csv}: {twice} is there twice")
    known = frozenset(keys)
    several = len({task for task, *_ in places}) > 1
    runs = [
        _cell(layout, row, place, settings, known=known, several_tasks=several)
        for row, place in zip(rows, places, strict=True)
    ]
    return sorted(runs, key=lambda run: run.parent != EXPERIMENT_KEY)
