"""Probes: what only looking at a stored network tells. They train nothing and change nothing."""

from __future__ import annotations

from typing import Any

from prunebench.experiment import registry
from prunebench.experiment.code_identity import code_hash
from prunebench.experiment.jobs import Baseline
from prunebench.runner.cached_results import look
from prunebench.runner.job_context import Job
from prunebench.runner.rebuilt_network import subject_of
from prunebench.storage.layout import PROBES


def compute_probes(job: Job, baseline: Baseline, method: str, sparsity: float) -> None:
    """Probe a cell, unless that was done with these settings and this code.

    Raises PrunebenchError where the cell's files are missing.
    """
    settings = job.plan.experiment.probes

    def compute() -> dict[str, Any]:
        subject = subject_of(job, baseline, method, sparsity)
        values: dict[str, Any] = {}
        for name in settings.run:
            values |= registry.load(registry.find("probe", name))(subject)
        return {"values": values}

    said = [settings.model_dump(), code_hash(job.plan.probe_sources())]
    look(job.folder(baseline, method, sparsity), PROBES, said, compute)
