"""Probes: measures of a stored network. They train nothing and change nothing."""

from __future__ import annotations

from typing import Any

from prunebench.experiment import registry
from prunebench.experiment.cell import Cell
from prunebench.experiment.code_identity import code_hash
from prunebench.experiment.part_kinds import Probe
from prunebench.runner.cached_results import cached
from prunebench.runner.job_context import JobContext
from prunebench.runner.rebuilt_network import subject_of
from prunebench.storage.layout import PROBES


def compute_probes(job: JobContext, cell: Cell) -> None:
    """Probe a cell, unless that was done with these settings and this code.

    Raises:
        PrunebenchError: files of the cell are missing.
    """
    settings = job.plan.experiment.probes

    def compute() -> dict[str, Any]:
        subject = subject_of(job, cell)
        values: dict[str, Any] = {}
        for name in settings.run:
            values |= registry.load(registry.find(Probe, name))(subject)
        return {"values": values}

    cached(cell, PROBES, [settings.model_dump(), code_hash(job.plan.probe_sources())], compute)
