"""Probes: measures of a stored network. They train nothing and change nothing."""

from __future__ import annotations

from typing import Any

from prunebench.experiment import registry
from prunebench.experiment.cell import Cell
from prunebench.experiment.code_identity import code_hash
from prunebench.experiment.part_kinds import Probe
from prunebench.runner.channels import round_to
from prunebench.runner.dense_sensitivity import sensitivities
from prunebench.runner.job_context import JobContext
from prunebench.runner.rebuilt_network import subject_of
from prunebench.runner.stored_results import compute_once
from prunebench.storage.layout import PROBES, SENSITIVITY


def compute_probes(job: JobContext, cell: Cell) -> None:
    """Probe a cell, unless that was done with these settings and this code.

    Raises:
        PrunebenchError: files of the cell are missing.
    """
    settings = job.plan.experiment.probes
    # of dense networks alone: a pruned one's probes do not depend on it
    alone = settings.sensitivity if cell.method is None else []

    def compute() -> dict[str, Any]:
        subject = subject_of(job, cell)
        values: dict[str, Any] = {}
        for name in settings.run:
            values |= registry.load(registry.find(Probe, name))(subject)
        return {"values": values} | ({SENSITIVITY: sensitivities(job, cell)} if alone else {})

    said: list[Any] = [
        settings.model_dump(exclude={SENSITIVITY}) | {"round_to": round_to(job, cell.baseline)},
        code_hash(job.plan.probe_sources()),
    ]  # fmt: skip
    if alone:
        said += [
            [method.settings() for method in alone], job.plan.experiment.sparsities,
            code_hash(job.plan.sensitivity_sources()),
        ]  # fmt: skip
    compute_once(cell, PROBES, said, compute)
