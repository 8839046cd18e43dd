"""Curves: one method on one baseline, every sparsity a cell that is stored as it comes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import Damaged, PrunebenchError
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.settings import Method
from prunebench.pruning import compose
from prunebench.pruning.curve import Cost, Curve, Finished, Pruned
from prunebench.pruning.masks import collapsed
from prunebench.runner.baselines import rewind_file
from prunebench.runner.device import named_operations
from prunebench.runner.job_context import Job
from prunebench.storage import cell_files
from prunebench.storage.files import sha256_file
from prunebench.storage.hashing import derive_seed, digest
from prunebench.storage.layout import (
    HISTORY,
    INITIAL,
    MASKS,
    PREDICTIONS,
    VAL_AFTER,
    VAL_BEFORE,
    WEIGHTS,
)
from prunebench.storage.records import COLLAPSED, DIVERGED, FAILED, OK
from prunebench.training import models
from prunebench.training.checkpoints import Checkpoints
from prunebench.training.loop import Samples

CALIBRATION = 512  # training samples that criteria look at


def compute_curve(
    job: Job, baseline: Baseline, method: Method, say: Callable[[float, str], None]
) -> None:
    """Compute the missing cells of a curve; ``say`` hears of each.

    Raises Damaged where the baseline is missing, PrunebenchError where it diverged, Refused where
    the method cannot do what was asked.
    """
    dense = cell_files.finished(job.folder(baseline), job.baseline_identity(baseline))
    if dense is None:
        raise Damaged(f"the baseline {job.folder(baseline)} is missing or damaged: run it again")
    if dense["status"] != OK:
        raise PrunebenchError(f"its baseline {dense['status']}")
    checkpoints = job.checkpoints(baseline, method.name, job.cell_identity(baseline, method, 0.0))
    curve = _curve(job, baseline, method, dense, checkpoints)
    schedule, parameters = compose.part(method, "schedule")
    job.nondeterministic = set(filter(None, (dense["nondeterministic"] or "").split(", ")))
    with named_operations(job.nondeterministic):
        for pruned in schedule(curve, job.plan.sparsities(method), **parameters):
            record = _store_cell(job, baseline, method, dense, pruned, curve.samples)
            say(pruned.sparsity, record["status"])
    checkpoints.clear()


def _curve(
    job: Job, baseline: Baseline, method: Method, dense: dict[str, Any], checkpoints: Checkpoints
) -> Curve:
    samples, _ = job.samples(baseline)
    folder, training = job.folder(baseline), baseline.training
    seed = derive_seed("curve", *baseline.key, method.name)
    files = {0: INITIAL, training.epochs: WEIGHTS}
    files |= {epoch: rewind_file(epoch) for epoch in training.rewind_epochs}
    initial = job.build(baseline)

    def build() -> nn.Module:
        return deepcopy(initial)

    def build_anew(seed: int) -> nn.Module:
        fresh = baseline.model.model_copy(update={"pretrained": False})
        channels, side, _ = job.data.shape
        width = baseline.regime.width
        network = models.create(fresh, job.data.classes, channels, side, seed, width)
        return network.to(job.device).to(memory_format=torch.channels_last)

    @cache
    def states(epoch: int) -> dict[str, Tensor]:
        return cell_files.load_tensors(folder / files[epoch])

    def finished(sparsity: float) -> Finished | None:
        record = job.finished(baseline, method, sparsity)
        return _read_cell(job, baseline, method, sparsity, record) if record else None

    return Curve(
        method=method, training=training, prunable=job.plan.experiment.prunable, seed=seed,
        baseline_seed=derive_seed("order", *baseline.key), build=build, states=states,
        samples=samples, finished=finished, precision=job.precision,
        compile=job.plan.experiment.compute.compile,
        baseline_cost=Cost(dense["train_epochs"], dense["train_seconds"]),
        calibration=_calibration(job, samples, baseline), build_anew=build_anew,
        checkpoints=checkpoints,
    )  # fmt: skip


def _calibration(job: Job, samples: Samples, baseline: Baseline) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(derive_seed("calibration", *baseline.key))
    chosen = torch.randperm(len(samples.labels), generator=draw)[:CALIBRATION].to(job.device)
    batches = chosen.split(baseline.training.batch_size)
    return [(job.normalize(samples.images[b]), samples.labels[b]) for b in batches]


def _read_cell(
    job: Job, baseline: Baseline, method: Method, sparsity: float, record: dict[str, Any]
) -> Finished:
    folder = job.folder(baseline, method.name, sparsity)
    masks = cell_files.load_tensors(folder / MASKS)
    return Finished(
        cell_files.load_tensors(folder / WEIGHTS),
        {name: mask.bool().to(job.device) for name, mask in masks.items()},
        Cost(record["train_epochs"], record["train_seconds"]),
        record["status"] == DIVERGED,
    )


def _store_cell(
    job: Job, baseline: Baseline, method: Method, dense: dict[str, Any], pruned: Pruned,
    samples: Samples,
) -> dict[str, Any]:  # fmt: skip
    folder = job.folder(baseline, method.name, pruned.sparsity)
    predictions = job.predictions(pruned.model, samples)
    if pruned.moment is not None:
        predictions |= {VAL_BEFORE: pruned.moment.before, VAL_AFTER: pruned.moment.after}
    packed = {name: mask.to(torch.uint8) for name, mask in pruned.masks.items()}
    cell_files.save_tensors(folder / MASKS, packed)
    record = job.record(baseline, method.name, method.family, pruned.sparsity)
    record |= job.size(pruned.model, samples, pruned.masks) | {
        "identity": job.cell_identity(baseline, method, pruned.sparsity),
        "config_hash": digest([baseline.settings(), method.settings()]),
        "code_hash": job.plan.cell_settings(baseline, method, 0.0)["method_code"],
        "label_hash": dense["label_hash"], "mask_hash": sha256_file(folder / MASKS),
        "prune_seconds": pruned.prune_seconds, "layers": list(pruned.masks),
    }  # fmt: skip
    gone = [name for name in collapsed(pruned.masks) if pruned.masks[name].ndim > 1]
    if gone and not method.spec("pattern").trait("whole_layers", False):
        record |= {"status": COLLAPSED, "message": f"nothing is left of {', '.join(gone)}"}
    files = [MASKS, WEIGHTS, PREDICTIONS, HISTORY]
    job.save(folder, record, pruned.model, predictions, pruned.run, pruned.spent, files)
    return record


def store_failure(
    job: Job, baseline: Baseline, method: Method, sparsity: float, why: str
) -> dict[str, Any]:
    """Store that a cell could not be computed; the next run of its job tries again."""
    record = job.record(baseline, method.name, method.family, sparsity)
    record |= {
        "status": FAILED, "message": why,
        "identity": job.cell_identity(baseline, method, sparsity),
    }  # fmt: skip
    cell_files.finish(job.folder(baseline, method.name, sparsity), record, [])
    return record
