"""The plan of a search: the sparsities to look at, and what is refused before any training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.runner import pipeline
from prunebench.runner.compress.choice import untested
from prunebench.runner.compress.enough_samples import check_samples
from prunebench.runner.compress.levels import kept_levels
from prunebench.runner.compress.request import SEARCH, TOLERATED, Request
from prunebench.runner.compress.size_budget import Shares, sparsities_of
from prunebench.runner.job_context import JobContext
from prunebench.tasks.task_data import TaskData, load
from prunebench.training.loop import Samples, logits_of, predict

LEVELS = "levels.json"


def planned(request: Request, folder: Path, cache: Path) -> Plan:
    """Return the plan of the search; which sparsities it looks at is found once, and kept.

    Args:
        request: what is asked.
        folder: to write.
        cache: the folder of downloaded and prepared data.

    Raises:
        PrunebenchError: the network does not take the data, or a tolerance cannot be shown.
    """
    levels = kept_levels(
        folder / SEARCH / LEVELS, request.name, lambda: _levels(request, folder, cache)
    )
    plan = Plan(
        config.parse(request.grid(levels.sparsities, levels.batch_norm), "compress"), folder
    )
    if request.tolerance is not None:
        _warn_of_few_samples(plan, request.tolerance, cache)
    return plan


def _warn_of_few_samples(plan: Plan, points: float, cache: Path) -> None:
    """Refuse a tolerance that validation is too small for, or warn that it may be."""
    pipeline.prepare_missing(plan, cache)
    samples = len(load(prepared(plan.experiment.tasks[0], cache)).inputs["val"])
    candidates = [method for method in plan.experiment.methods if not method.control]
    if said := check_samples(samples, points, len(candidates)):
        print(f"warning: {said}", file=sys.stderr, flush=True)


def _levels(request: Request, folder: Path, cache: Path) -> dict[str, Any]:
    """Return the sparsities to look at, once the network is known to take the data."""
    plan = Plan(config.parse(request.grid([0.5], False), "compress"), folder)
    [task] = plan.experiment.tasks
    pipeline.download(plan, task.name, cache)
    pipeline.prepare(plan, task.name, cache)
    pipeline.check(plan, cache)
    job = JobContext(plan, task, prepared(task, cache))
    [baseline] = plan.baselines
    samples, _ = job.samples(baseline)
    network = job.build(baseline).eval()
    inputs = samples.normalize(samples.inputs[:64])
    _check_outputs(network, inputs, job.data, baseline.model.name)
    if request.tolerance is not None:
        _check_tested(network, samples)
    norms = (nn.modules.batchnorm._BatchNorm,)
    found = {"batch_norm": any(isinstance(module, norms) for module in network.modules())}
    if request.budget is None:
        return found | {"sparsities": list(TOLERATED)}
    [finder] = [m for m in plan.experiment.methods if m.name == request.finder]
    shares = Shares(
        network, finder, plan.experiment.prunable, inputs[:8],
        [(inputs, samples.targets[:64])], plan.experiment.compute.threads,
    )  # fmt: skip
    return found | {"sparsities": sparsities_of(request.budget, shares)}


@torch.no_grad()
def _check_outputs(network: nn.Module, inputs: torch.Tensor, data: TaskData, name: str) -> None:
    """Refuse a network that has another number of outputs for each sample than the task."""
    outputs = logits_of(network(inputs[:2]))
    if isinstance(outputs, torch.Tensor) and outputs.ndim == 2:
        found, wanted = outputs.shape[1], data.kind.outputs
        if found != wanted:
            raise PrunebenchError(
                f"compress: {name} has {found} outputs, the task needs {wanted}: are these its"
                " classes?"
            )


def _check_tested(network: nn.Module, samples: Samples) -> None:
    """Refuse a tolerance where no test of validation samples would bound the error."""
    kind, targets = samples.kind, samples.val_targets
    stored = predict(network, samples.val_inputs, targets, kind, samples.normalize)
    if kind.tested_errors(kind.read(stored.double().numpy()), targets.cpu().numpy()) is None:
        raise untested(kind.name)
