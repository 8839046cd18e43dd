"""Collect the rows of all measured jobs into cells.csv and the tables beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prunebench.experiment.plan import Plan
from prunebench.storage.files import read_sealed, replacing, write_json
from prunebench.storage.outputs import recorded
from prunebench.storage.provenance import copy_workflow, experiment_origin
from prunebench.storage.records import (
    COLUMNS,
    DENSE,
    LATENCY_COLUMNS,
    LAYER_COLUMNS,
    SENSITIVITY_COLUMNS,
)


def collect(plan: Plan, measured: list[Path], started: str | None = None) -> Path:
    """Write cells.csv and the tables beside it: every row in the grid's order; missing is empty.

    A table without rows is not written, and removed where it was. Beside them stand
    provenance.json and the workflow that ran.

    Args:
        plan: the experiment.
        measured: the files of its measured jobs.
        started: when the command began that computed the grid; None: now.

    Returns:
        The path of cells.csv.
    """
    layout = plan.layout
    # cells.csv last: where it is, the others are
    tables = {
        "layers": (layout.layers_csv, LAYER_COLUMNS),
        "latency": (layout.latency_csv, LATENCY_COLUMNS),
        "sensitivity": (layout.sensitivity_csv, SENSITIVITY_COLUMNS),
        "cells": (layout.cells_csv, COLUMNS),
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in tables}
    for path in measured:
        for name, rows in read_sealed(path).items():
            found[name] += rows
    with recorded(layout, "collect") as made:
        for name, (target, columns) in tables.items():
            made += _write_table(plan, found[name], target, columns)
        origin = experiment_origin(plan.write(), layout.cells_csv, found["cells"], started)
        write_json(layout.provenance, origin)
        made += [layout.provenance, *copy_workflow(layout.workflow)]
    return layout.cells_csv


def _write_table(
    plan: Plan, rows: list[dict[str, Any]], target: Path, columns: tuple[str, ...]
) -> list[Path]:
    """Write a table, or remove it where it has no rows; return the paths of what there is."""
    import pandas as pd

    if not rows:
        target.unlink(missing_ok=True)
        return []
    methods = [*plan.experiment.methods, *plan.experiment.probes.sensitivity]
    order = {name: n for n, name in enumerate(dict.fromkeys([DENSE, *(m.name for m in methods)]))}
    table = pd.DataFrame(rows, columns=list(columns)).sort_values(
        ["task", "regime", "model", "method", "seed", "sparsity"],
        key=lambda column: column.map(order) if column.name == "method" else column,
        kind="stable", ignore_index=True,
    )  # fmt: skip
    with replacing(target) as temporary:
        table.to_csv(temporary, index=False)
    return [target]
