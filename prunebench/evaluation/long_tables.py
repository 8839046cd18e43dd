"""Rows of the tables that have more than one row for a cell: latencies, layers. numpy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from prunebench.errors import Damaged, shown
from prunebench.evaluation.arrays import load_arrays
from prunebench.experiment.plan import Plan
from prunebench.storage.layout import (
    LATENCY,
    LAYER_MS,
    MASKS,
    PROBES,
    RECORD,
    REMOVED,
    SENSITIVITY,
)
from prunebench.storage.manifest import removal
from prunebench.storage.records import (
    DIVERGED,
    FAILED,
    LATENCY_COLUMNS,
    LAYER_COLUMNS,
    SENSITIVITY_COLUMNS,
)
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


def sensitivities(plan: Plan, name: str) -> list[Row]:
    """Return what dense networks lose where a layer alone is pruned: SENSITIVITY_COLUMNS."""
    found: list[Row] = []
    if not plan.experiment.probes.sensitivity:
        return found
    for baseline in plan.find("measures", name).baselines:
        cell, times = plan.cell(baseline), {}
        if not _has_network(cell.folder):
            continue
        if baseline.key in plan.timed:
            times = read_looks(cell.folder / LATENCY).get(LAYER_MS, {})
        for row in read_looks(cell.folder / PROBES).get(SENSITIVITY, []):
            modules = row.pop("modules", ())
            known = [times[module] for module in modules if module in times]
            found.append(
                dict.fromkeys(SENSITIVITY_COLUMNS) | cell.coordinates._asdict() | {"sparsity": None}
                | row | {"ms": sum(known) if known and len(known) == len(modules) else None}
            )  # fmt: skip
    return found


def of_job(plan: Plan, name: str) -> dict[str, list[Row]]:
    """Return the rows of all long tables of a job, by table."""
    tables = {"latency": latencies, "layers": layers, "sensitivity": sensitivities}
    return {table: rows(plan, name) for table, rows in tables.items()}


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
    if unknown := [name for name in order if name not in masks]:
        raise Damaged(f"{folder / RECORD} is damaged: {MASKS} holds no layer {shown(unknown[0])}")
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
