"""What a dense network loses where one layer, group or block alone is pruned."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prunebench.errors import Refused
from prunebench.experiment.cell import Cell
from prunebench.pruning.automatic.one_at_a_time import one_at_a_time
from prunebench.runner.curves import curve_of
from prunebench.runner.job_context import JobContext
from prunebench.storage.layout import RECORD
from prunebench.storage.sealed_content import read_record

Row = dict[str, Any]


def sensitivities(job: JobContext, cell: Cell) -> list[Row]:
    """Prune each place of a dense network alone, by each method that the configuration names.

    The network, its scores and the calibration samples are those that a curve of the method
    begins with.

    Args:
        job: data, device and networks.
        cell: a dense baseline's own.

    Returns:
        A row a method, place and sparsity, with ``modules``; of a method that cannot prune this
        network one row, which says why.
    """
    rows: list[Row] = []
    experiment, dense = job.plan.experiment, read_record(cell.folder / RECORD)
    for method in experiment.probes.sensitivity:
        curve = curve_of(job, [job.plan.cell(cell.baseline, method)], dense)
        view = curve.view(curve.model_at(curve.epochs))
        try:
            found = one_at_a_time(method, view, experiment.sparsities)
            rows += [{"method": method.name, **asdict(point), "message": ""} for point in found]
        except Refused as error:
            rows.append({"method": method.name, "message": str(error)})
    return rows
