"""Probes: what only looking at a stored network tells. They train nothing and change nothing."""

from __future__ import annotations

from typing import Any

from prunebench import components, store
from prunebench.errors import PrunebenchError
from prunebench.files import read_json, write_json
from prunebench.identity import code_hash, derive_seed, digest
from prunebench.layout import INITIAL, MASKS, PROBES, RECORD, WEIGHTS
from prunebench.measure.subject import Subject
from prunebench.plan import Baseline
from prunebench.records import DENSE, DIVERGED, FAILED
from prunebench.work.job import Job


def compute_probes(job: Job, baseline: Baseline, method: str, sparsity: float) -> None:
    """Probe a cell, unless that was done with these settings and this code.

    A cell that failed or diverged has no network to look at. Raises PrunebenchError where the
    cell's files are missing.
    """
    folder, settings = job.folder(baseline, method, sparsity), job.plan.experiment.probes
    record = read_json(folder / RECORD)
    if record["status"] in (FAILED, DIVERGED):
        return
    code = code_hash(job.plan.probe_sources())
    identity = digest([record["identity"], settings.model_dump(), code])
    if _stored_identity(folder / PROBES) == identity:
        return
    subject = _subject(job, baseline, method, sparsity)
    values: dict[str, Any] = {}
    for name in settings.run:
        values |= components.load(components.find("probe", name))(subject)
    write_json(folder / PROBES, {"identity": identity, "values": values})


def _stored_identity(path: Any) -> str | None:
    try:
        found: str | None = read_json(path).get("identity")
    except PrunebenchError:  # missing, or damaged: computed anew
        return None
    return found


def _subject(job: Job, baseline: Baseline, method: str, sparsity: float) -> Subject:
    folder, (samples, _) = job.folder(baseline, method, sparsity), job.samples(baseline)
    model = job.build(baseline)
    model.load_state_dict(store.load_tensors(folder / WEIGHTS))
    stored = {} if method == DENSE else store.load_tensors(folder / MASKS)
    return Subject(
        model=model.eval(),
        masks={name: mask.bool().to(job.device) for name, mask in stored.items()},
        initial=store.load_tensors(job.folder(baseline) / INITIAL),
        train_images=samples.images, train_labels=samples.labels,
        test_images=job.data.images["test"], test_labels=job.data.labels["test"],
        normalize=job.normalize,
        # one draw for all cells of a seed: they are compared on the same images
        seed=derive_seed("probes", baseline.task.name, baseline.seed),
        samples=job.plan.experiment.probes.samples,
    )  # fmt: skip
