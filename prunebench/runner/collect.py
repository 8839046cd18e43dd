"""Collect the rows of all measured jobs into cells.csv and the tables beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.plan import Plan
from prunebench.storage.files import local, remove_file, replacing, write_json
from prunebench.storage.layout import Layout
from prunebench.storage.outputs import recorded
from prunebench.storage.provenance import copy_workflow, experiment_origin
from prunebench.storage.records import (
    COLUMNS,
    DENSE,
    LATENCY_COLUMNS,
    LAYER_COLUMNS,
    SENSITIVITY_COLUMNS,
)
from prunebench.storage.sealed_content import read_measured

# cells last: where they are, the others are
TABLES = ("layers", "latency", "sensitivity", "cells")


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

    Raises:
        PrunebenchError: cells of a task are not all of the same data.
    """
    layout = plan.layout
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for path in measured:
        for name, rows in read_measured(path).items():
            found[name] += rows
    _refuse_two_sources(found["cells"])
    with recorded(layout, "collect") as made:
        made += write_tables(plan, found, layout)
        origin = experiment_origin(plan.write(), layout.cells_csv, found["cells"], started)
        write_json(layout.provenance, origin)
        made += [layout.provenance, *copy_workflow(layout.workflow)]
    return layout.cells_csv


def _refuse_two_sources(rows: list[dict[str, Any]]) -> None:
    """Refuse cells of one task on other data: another command prepared them again meanwhile."""
    seen: dict[str, str] = {}
    for row in rows:
        if seen.setdefault(row["task"], row["data_hash"]) != row["data_hash"]:
            raise PrunebenchError(
                f"task {row['task']}: its data were changed and prepared again while cells were"
                " computed, and cells of both are there: run the same command again, which computes"
                " those of the former data"
            )


def write_tables(
    plan: Plan, rows: Mapping[str, list[dict[str, Any]]], layout: Layout
) -> list[Path]:
    """Write the tables of an experiment's rows into a folder; return the paths of what there is.

    Args:
        plan: the experiment.
        rows: of each of TABLES.
        layout: of the folder.
    """
    targets = {
        "layers": (layout.layers_csv, LAYER_COLUMNS),
        "latency": (layout.latency_csv, LATENCY_COLUMNS),
        "sensitivity": (layout.sensitivity_csv, SENSITIVITY_COLUMNS),
        "cells": (layout.cells_csv, (*COLUMNS, *plan.experiment.own_columns)),
    }
    made = []
    for name in TABLES:
        target, columns = targets[name]
        made += _write_table(plan, rows[name], target, columns)
    return made


def _write_table(
    plan: Plan, rows: list[dict[str, Any]], target: Path, columns: tuple[str, ...]
) -> list[Path]:
    """Write a table, or remove it where it has no rows; return the paths of what there is."""
    import pandas as pd

    if not rows:
        remove_file(target)
        return []
    methods = [*plan.experiment.methods, *plan.experiment.probes.sensitivity]
    order = {name: n for n, name in enumerate(dict.fromkeys([DENSE, *(m.name for m in methods)]))}
    table = pd.DataFrame(rows, columns=list(columns)).sort_values(
        ["task", "regime", "model", "method", "seed", "sparsity"],
        key=lambda column: column.map(order) if column.name == "method" else column,
        kind="stable", ignore_index=True,
    )  # fmt: skip
    with replacing(target) as temporary:
        table.to_csv(local(temporary), index=False)
    return [target]
