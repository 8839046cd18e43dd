"""A stored cell's network, built again, with what to look at it with."""

from __future__ import annotations

from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.jobs import Baseline
from prunebench.runner.job_context import Job
from prunebench.storage import cell_files
from prunebench.storage.hashing import derive_seed
from prunebench.storage.layout import INITIAL, MASKS, WEIGHTS
from prunebench.storage.records import DENSE


def subject_of(job: Job, baseline: Baseline, method: str, sparsity: float) -> Subject:
    """A cell as probes see it. Raises PrunebenchError where its files are missing."""
    folder, (samples, _) = job.folder(baseline, method, sparsity), job.samples(baseline)
    model = job.build(baseline)
    model.load_state_dict(cell_files.load_tensors(folder / WEIGHTS))
    stored = {} if method == DENSE else cell_files.load_tensors(folder / MASKS)
    return Subject(
        model=model.eval(),
        masks={name: mask.bool().to(job.device) for name, mask in stored.items()},
        initial=cell_files.load_tensors(job.folder(baseline) / INITIAL),
        train_images=samples.images, train_labels=samples.labels,
        test_images=job.data.images["test"], test_labels=job.data.labels["test"],
        normalize=job.normalize, moments=job.data.moments,
        # one draw for all cells of a seed: they are compared on the same images
        seed=derive_seed("probes", baseline.task.name, baseline.seed),
        samples=job.plan.experiment.probes.samples,
        round_to=job.plan.experiment.probes.round_to,
    )  # fmt: skip
