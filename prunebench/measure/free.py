"""Once a job's cells are measured: removing what the configuration does not keep of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prunebench import removal
from prunebench.files import read_sealed
from prunebench.identity import code_hash
from prunebench.layout import RECORD
from prunebench.measure.generalization import MEASURES
from prunebench.plan import Plan
from prunebench.records import COORDINATES
from prunebench.removal import FILES

Row = dict[str, Any]


def free(plan: Plan, name: str, found: dict[str, list[Row]]) -> None:
    """Remove what the configuration does not keep of a job's pruned cells.

    ``found``: the rows of the job, which must be on the disk: what was measured of the files is
    noted from them, layers of the first seed alone, as in the table.
    """
    files = FILES[plan.experiment.compute.keep]
    if not files:
        return
    code = code_hash(plan.measure_sources())
    by_cell: dict[tuple[Any, ...], list[Row]] = {}
    for row in found["layers"]:
        kept = {column: value for column, value in row.items() if column not in COORDINATES}
        by_cell.setdefault(tuple(row[column] for column in COORDINATES), []).append(kept)
    for cell, row in zip(plan.cells_of("measures", name), found["cells"], strict=True):
        if cell.method is None:
            continue
        measured = {
            "code": code,
            "values": {c: row[c] for c in MEASURES if row[c] is not None},
            "layers": by_cell.get(tuple(cell.coordinates.values()), []),
        }
        removal.remove(cell.folder, read_sealed(cell.folder / RECORD), files, measured)
    for folder in _beside(plan, name):
        removal.remove(folder, read_sealed(folder / RECORD), files, {})


def _beside(plan: Plan, name: str) -> list[Path]:
    """Cells of a job's curves that the grid does not ask for: rounds between its sparsities."""
    asked = {cell.folder for cell in plan.cells_of("measures", name) if cell.method}
    curves = dict.fromkeys(folder.parent for folder in asked)
    return [
        record.parent
        for curve in curves
        for record in curve.glob(f"*/{RECORD}")
        if record.parent not in asked
    ]
