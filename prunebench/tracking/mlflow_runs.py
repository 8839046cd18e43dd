"""What MLflow shall show of an experiment, read from its files; knows nothing of MLflow itself."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.storage import records
from prunebench.storage.files import read_json
from prunebench.storage.layout import HISTORY, Layout
from prunebench.tracking.cells_csv import Place, Row, key_of, number, place_of, read_rows

EXPERIMENT_KEY = "experiment"  # the key of the run of the whole grid
# what a run is, as a tag to filter by
LEVEL, EXPERIMENT, BASELINE, CURVE, CELL = "level", "experiment", "baseline", "curve", "cell"
# sections of their own in MLflow's charts; val_error is in all three
HISTORY_PREFIX, CURVE_PREFIX = "history/", "curve/"
_METRICS = (*records.SIZE, *records.QUALITY, *records.COST)
# what a curve is looked at for, and what it can be drawn against; the cells below it have the rest
_CURVE_METRICS = (
    *(f"{split}_error" for split in records.SPLITS), "generalization_gap", "test_nll", "test_ece",
    "memorized", "flips", "corrupted_error", "compression_ratio",
)  # fmt: skip
_HASHES = tuple(name for name in records.PROVENANCE if name.endswith(("hash", "commit", "dirty")))
_SETUP = tuple(name for name in records.PROVENANCE if name not in {*_HASHES, "identity"})
# of no use as a parameter: names are there already, prose has its own place, paths are private
_NOT_PARAMETERS = {"name", "description", "paper", "path", "family", "training"}
# columns of the record, with the key of the configuration that lists their entries
_ENTRIES = (("task", "tasks"), ("regime", "regimes"), ("model", "models"), ("method", "methods"))

Metrics = tuple[tuple[str, float, int], ...]


@dataclass(frozen=True)
class Run:
    """One run as it shall be: ``metrics`` are (name, value, step), ``seconds`` its duration.

    ``parent``: the key of the run that it hangs under, None at the top.
    """

    key: str
    parent: str | None
    name: str
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: Metrics = ()
    failed: bool = False
    seconds: float = 0.0

    @property
    def is_cell(self) -> bool:
        """Whether it shows a row of the table; a curve gathers several."""
        return self.tags[LEVEL] != CURVE

    @cached_property
    def content(self) -> str:
        """Hash of all that is exported: another hash, another run."""
        parts = [self.name, self.tags, self.params, self.metrics, self.failed]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def step_of(sparsity: float) -> int:
    """The step of a cell's metrics: its nominal compression in hundredths of an octave.

    MLflow's axis is linear in steps: in steps of sparsity, all that is above 90 % would be one
    point. 100 is half of the weights left, 200 a quarter; 0 is the dense baseline.
    """
    return round(-100 * math.log2(1 - sparsity))


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

    def about(self, row: Row) -> list[str]:
        """What the configuration says in words of the row's method."""
        method = self.entry("method", row)
        return [text for key in ("description", "paper") if (text := method.get(key))]


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


def _present(values: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


class _Reader:
    """Turns the rows of one experiment into its runs."""

    def __init__(self, layout: Layout, rows: Sequence[Row], settings: Settings) -> None:
        self.layout, self.path, self.settings = layout, layout.cells_csv, settings
        self.rows = {place_of(row, self.path): row for row in rows}

    def runs(self) -> Iterator[Run]:
        """Baselines, curves and cells: each after the one that it hangs under.

        Curves hang under nothing: MLflow's charts leave out what is folded in below another run.
        """
        curves: dict[tuple[str, str, str, int, str], list[Place]] = {}
        for place, row in self.rows.items():
            if place[4] == records.DENSE:
                yield self._cell(place, row, BASELINE)
            else:
                curves.setdefault(place[:5], []).append(place)
        for places in curves.values():
            yield self._curve(sorted(places))
        for places in curves.values():
            for place in places:
                yield self._cell(place, self.rows[place], CELL)

    def _value(self, row: Row, name: str) -> float | None:
        return number(row, name, self.path)

    def _seconds(self, row: Row) -> float:
        return sum(self._value(row, name) or 0.0 for name in ("train_seconds", "prune_seconds"))

    def _cell(self, place: Place, row: Row, level: str) -> Run:
        sparsity = place[-1]
        head = place[4] if level == BASELINE else f"{place[4]} {100 * sparsity:.6g} %"
        values = {name: self._value(row, name) for name in _METRICS}
        metrics = [(name, v, step_of(sparsity)) for name, v in values.items() if v is not None]
        note = [row["message"], *self.settings.about(row)]
        tags = {
            **{name: row[name] for name in (*records.IDENTITY, "status", *_HASHES)},
            "prunebench.experiment.code_identity": row["identity"],
            "mlflow.source.git.commit": row["commit"],
            "mlflow.note.content": "\n\n".join(filter(None, note)) or None,
        }
        params = {name: row[name] for name in (*records.IDENTITY[1:], *_SETUP)}
        return Run(
            key=key_of(*place),
            parent=EXPERIMENT_KEY if level == BASELINE else key_of(*place[:5]),
            name=f"{head} · {_setting(place)}",
            tags={**_present(tags), LEVEL: level},
            params=_present(params) | self.settings.params(row),
            metrics=(*metrics, *_history(self.layout.cell(*place) / HISTORY)),
            failed=row["status"] in (records.FAILED, records.DIVERGED),
            seconds=self._seconds(row),
        )

    def _curve(self, places: Sequence[Place]) -> Run:
        """One method on one baseline: its metrics over sparsity, from the baseline on."""
        first, rows = self.rows[places[0]], [self.rows[place] for place in places]
        dense = (*places[0][:4], records.DENSE, 0.0)
        points = [*([dense] if dense in self.rows else []), *places]
        metrics = tuple(
            (CURVE_PREFIX + name, value, step_of(place[-1]))
            for place in points
            for name in _CURVE_METRICS
            if (value := self._value(self.rows[place], name)) is not None
        )
        counts = Counter(row["status"] or "unknown" for row in rows)
        said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        names = [name for name in records.IDENTITY if name != "sparsity"]
        note = [*self.settings.about(first), f"{len(rows)} sparsities: {said}"]
        return Run(
            key=key_of(*places[0][:5]),
            parent=None,
            name=f"{places[0][4]} · {_setting(places[0])}",
            tags={
                **_present({name: first[name] for name in names}),
                LEVEL: CURVE,
                "status": next(iter(counts)) if len(counts) == 1 else said,
                "mlflow.note.content": "\n\n".join(note),
            },
            params=_present({name: first[name] for name in names[1:]})
            | self.settings.params(first),
            metrics=metrics,
            seconds=sum(self._seconds(row) for row in rows),
        )


def _setting(place: Place) -> str:
    task, regime, model, seed, *_ = place
    return f"{task} {regime} · {model} · seed {seed}"


def read_config(layout: Layout) -> dict[str, Any]:
    """The resolved configuration; empty where there is none, as of tables that were copied."""
    config = read_json(layout.config) if layout.config.exists() else {}
    return config if isinstance(config, dict) else {}


def read_runs(layout: Layout) -> list[Run]:
    """The runs of all cells and curves, each after the one that it hangs under.

    Raises PrunebenchError where a file is missing or damaged, or a cell is there twice.
    """
    rows = read_rows(layout)
    counts = Counter(key_of(*place_of(row, layout.cells_csv)) for row in rows)
    for key, count in counts.items():
        if count > 1:
            raise PrunebenchError(f"{layout.cells_csv}: {key} is there twice")
    return list(_Reader(layout, rows, Settings(read_config(layout))).runs())
