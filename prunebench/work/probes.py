"""Probes: what only looking at a stored network tells. They train nothing and change nothing."""

from __future__ import annotations

from typing import Any

from prunebench import components
from prunebench.identity import code_hash
from prunebench.jobs import Baseline
from prunebench.layout import PROBES
from prunebench.work.job import Job
from prunebench.work.looks import look
from prunebench.work.subjects import subject_of


def compute_probes(job: Job, baseline: Baseline, method: str, sparsity: float) -> None:
    """Probe a cell, unless that was done with these settings and this code.

    Raises PrunebenchError where the cell's files are missing.
    """
    settings = job.plan.experiment.probes

    def compute() -> dict[str, Any]:
        subject = subject_of(job, baseline, method, sparsity)
        values: dict[str, Any] = {}
        for name in settings.run:
            values |= components.load(components.find("probe", name))(subject)
        return {"values": values}

    said = [settings.model_dump(), code_hash(job.plan.probe_sources())]
    look(job.folder(baseline, method, sparsity), PROBES, said, compute)
