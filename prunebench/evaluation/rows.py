"""Make rows of cells.csv from stored cells. numpy alone: it starts at once and runs anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError, shown
from prunebench.evaluation.arrays import load_arrays
from prunebench.evaluation.generalization import MEASURES, quality
from prunebench.evaluation.own_measures import OwnMeasures
from prunebench.experiment import registry, training_gate
from prunebench.experiment.code_identity import code_hash
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.part_kinds import Recovery, TaskKindTraits
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import PARTS, Method
from prunebench.storage.layout import (  # fmt: skip
    FACTS,
    LATENCY,
    PREDICTIONS,
    PROBES,
    RECORD,
    REMOVED,
    STOPPED,
    TARGETS,
    VAL_AFTER,
    VAL_BEFORE,
)
from prunebench.storage.manifest import removal
from prunebench.storage.records import (
    ASIDE,
    COLUMNS,
    DENSE,
    DIVERGED,
    FAILED,
    SPLITS,
    TRAINED_OUT,
    row,
)
from prunebench.storage.sealed_content import (
    MEASURED_OF,
    measured_of,
    read_looks,
    read_record,
)
from prunebench.tasks.predictions import Floats, Predictions
from prunebench.tasks.task_kind import stored_kind
from prunebench.text.private import without_paths

# said in the row itself: the other rows may be measured by newer code
STALE = "measured by earlier code: its predictions were removed (compute: keep)"


class Targets:
    """A baseline's targets and its own predictions, read once for all cells on it."""

    def __init__(self, plan: Plan, baseline: Baseline) -> None:
        self.baseline = baseline
        self.code = code_hash(plan.measure_sources())
        self.own = OwnMeasures(plan.experiment)
        folder = plan.layout.baseline(*baseline.key)
        timed = baseline.key in plan.timed
        self.looks = {PROBES: bool(plan.probe_jobs), LATENCY: timed}
        targets = load_arrays(folder / TARGETS)
        self.clean = targets.pop("train_clean")
        self.noisy_val = targets.pop("noisy_val", None)
        self.targets = {split: targets.pop(split) for split in SPLITS}
        self.context = targets  # what the kind of task says of the samples beside their targets
        self.kind = stored_kind(folder / FACTS)
        stored = _doubles(load_arrays(folder / PREDICTIONS))
        self.val, self.test = stored["val"], stored["test"]
        regime = baseline.regime
        noisy = regime.label_noise > 0
        self.regime = {
            "label_noise": regime.label_noise, "noise": regime.noise if noisy else None,
            "train_samples": len(self.clean), "val_samples": len(self.targets["val"]),
            "test_samples": len(self.targets["test"]), "augmentation": regime.augmentation,
            "width": regime.width,
        }  # fmt: skip
        self.chance = self.kind.constant_error(self.targets["train"])
        found = self.kind.read(stored["train"])
        self.train_error = self.kind.error(found, self.targets["train"])
        self.memorizes = registry.find(TaskKindTraits, baseline.task.kind).traits.memorizes
        self.under_trained = training_gate.under_trained(
            self.train_error, noisy=noisy, augmented=regime.augmentation, memorizes=self.memorizes
        )

    def row(self, folder: Path, method: Method | None) -> dict[str, Any]:
        """Return the record of a cell with its measures; without a method it is the baseline's."""
        stored = read_record(folder / RECORD, MEASURED_OF)
        record = {k: v for k, v in stored.items() if k not in ASIDE}
        record |= _composition(method) | self.regime
        if record["status"] in (FAILED, DIVERGED):
            return row(record, self.own.columns)
        removed = removal(folder, stored)
        if PREDICTIONS in removed["removed"]:
            # a measure may have been renamed or dropped since
            measured, known = measured_of(folder / REMOVED, removed), {*MEASURES, *self.own.names}
            record |= {k: v for k, v in measured["values"].items() if k in known}
            notes = [STALE] if measured["code"] != self.code else []
        else:
            measured, notes = self.measures(folder)
            record |= measured
        for name, wanted in self.looks.items():
            if wanted:
                values = read_looks(folder / name)["values"]
                if unknown := values.keys() - {*COLUMNS, *self.own.columns}:
                    raise PrunebenchError(
                        f"{folder / name} holds values of no column: {shown(min(unknown))}"
                    )
                record |= values
        record |= self._training(record, method)
        if self.under_trained:
            notes.append(f"under-trained: the baseline's training error is {self.train_error:.3f}")
        record["message"] = "; ".join(part for part in (record["message"], *notes) if part)
        return row(record, self.own.columns)

    def _training(self, record: dict[str, Any], method: Method | None) -> dict[str, Any]:
        """Return how the training of a measured cell ended."""
        traits = method.spec(Recovery).traits if method else Recovery()
        capacity = training_gate.Capacity(
            compression=record["compression_ratio"],
            hindered=self.baseline.regime.augmentation or traits.regularizes,
            chance=self.chance,
            memorizes=self.memorizes,
        )
        error = record["train_error"]
        # weights that are taken as they are have no training that could have gone on
        trained = record["train_epochs"] - record.get("search_epochs", 0.0)
        fall = record["train_loss_fall"] if trained else 0.0
        outcome = training_gate.outcome(error, fall, capacity, stops=traits.stops)
        above = outcome == TRAINED_OUT and error > training_gate.MEMORIZED_AT
        return {"training_outcome": outcome, "plateau": above}

    def measures(self, folder: Path) -> tuple[dict[str, Any], list[str]]:
        """Return the measures of a cell's stored predictions, and what failed of one's own."""
        predictions = self.predictions(folder)
        own, faults = self.own.values(predictions)
        return quality(predictions) | own, faults

    def predictions(self, folder: Path) -> Predictions:
        """Return the stored predictions of a cell, which measures are taken of."""
        stored = _doubles(load_arrays(folder / PREDICTIONS))
        stopped = {s: stored[f"{STOPPED}{s}"] for s in SPLITS if f"{STOPPED}{s}" in stored}
        return Predictions(
            self.kind,
            {split: stored[split] for split in SPLITS},
            self.targets,
            self.clean,
            self.test,
            baseline_val=self.val,
            noisy_val=self.noisy_val,
            val_before=stored.get(VAL_BEFORE),
            val_after=stored.get(VAL_AFTER),
            stopped=stopped or None,
            context=self.context,
        )


def _doubles(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    return {name: value.astype(np.float64) for name, value in arrays.items()}


def _composition(method: Method | None) -> dict[str, Any]:
    """Return the columns of a method's parts; a dense baseline (None) has none."""
    if method is None:
        return {"control": True, "base_method": DENSE, "recovery_length": 1.0}
    return {
        "control": method.control, "base_method": method.base_method or method.name,
        "recovery_length": method.length,
    } | {part: without_paths(getattr(method, part).name) for part in PARTS}  # fmt: skip


def rows(plan: Plan, name: str) -> list[dict[str, Any]]:
    """Return the rows of the cells of a job, each baseline's own first."""
    found: list[dict[str, Any]] = []
    targets: Targets | None = None
    for cell in plan.cells_of("measures", name):
        if targets is None or targets.baseline != cell.baseline:
            targets = Targets(plan, cell.baseline)
        found.append(targets.row(cell.folder, cell.method))
    return found
