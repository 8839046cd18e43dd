"""Remove files of pruned cells that the configuration does not keep, once they are measured."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.evaluation.generalization import MEASURES
from prunebench.evaluation.long_tables import layers_of
from prunebench.evaluation.rows import Targets
from prunebench.experiment.cell import Cell
from prunebench.experiment.code_identity import code_hash
from prunebench.experiment.plan import Plan
from prunebench.storage.cell_files import finished
from prunebench.storage.layout import MASKS, PREDICTIONS, RECORD, WEIGHTS
from prunebench.storage.manifest import remove_files
from prunebench.storage.records import DIVERGED, FAILED
from prunebench.storage.sealed_content import read_record

Row = dict[str, Any]

# ``compute.keep`` -> the files that go; histories, a few bytes an epoch, always stay
REMOVED_BY: dict[str, tuple[str, ...]] = {
    "everything": (),
    "predictions": (WEIGHTS,),
    "records": (WEIGHTS, MASKS, PREDICTIONS),
}


def discard_files(plan: Plan, name: str, rows: list[Row]) -> None:
    """Remove files that the configuration does not keep, of the curves of a job's cells.

    A curve with a failed cell stays whole: that cell is tried again from the others.

    Cells of these curves that the grid does not ask for lose them too: rounds between its
    sparsities, and what an earlier grid asked for. They are measured first. If they have what this
    grid looks at (probes, times), they need not be computed again when they are asked for. Cells of
    other settings or methods are left alone.

    Args:
        plan: of the experiment.
        name: of the job of measures.
        rows: the rows of its cells, in their order; they must be on the disk already.

    Raises:
        Unwritable: a file cannot be written or removed.
    """
    files = REMOVED_BY[plan.experiment.compute.keep]
    if not files:
        return
    asked = zip(plan.cells_of("measures", name), rows, strict=True)
    for _, curve in groupby(asked, lambda pair: pair[0].folder.parent):
        _discard_of_curve(plan, list(curve), files)


def _discard_of_curve(plan: Plan, asked: list[tuple[Cell, Row]], files: Collection[str]) -> None:
    """Remove ``files`` of every cell of a curve; ``asked``: those of the grid, with their rows."""
    rows = {cell.folder: row for cell, row in asked}
    first, row = asked[0]
    if first.method is None or any(row["status"] == FAILED for row in rows.values()):
        return
    targets = cache(partial(Targets, plan, first.baseline))
    for folder in sorted(path.parent for path in first.folder.parent.glob(f"*/{RECORD}")):
        if folder in rows:
            record = read_record(folder / RECORD)
            measure = partial(_measured, plan, folder, rows[folder])
        else:
            try:
                record = read_record(folder / RECORD)
                cell = plan.cell(first.baseline, first.method, record["sparsity"])
                if record["identity"] != cell.identity(row["data_hash"], row["weights_hash"]):
                    continue
            except (PrunebenchError, KeyError):  # damaged: whoever asks for the cell finds it
                continue
            measure = partial(_measure, plan, folder, record, targets)
        remove_files(folder, record, files, measure)


def _measure(plan: Plan, folder: Path, record: Row, targets: Callable[[], Targets]) -> Row:
    """Return what is measured of a cell that the grid does not ask for.

    Nothing where the cell is damaged, or lacks something that this grid looks at.
    """
    if not finished(folder, record["identity"], allow_removed=True):
        return {}
    if record["status"] == DIVERGED:
        return _measured(plan, folder, {})
    looks = [folder / look for look, wanted in targets().looks.items() if wanted]
    if not all(look.exists() for look in looks):
        return {}
    return _measured(plan, folder, targets().measures(folder)[0])


def _measured(plan: Plan, folder: Path, row: Row) -> Row:
    """Return what must be known of a cell without its files: also layers, which every seed has."""
    names = (*MEASURES, *plan.experiment.own_columns)
    return {
        "code": code_hash(plan.measure_sources()),
        "values": {name: row[name] for name in names if row.get(name) is not None},
        "layers": layers_of(folder),
    }
