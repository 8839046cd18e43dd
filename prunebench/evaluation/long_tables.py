"""Rows of the tables that have more than one row for a cell: latencies and layers. numpy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from prunebench.evaluation.arrays import load_arrays
from prunebench.experiment.plan import Plan
from prunebench.storage.layout import LATENCY, MASKS, RECORD, REMOVED
from prunebench.storage.manifest import removal
from prunebench.storage.records import DIVERGED, FAILED, LATENCY_COLUMNS, LAYER_COLUMNS
from prunebench.storage.sealed_content import measured_of, read_looks, read_record

Row = dict[str, Any]


def latencies(plan: Plan, name: str) -> list[Row]:
    """Return all times measured on a job's cells: LATENCY_COLUMNS, None where one is missing."""
    found: list[Row] = []
    timed = plan.timed
    for cell in plan.cells_of("measures", name):
        if cell.baseline.key in timed and _has_network(cell.folder):
            found += [
                dict.fromkeys(LATENCY_COLUMNS) | cell.coordinates._asdict() | row
                for row in read_looks(cell.folder / LATENCY).get("rows", [])
            ]
    return found


def layers(plan: Plan, name: str) -> list[Row]:
    """Return what each layer kept: LAYER_COLUMNS. Of the first seed only: it is for a picture."""
    found: list[Row] = []
    for cell in plan.cells_of("measures", name):
        first = cell.baseline.seed == plan.experiment.seeds[0]
        if first and cell.method is not None:
            found += [
                dict.fromkeys(LAYER_COLUMNS) | cell.coordinates._asdict() | row
                for row in layers_of(cell.folder)
            ]
    return found


def layers_of(folder: Path) -> list[Row]:
    """Return what each layer kept in a pruned cell: LAYER_COLUMNS without its coordinates."""
    if not _has_network(folder):
        return []
    record = read_record(folder / RECORD, ["layers"])
    removed = removal(folder, record)
    if MASKS in removed["removed"]:
        kept: list[Row] = measured_of(folder / REMOVED, removed)["layers"]
        return kept
    return _layers(folder, record["layers"])


def _layers(folder: Path, order: list[str]) -> list[Row]:
    """Return a row for each layer in ``order``, which a file of tensors does not keep."""
    masks = load_arrays(folder / MASKS)
    found = []
    for place, layer in enumerate(name for name in order if masks[name].ndim > 1):
        kept: np.ndarray[Any, Any] = masks[layer].astype(bool)
        units = kept.reshape(kept.shape[0], -1).any(axis=1)
        row = {
            "layer": layer, "place": place, "weights": kept.size, "kept": int(kept.sum()),
            "units": units.size, "units_kept": int(units.sum()),
        }  # fmt: skip
        found.append(row)
    return found


def _has_network(folder: Path) -> bool:
    return read_record(folder / RECORD)["status"] not in (FAILED, DIVERGED)
