"""Check of a submission's masks against its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.experiment import foreign_code
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.experiment.settings import Method, Model, Prunable, Task
from prunebench.pruning.layers import prunable_layers
from prunebench.reproduce.submission.submission_findings import BROKEN, NOT_RUN, SubmissionFinding
from prunebench.reproduce.submission.submission_folder import Submission
from prunebench.reproduce.verify.recompute import make_ready, needs, say_fetched, say_trusted
from prunebench.runner.own_process import Unfinished, apart
from prunebench.runner.preflight import build
from prunebench.storage import cell_files
from prunebench.storage.coordinates import coordinates_of_row
from prunebench.storage.files import sha256_file
from prunebench.storage.layout import MASKS, Layout
from prunebench.storage.records import DENSE, FAILED
from prunebench.tasks.task_data import load


@dataclass(frozen=True)
class Weights:
    """The shapes and sizes of a network's parameters, by name, and which of them are prunable."""

    shapes: dict[str, tuple[int, ...]]
    sizes: dict[str, int]
    prunable: tuple[str, ...]


def masks(
    submission: Submission, data: Path, trust_code: bool = False
) -> Iterator[SubmissionFinding]:
    """Count the weights of every cell's mask and yield what differs from its record.

    Args:
        submission: the submission.
        data: folder of downloaded and prepared data.
        trust_code: whether to run Python that networks and data need and that does not ship.

    Raises:
        PrunebenchError: the data of a task are not there.
    """
    plan = Plan(submission.stored.experiment)
    baselines = {baseline.key: baseline for baseline in plan.baselines}
    methods = {method.name: method for method in plan.experiment.methods}
    known: dict[tuple[str, str, float], Weights | None] = {}
    for row in submission.stored.cells.to_dict("records"):
        cell = coordinates_of_row(row)
        baseline, method = baselines.get(cell[:4]), methods.get(cell.method)
        if cell.method == DENSE or row["status"] == FAILED or baseline is None or method is None:
            continue
        key = (cell.task, cell.model, baseline.regime.width)
        files = foreign_code.of_data(baseline.task, [baseline.model])
        if key not in known and files and not trust_code:
            known[key] = None
            yield SubmissionFinding(NOT_RUN, "masks", f"{cell.task} {cell.model}", needs(files))
        if key not in known:
            say_trusted(files)
            alone = {"tasks": [baseline.task], "models": [baseline.model.drawn()]}
            say_fetched([plan.experiment.model_copy(update=alone)])
            try:
                known[key] = _weights(submission, plan, baseline, data)
            except Unfinished as error:
                known[key] = None
                where = f"{cell.task} {cell.model}"
                yield SubmissionFinding(BROKEN, "masks", where, str(error))
        weights = known[key]
        if weights is None:
            continue
        path = (
            Layout(submission.folder).cell(*cell[:4], cell.method, float(row["sparsity"])) / MASKS
        )
        where = str(path.relative_to(submission.folder))
        for told in _faults(path, row, method, weights):
            yield SubmissionFinding(BROKEN, "masks", where, told)


def _weights(submission: Submission, plan: Plan, baseline: Baseline, data: Path) -> Weights:
    make_ready(submission.stored, baseline.task.name, data)
    asked = (
        baseline.task.model_dump(mode="json"), baseline.model.drawn().model_dump(mode="json"),
        plan.experiment.prunable.model_dump(mode="json"), baseline.regime.width, str(data),
    )  # fmt: skip
    own = foreign_code.of_data(baseline.task, [baseline.model])
    shapes, prunable = apart(f"{__name__}:shapes_of", *asked) if own else shapes_of(*asked)
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    return Weights({name: tuple(shape) for name, shape in shapes.items()}, sizes, tuple(prunable))


def shapes_of(
    task: dict[str, Any], model: dict[str, Any], prunable: dict[str, Any], width: float, data: str
) -> tuple[dict[str, list[int]], list[str]]:
    """Return the shapes of a network's parameters by name, and which of them are prunable.

    Settings are as JSON has them, for a process of its own.
    """
    about = load(prepared(Task.model_validate(task), Path(data)))
    network = build(Model.model_validate(model), about.facts, width)
    layers = prunable_layers(network, Prunable.model_validate(prunable), about.example)
    return {name: list(value.shape) for name, value in network.named_parameters()}, list(layers)


def _faults(path: Path, row: Mapping[Any, Any], method: Method, weights: Weights) -> Iterator[str]:
    """Yield what is wrong with a cell's mask, a message each."""
    if not path.is_file():
        yield "the mask is missing: every cell that did not fail has one"
        return
    if sha256_file(path) != row["mask_hash"]:
        yield "the mask is not that of the record: its SHA-256 differs from mask_hash"
    try:
        found = cell_files.load_tensors(path)
    except PrunebenchError as error:
        yield str(error)
        return
    wrong = list(_misfits(found, weights))
    yield from wrong
    if not wrong:
        yield from _claims(found, row, method, weights)


def _misfits(found: Mapping[str, Tensor], weights: Weights) -> Iterator[str]:
    for name, mask in found.items():
        if name not in weights.shapes:
            yield f"the network has no parameter {name!r}"
        elif tuple(mask.shape) != weights.shapes[name]:
            yield (
                f"the mask of {name} has shape {tuple(mask.shape)}, the parameter"
                f" {weights.shapes[name]}"
            )
        elif mask.dtype not in (torch.uint8, torch.bool) or bool((mask > 1).any()):
            yield f"the mask of {name} must hold 0 and 1 as uint8, found {mask.dtype}"


def _claims(
    found: Mapping[str, Tensor], row: Mapping[Any, Any], method: Method, weights: Weights
) -> Iterator[str]:
    """Yield where the record claims other counts than the mask has, or misses its target."""
    removed = {name: int((mask == 0).sum()) for name, mask in found.items()}
    gone = sum(removed.get(name, 0) for name in weights.prunable)
    total = sum(weights.sizes[name] for name in weights.prunable)
    counted: dict[str, float] = {
        "params_total": sum(weights.sizes.values()),
        "params_kept": sum(weights.sizes.values()) - sum(removed.values()),
        "sparsity_achieved": gone / total,
    }
    for column, value in counted.items():
        if not abs(float(row[column]) - value) < 1e-9:
            yield f"{column} is {row[column]:.10g} in the record, {value:.10g} by the mask"
    target = float(row["sparsity"])
    # whole filters, blocks and thresholds cannot meet a target: they report what they met
    single = method.pattern.name == "weight" and not method.outcome
    if single and abs(gone - target * total) > 1:
        asked = round(target * total)
        yield f"{gone} of {total} weights are removed; the target {target:g} asks for {asked}"
