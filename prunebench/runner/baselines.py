"""Dense baselines: trained once, shared by every method."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.cell import Cell
from prunebench.experiment.jobs import Baseline
from prunebench.pruning.curve import Cost
from prunebench.runner.device import named_operations
from prunebench.runner.job_context import JobContext
from prunebench.runner.training_precision import TYPES, precision_of
from prunebench.storage import cell_files
from prunebench.storage.files import write_json
from prunebench.storage.hashing import derive_seed
from prunebench.storage.layout import FACTS, HISTORY, INITIAL, PREDICTIONS, TARGETS, WEIGHTS
from prunebench.tasks.regimes import AppliedRegime
from prunebench.tasks.task_kind import TaskKind
from prunebench.training import models
from prunebench.training.checkpoints import Memory, Tensors
from prunebench.training.loop import Hooks, error_of, learning_rate, train


def rewind_file(epoch: int) -> str:
    """Return the name of a baseline's file with its state after an epoch, for rewinding."""
    return f"rewind-{epoch}.safetensors"


def compute_baseline(job: JobContext, cell: Cell) -> dict[str, Any]:
    """Return the record of a dense baseline, which is trained unless it is there.

    Args:
        job: data, device and networks.
        cell: the baseline's own cell.

    Raises:
        PrunebenchError: it learned nothing; cells on it would mean nothing.
    """
    record = job.finished(cell)
    if record is not None:
        return record
    job.nondeterministic = set()
    with named_operations(job.nondeterministic), cell_files.written(cell.folder) as folder:
        record = _compute(job, cell, folder)
    job.checkpoints(cell, record["identity"]).clear()
    return record


def _compute(job: JobContext, cell: Cell, folder: Path) -> dict[str, Any]:
    baseline, identity = cell.baseline, job.identity(cell)
    samples, applied = job.samples(baseline)
    model, training = job.build(baseline), baseline.training
    compute, example = job.plan.experiment.compute, samples.normalize(samples.inputs[:1])
    precision = precision_of(compute, model, example)
    cell_files.save_tensors(folder / INITIAL, model.state_dict())
    zero_branches = models.zero_branches(model)
    states = _Kept(model, training.rewind_epochs)
    checkpoints = job.checkpoints(cell, identity)
    run = train(
        model, samples, training, seed=derive_seed("order", *baseline.key),
        rate=learning_rate(training), stop=training.epochs, precision=TYPES[precision],
        compile=compute.compile, after_epoch=states.look,
        hooks=Hooks(memory=Memory(states.keep, states.recall)), checkpoints=checkpoints,
    )  # fmt: skip
    files = [INITIAL, WEIGHTS, PREDICTIONS, TARGETS, FACTS, HISTORY, *states.write(folder)]
    predictions = job.predictions(model, samples)
    if not run.diverged:
        _refuse_chance(baseline, samples.kind, predictions["train"], applied)
    predictions |= job.stopped_predictions(model, samples, run)
    targets = {"train": applied.given, "train_clean": applied.clean}
    targets |= {split: job.data.targets[split] for split in ("val", "test")}
    if applied.noisy_val is not None:
        targets["noisy_val"] = applied.noisy_val
    inputs = (samples.inputs, job.data.inputs["test"])
    context = samples.kind.context(*(part.cpu().numpy() for part in inputs))
    targets |= {name: torch.from_numpy(array) for name, array in context.items()}
    cell_files.save_tensors(folder / TARGETS, targets)
    write_json(folder / FACTS, {"kind": baseline.task.kind, **samples.kind.facts})
    sizes = job.size(model, samples, {}, job.layers(model, samples))
    cost = Cost().and_run(run)
    record = job.record(cell) | sizes | {
        "identity": identity, "label_hash": applied.label_hash, "code_hash": cell.code,
        "zero_init_last": zero_branches, "precision": precision,
    }  # fmt: skip
    job.save(folder, record, model, predictions, run, cost, files)
    return record


class _Kept:
    """The states of a network in training that rewinding may ask for."""

    def __init__(self, model: nn.Module, epochs: Sequence[int]) -> None:
        self.model, self.epochs = model, epochs
        self.states: dict[int, dict[str, Tensor]] = {}

    def look(self, epoch: int) -> None:
        """Copy the state after an epoch that is one of them."""
        if epoch in self.epochs:
            self.states[epoch] = deepcopy(self.model.state_dict())

    def keep(self) -> Tensors:
        """All of them, for a checkpoint."""
        return {
            f"{epoch}/{name}": value
            for epoch, state in self.states.items()
            for name, value in state.items()
        }

    def recall(self, kept: Tensors) -> None:
        """Take up what ``keep`` gave."""
        for key, value in kept.items():
            epoch, _, name = key.partition("/")
            self.states.setdefault(int(epoch), {})[name] = value

    def write(self, folder: Path) -> list[str]:
        """Write them into a baseline's folder; return the files' names."""
        for epoch, state in self.states.items():
            cell_files.save_tensors(folder / rewind_file(epoch), state)
        return [rewind_file(epoch) for epoch in self.states]


def _refuse_chance(
    baseline: Baseline, kind: TaskKind, stored: Tensor, applied: AppliedRegime
) -> None:
    """A network no better than the best constant prediction, within two standard errors."""
    wrong, given = error_of(kind, stored, applied.given), applied.given.numpy()
    if wrong > kind.chance(given):
        task, regime, model, seed = baseline.key
        raise PrunebenchError(
            f"the baseline {task}/{regime}/{model}/seed {seed} learned nothing: training error"
            f" {wrong:.3f}, {kind.constant_error(given):.3f} by chance; change training"
            " (learning_rate, epochs) or the model"
        )
