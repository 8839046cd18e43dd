"""A stored cell's network, built again, with what to look at it with."""

from __future__ import annotations

from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.cell import Cell
from prunebench.runner.channels import round_to
from prunebench.runner.job_context import JobContext
from prunebench.storage import cell_files
from prunebench.storage.hashing import derive_seed
from prunebench.storage.layout import INITIAL


def subject_of(job: JobContext, cell: Cell) -> Subject:
    """Return a cell as probes see it.

    Raises:
        PrunebenchError: files of it are missing.
    """
    baseline, settings = cell.baseline, job.plan.experiment.probes
    samples, _ = job.samples(baseline)
    return Subject(
        model=job.network(cell), masks=job.masks(cell),
        initial=cell_files.load_tensors(cell.dense.folder / INITIAL),
        train_inputs=samples.inputs, train_targets=samples.targets,
        test_inputs=job.data.inputs["test"], test_targets=job.data.targets["test"],
        kind=job.data.kind, form=job.data.form, normalize=job.data.normalized,
        moments=job.data.moments,
        # one draw for all cells of a seed: they are compared on the same images
        seed=derive_seed("probes", baseline.task.name, baseline.seed),
        samples=settings.samples, round_to=round_to(job, baseline),
        architecture=job.architecture(baseline),
    )  # fmt: skip
