"""Curves: one method on one baseline, every sparsity a cell that is stored as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import Damaged, PrunebenchError, Refused
from prunebench.experiment.cell import Cell
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.part_kinds import Pattern
from prunebench.experiment.settings import Method
from prunebench.pruning import compose
from prunebench.pruning.curve import Cost, Curve, Finished, Pruned
from prunebench.pruning.held_networks import copied
from prunebench.pruning.masks import collapsed, search_of, tied_share
from prunebench.runner.baselines import rewind_file
from prunebench.runner.device import named_operations
from prunebench.runner.job_context import JobContext
from prunebench.runner.smaller_trainings import smaller_of
from prunebench.runner.timed_candidates import stopwatch_of
from prunebench.runner.training_precision import TYPES, precision_after
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
from prunebench.text.private import without_paths
from prunebench.training import models
from prunebench.training.checkpoints import Checkpoints
from prunebench.training.loop import Samples

CALIBRATION = 512  # training samples that criteria look at, where nothing else is said


def compute_curve(job: JobContext, cells: Sequence[Cell], say: Callable[[Cell, str], None]) -> None:
    """Compute the missing cells of a curve; ``say`` hears of each and of its status.

    Args:
        job: data, device and networks.
        cells: the cells of the curve, in the order of its sparsities.
        say: called with a cell and its status once it is stored.

    Raises:
        Damaged: the baseline is missing.
        PrunebenchError: the baseline diverged.
        Refused: the method cannot do what was asked.
    """
    baseline, method = cells[0].dense, _method(cells[0])
    dense = job.finished(baseline)
    if dense is None:
        raise Damaged(f"the baseline {baseline.folder} is missing or damaged: run it again")
    if dense["status"] != OK:
        raise PrunebenchError(f"its baseline {dense['status']}")
    # the trainings of a curve serve all its cells: no single sparsity names them
    any_cell = job.plan.cell(baseline.baseline, method)
    checkpoints = job.checkpoints(any_cell, job.identity(any_cell))
    curve = curve_of(job, cells, dense, checkpoints)
    schedule, parameters = compose.part(method, "schedule")
    job.nondeterministic = set(filter(None, (dense["nondeterministic"] or "").split(", ")))
    with named_operations(job.nondeterministic):
        for pruned in schedule(curve, [cell.sparsity for cell in cells], **parameters):
            cell = job.plan.cell(baseline.baseline, method, pruned.sparsity)
            record = _store_cell(job, cell, dense, pruned, curve.samples)
            say(cell, record["status"])
    checkpoints.clear()


def _method(cell: Cell) -> Method:
    assert cell.method is not None, "a dense baseline is no curve"
    return cell.method


def curve_of(
    job: JobContext, cells: Sequence[Cell], dense: dict[str, Any],
    checkpoints: Checkpoints | None = None,
) -> Curve:  # fmt: skip
    """Return a curve as schedules work with it.

    Args:
        job: data, device and networks.
        cells: one cell of the curve or more.
        dense: the record of its baseline.
        checkpoints: where long trainings keep their state; None: nothing is trained.
    """
    baseline, method = cells[0].baseline, _method(cells[0])
    samples, _ = job.samples(baseline)
    folder, training = cells[0].dense.folder, baseline.training
    compute = job.plan.experiment.compute
    # another length of recovery is the same training, longer: it draws the same
    seed = derive_seed("curve", *baseline.key, method.base_method or method.name)
    files = {0: INITIAL, training.epochs: WEIGHTS}
    files |= {epoch: rewind_file(epoch) for epoch in training.rewind_epochs}
    initial = job.build(baseline)

    def build() -> nn.Module:
        return copied(initial)

    def build_anew(seed: int) -> nn.Module:
        width = baseline.regime.width
        network = models.create(baseline.model.drawn(), job.data.facts, seed, width)
        return network.to(job.device).to(memory_format=torch.channels_last)

    @cache
    def states(epoch: int) -> dict[str, Tensor]:
        return cell_files.load_tensors(folder / files[epoch])

    def finished(sparsity: float) -> Finished | None:
        return _read_cell(job, job.plan.cell(baseline, method, sparsity))

    return Curve(
        method=method, training=training, prunable=job.plan.experiment.prunable, seed=seed,
        baseline_seed=derive_seed("order", *baseline.key), build=build, states=states,
        samples=samples, finished=finished,
        precision=TYPES[precision_after(dense, compute, job.device)], compile=compute.compile,
        baseline_cost=Cost(dense["train_epochs"], dense["train_seconds"]),
        calibration=_calibration(job, samples, baseline), build_anew=build_anew,
        checkpoints=checkpoints, stopwatch=stopwatch_of(job, samples, baseline),
        smaller=smaller_of(job, method, samples),
    )  # fmt: skip


def _calibration(
    job: JobContext, samples: Samples, baseline: Baseline
) -> list[tuple[Tensor, Tensor]]:
    """Return what criteria and allocations look at: the calibration split, else training samples.

    Of training samples ``CALIBRATION`` are drawn, and a split of its own is taken whole, unless the
    configuration says how many.
    """
    inputs, targets, count = samples.inputs, samples.targets, CALIBRATION
    asked = job.plan.experiment.calibration
    held_out = job.samples(baseline)[1].calibration
    if held_out is not None:
        inputs, targets = job.data.inputs["calibration"], held_out.to(job.device)
        count = len(targets)
    draw = torch.Generator().manual_seed(derive_seed("calibration", *baseline.key))
    if asked.samples is not None:
        count = asked.samples
        if count > len(targets):
            raise Refused(f"calibration: samples: {count} asked, only {len(targets)} are there")
    chosen = torch.randperm(len(targets), generator=draw)[:count].to(job.device)
    batches = chosen.split(asked.batch_size or baseline.training.batch_size)
    return [(samples.normalize(inputs[b]), targets[b]) for b in batches]


def _read_cell(job: JobContext, cell: Cell) -> Finished | None:
    record = job.finished(cell)
    if record is None:
        return None
    return Finished(
        cell_files.load_tensors(cell.folder / WEIGHTS),
        job.masks(cell),
        Cost(
            record["train_epochs"],
            record["train_seconds"],
            record.get("search_evaluations", 0),
            record.get("search_epochs", 0.0),
        ),
        record["status"] == DIVERGED,
    )


def _store_cell(
    job: JobContext, cell: Cell, dense: dict[str, Any], pruned: Pruned, samples: Samples
) -> dict[str, Any]:
    predictions = job.predictions(pruned.model, samples)
    predictions |= job.stopped_predictions(pruned.model, samples, pruned.run)
    if pruned.moment is not None:
        predictions |= {VAL_BEFORE: pruned.moment.before, VAL_AFTER: pruned.moment.after}
    with cell_files.written(cell.folder) as folder:
        return _write_cell(job, cell, dense, pruned, samples, predictions, folder)


def _write_cell(
    job: JobContext, cell: Cell, dense: dict[str, Any], pruned: Pruned, samples: Samples,
    predictions: dict[str, Tensor], folder: Path,
) -> dict[str, Any]:  # fmt: skip
    packed = {name: mask.to(torch.uint8) for name, mask in pruned.masks.items()}
    cell_files.save_tensors(folder / MASKS, packed)
    method, search = _method(cell), search_of(pruned.masks)
    layers = job.layers(pruned.model, samples)
    record = job.record(cell) | job.size(pruned.model, samples, pruned.masks, layers) | {
        "identity": job.identity(cell),
        "config_hash": digest([cell.baseline.settings(), method.settings()]),
        "code_hash": cell.code, "label_hash": dense["label_hash"],
        "mask_hash": sha256_file(folder / MASKS),
        "prune_seconds": pruned.prune_seconds, "layers": list(pruned.masks),
        "calibration_loss": search.loss, "expected_calibration_loss": search.expected_loss,
        "budget_miss": search.budget_miss,
        "zero_init_last": dense["zero_init_last"],
        "precision": precision_after(dense, job.plan.experiment.compute, job.device),
        "tied_share": tied_share(pruned.masks, layers.prunable),
        "trained_shrunk": pruned.run.shrunk,
        "trained_shrunk_message": pruned.run.why_masked or None,
    }  # fmt: skip
    gone = [name for name in collapsed(pruned.masks) if pruned.masks[name].ndim > 1]
    if gone and not method.spec(Pattern).traits.whole_layers:
        record |= {"status": COLLAPSED, "message": f"nothing is left of {', '.join(gone)}"}
    files = [MASKS, WEIGHTS, PREDICTIONS, HISTORY]
    spent = pruned.spent.and_search(search, len(samples.targets))
    job.save(folder, record, pruned.model, predictions, pruned.run, spent, files)
    return record


def store_failure(job: JobContext, cell: Cell, why: str) -> dict[str, Any]:
    """Store that a cell could not be computed; the next run of its job tries again.

    Args:
        job: data, device and networks.
        cell: the cell.
        why: the reason, one line: its ``message``.

    Returns:
        Its record.
    """
    record = job.record(cell) | {
        "status": FAILED, "message": without_paths(why), "identity": job.identity(cell),
    }  # fmt: skip
    with cell_files.written(cell.folder) as folder:
        cell_files.finish(folder, record, [])
    return record
