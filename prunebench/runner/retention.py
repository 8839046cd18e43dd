"""Once a job's cells are measured: removing what the configuration does not keep of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.evaluation.generalization import MEASURES
from prunebench.evaluation.long_tables import layers_of
from prunebench.evaluation.rows import Targets
from prunebench.experiment.code_identity import code_hash
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Method
from prunebench.storage import removed_files
from prunebench.storage.cell_files import finished
from prunebench.storage.files import read_sealed
from prunebench.storage.layout import RECORD
from prunebench.storage.records import DIVERGED, FAILED
from prunebench.storage.removed_files import FILES

Row = dict[str, Any]


def free(plan: Plan, name: str, rows: list[Row]) -> None:
    """Remove what the configuration does not keep of a job's pruned cells.

    ``rows``: of the job's cells, which must be on the disk: what was measured of the files is noted
    from them. A curve with a failed cell stays whole: that cell is tried again from the others.

    So are freed the other cells of these curves: rounds between the grid's sparsities, and what an
    earlier grid asked for. They are measured first, and need not be computed again when they are
    asked for, if they have what this grid looks at (probes, times); else nothing stands for them.
    Cells of other settings or methods are left alone.
    """
    files = FILES[plan.experiment.compute.keep]
    if not files:
        return
    cells = list(zip(plan.cells_of("measures", name), rows, strict=True))
    whole = {cell.folder.parent for cell, row in cells if row["status"] == FAILED}
    curves: dict[Path, tuple[Baseline, Method, str]] = {}
    for cell, row in cells:
        if cell.method is not None and cell.folder.parent not in whole:
            curves[cell.folder.parent] = cell.baseline, cell.method, row["data_hash"]
            record = read_sealed(cell.folder / RECORD)
            removed_files.remove(
                cell.folder, record, files, partial(_measured, plan, row, cell.folder)
            )
    asked = {cell.folder for cell, _ in cells}
    beside = _Beside(plan)
    for curve, its in curves.items():
        for folder in sorted(path.parent for path in curve.glob(f"*/{RECORD}")):
            if folder not in asked:
                beside.free(folder, *its)


class _Beside:
    """Frees cells that the grid does not ask for, of curves that it does ask for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._targets: Targets | None = None  # of the last baseline, for the next cell on it

    def free(self, folder: Path, baseline: Baseline, method: Method, data: str) -> None:
        """``data``: the hash of what the curve was computed on."""
        try:
            record = read_sealed(folder / RECORD)
            cell = self.plan.cell(baseline, method, record["sparsity"])
            if record["identity"] != cell.identity(data):
                return
        except (PrunebenchError, KeyError):  # damaged: it is found when somebody asks for the cell
            return
        files = FILES[self.plan.experiment.compute.keep]
        removed_files.remove(
            folder, record, files, partial(self._measure, folder, baseline, record)
        )

    def _measure(self, folder: Path, baseline: Baseline, record: Row) -> dict[str, Any]:
        """What is measured of it; nothing where it is damaged, or lacks a look of this grid's."""
        if not finished(folder, record["identity"], freed=True):
            return {}
        if record["status"] == DIVERGED:
            return _measured(self.plan, {}, folder)
        if self._targets is None or self._targets.baseline != baseline:
            self._targets = Targets(self.plan, baseline)
        looks = [folder / look for look, wanted in self._targets.looks.items() if wanted]
        if not all(look.exists() for look in looks):
            return {}
        return _measured(self.plan, self._targets.measures(folder), folder)


def _measured(plan: Plan, values: Row, folder: Path) -> dict[str, Any]:
    """What must be known of a cell without its files: layers of every seed, whichever is first."""
    return {
        "code": code_hash(plan.measure_sources()),
        "values": {c: values[c] for c in MEASURES if values.get(c) is not None},
        "layers": layers_of(folder),
    }
