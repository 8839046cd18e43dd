"""The way from a request to a folder: search, choice, export, page."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from prunebench.compression.export_formats import format_of
from prunebench.compression.model_card import CardRemarks
from prunebench.compression.timing import Speed
from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.cell import Cell
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.report import compressed as report
from prunebench.report.results import Results
from prunebench.runner import pipeline
from prunebench.runner.compress import choice as choices
from prunebench.runner.compress import given, output_folder
from prunebench.runner.compress.beside_control import beside_control
from prunebench.runner.compress.enough_samples import check_samples
from prunebench.runner.compress.levels import kept_levels
from prunebench.runner.compress.missed_budget import missed_budget
from prunebench.runner.compress.onnx_times import (
    NO_DIFFERENCE,
    eager_times,
    faster_here,
    fastest_channels,
    onnx_times,
    slower,
)
from prunebench.runner.compress.request import (
    DENSE_TUNED,
    METHODS,
    SEARCH,
    TOLERATED,
    Request,
    check_methods,
    task_of,
)
from prunebench.runner.compress.size_budget import Budget, Shares, sparsities_of
from prunebench.runner.export_cell import CARD, Export, export_cell, rebuilt_cell
from prunebench.runner.job_context import JobContext
from prunebench.runner.progress import Phases, counts, grid_bar
from prunebench.storage.files import write_json
from prunebench.storage.layout import DATA
from prunebench.storage.records import DENSE
from prunebench.tasks.task_data import TaskData, load
from prunebench.text.numbers import number, percent, plural
from prunebench.text.private import without_paths
from prunebench.training.loop import logits_of

LEVELS, SAID = "levels.json", "compress.json"
# the first that the network can be written as is the folder's own; ONNX stands beside it
FORMATS, BESIDE = ("torch-export", "safetensors"), "onnx"


@dataclass(frozen=True)
class Compressed:
    """A network that was compressed, and the folder with all that belongs to it."""

    folder: Path
    network: nn.Module  # shrunk where that is exact, in evaluation mode, on the CPU
    results: Results  # of the search
    chosen: dict[str, Any]  # the record of the network
    summary: str  # sizes, time and error, before and after

    def __repr__(self) -> str:
        """Return the summary."""
        return f"Compressed: {self.summary}"


def compress(
    network: nn.Module | str, data: str | Mapping[str, Any], *,
    budget: str | Mapping[str, float] | None = None, tolerance: float | None = None,
    weights: str | Path | None = None, pretrained: bool = False, training: bool = True,
    epochs: int = 10, dense_epochs: int = 0, learning_rate: float = 0.01, optimizer: str = "sgd",
    batch_size: int = 128, methods: Sequence[str] = METHODS, exclude: Sequence[str] = (),
    threads: int = 1, kind: str = "classification", output: str | Path = "compressed",
    cache: str | Path = DATA,
) -> Compressed:  # fmt: skip
    """Prune a network to a budget, or as far as a tolerance allows, and export what came out.

    Args:
        network: a trained module; or the name of one of ours or timm's, ``file.py:function``,
            ``hf:owner/name``.
        data: the name of a task, ``file.py:function``, a file or folder (docs/data.md); or the
            splits themselves: ``{"train": (inputs, targets), "val": ..., "test": ...}``, arrays or
            data sets of PyTorch's.
        budget: the share to keep: ``macs=0.5``, ``weights=0.25``, ``latency=0.5``, or
            ``{"macs": 0.5}``.
        tolerance: instead of a budget: how many points more the network may err.
        weights: a file of weights, for a network that is named.
        pretrained: whether a network that is named starts from its own pretrained weights.
        training: whether what is pruned is fine-tuned; else batch norms are measured again.
        epochs: of fine-tuning.
        dense_epochs: of training before, for a network without trained weights.
        learning_rate: of fine-tuning.
        optimizer: ``sgd`` or ``adamw``.
        batch_size: samples in a training step.
        methods: to try, names of presets; controls among them are shown and never taken.
        exclude: layers to leave alone, with wildcards, as ``prunable.exclude`` of a configuration.
        threads: of the processor, also where times are measured.
        kind: of task, where the data do not say it.
        output: the folder to write.
        cache: the folder of downloaded and prepared data.

    Returns:
        The network with its folder. Interrupted, the same call goes on.

    Raises:
        PrunebenchError: something that is asked cannot be, with the reason in a line.
    """
    folder = Path(output)
    module = network if isinstance(network, nn.Module) else None
    if module is not None and (weights is not None or pretrained or dense_epochs):
        raise PrunebenchError(
            "compress: a module has its weights: leave out weights, pretrained, dense_epochs"
        )
    with output_folder.held(folder):
        if isinstance(network, nn.Module):
            network, weights = given.store_network(network, folder)
        if isinstance(data, Mapping) and "name" not in data:
            data = str(given.store_data(data, folder))
        request = Request(
            network=network, task=task_of(data, kind),
            weights=None if weights is None else str(weights), pretrained=pretrained,
            budget=None if budget is None else Budget.read(budget), tolerance=tolerance,
            training=training, methods=tuple(methods), epochs=epochs, dense_epochs=dense_epochs,
            learning_rate=learning_rate, optimizer=optimizer, batch_size=batch_size,
            exclude=tuple(exclude), threads=threads,
        )  # fmt: skip
        check_methods(request.methods, request.training)
        with given.giving(module):
            return _carry_out(request, folder, Path(cache), "")


def carry_out(request: Request, folder: Path, cache: Path = DATA, again: str = "") -> Compressed:
    """Search, choose, export and describe.

    Args:
        request: what is asked.
        folder: to write.
        cache: the folder of downloaded and prepared data.
        again: the command that asked, for the page.

    Raises:
        PrunebenchError: something that is asked cannot be, with the reason in a line.
    """
    check_methods(request.methods, request.training)
    with output_folder.held(folder):
        return _carry_out(request, folder, cache, again)


def _carry_out(request: Request, folder: Path, cache: Path, again: str) -> Compressed:
    phases = Phases(4)
    phases.begin("the network, its data and the sparsities to look at")
    plan = _planned(request, folder, cache)
    phases.begin(f"the search, {plural(counts(plan)['total'], 'network')}")
    with grid_bar(plan):
        pipeline.run(plan, cache)
    phases.begin("the choice")
    results = Results(plan.layout.root)
    tried = choices.tried(results.cells)
    dense = results.cells[results.cells["method"] == DENSE].iloc[0]
    told = _trials(request, results.cells, tried, again or _call(request, folder))
    beside_budget = _beside_budget(plan, tried, request)
    try:
        chosen = _choice(plan, tried, request)
    except choices.NothingTaken as error:
        raise _nothing_taken(error, told, beside_budget, request, folder) from error
    control = beside_control(plan, tried, chosen, _unit(request))
    data = prepared(plan.experiment.tasks[0], cache)
    multiple = fastest_channels(chosen.cell, data)
    about = CardRemarks(
        _asked_and_kept(request, chosen), (control.told,) if control.as_well else ()
    )
    phases.begin("export, each file verified in a fresh process, and the page")
    times = onnx_times(chosen.cell, data, multiple)
    main, beside, notes = _exported(chosen.cell, folder, data, multiple, about, times)
    eager = eager_times(chosen.cell)
    facts = _before_after(dense, chosen, eager, times)
    notes += slower(times, float(chosen.row["kept_macs"]))
    notes += faster_here(eager, times)
    summary = _summary(chosen.cell, facts, control.short)
    tuned = tried[tried["method"] == DENSE_TUNED]
    first, reason = ((control.told,), ()) if control.as_well else ((), (control.told,))
    report.write(
        report.Outcome(
            title=f"{chosen.row['model']} on {chosen.row['task']}, compressed",
            summary=summary, before_after=facts,
            reasons=(f"Asked: {_asked(request)}.", *chosen.reasons, *reason, *beside_budget),
            chosen=chosen.place, files=_files(main, beside), loader=format_of(_format(main)).loader,
            notes=(*first, *notes, *_warnings(tuned, dense)), **told,
        ),
        folder,
    )  # fmt: skip
    record = {key: _json_value(value) for key, value in chosen.row.items()}
    write_json(
        folder / SAID,
        {"summary": summary, "asked": _asked(request), "chosen": record, "notes": notes},
    )
    network = rebuilt_cell(chosen.cell, data).network.model.cpu().eval()
    return Compressed(folder, network, results, record, summary)


def _choice(plan: Plan, tried: pd.DataFrame, request: Request) -> choices.Choice:
    if request.budget is not None:
        return choices.by_budget(plan, tried, request.budget)
    assert request.tolerance is not None
    return choices.by_tolerance(plan, tried, request.tolerance)


def _beside_budget(plan: Plan, tried: pd.DataFrame, request: Request) -> tuple[str, ...]:
    """Why methods lie far from the budget, where one was asked for."""
    if request.budget is None:
        return ()
    return tuple(missed_budget(plan, tried, request.budget, request.finder))


def _trials(
    request: Request, cells: pd.DataFrame, tried: pd.DataFrame, again: str
) -> dict[str, Any]:
    """What a page says whether or not a network was taken."""
    return {
        "cells": cells, "tried": tried, "unit": _unit(request),
        "share": None if request.budget is None else request.budget.share, "again": again,
    }  # fmt: skip


def _nothing_taken(
    error: choices.NothingTaken, told: Mapping[str, Any], beside_budget: Sequence[str],
    request: Request, folder: Path,
) -> PrunebenchError:  # fmt: skip
    """Write the page of a search that found nothing to take; return the error that names it."""
    row = told["tried"].iloc[0]
    notes = [
        "What was trained is kept: with a larger tolerance the same command only chooses again."
    ]
    if request.exclude:
        notes.append(
            f"--exclude {','.join(request.exclude)} keeps these layers whole, and what a skip"
            " connection joins to them: with fewer of them excluded smaller networks are found."
        )
    if (folder / CARD).exists():
        notes.append("The network in this folder is that of an earlier request.")
    report.write(
        report.Outcome(
            title=f"{row['model']} on {row['task']}: no network was taken",
            summary=f"Asked: {_asked(request)}. No network that was tried is shown to meet it, and"
            " none is exported.",
            before_after={}, reasons=(*error.reasons, *beside_budget), chosen=None,
            files={f"{SEARCH}/": "the experiment: records, tables, all networks tried"},
            loader="", notes=notes, **told,
        ),
        folder,
    )  # fmt: skip
    said = {"summary": str(error), "asked": _asked(request), "chosen": None, "notes": notes}
    write_json(folder / SAID, said)
    excluded = f"; {notes[1]}" if request.exclude else ""
    return PrunebenchError(f"{error}{excluded}; {folder / report.PAGE} shows what was tried")


def _json_value(value: Any) -> Any:
    """A value of a table as JSON can say it."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


# ------------------------------------------------------------------------------ the search


def _planned(request: Request, folder: Path, cache: Path) -> Plan:
    """The plan of the search; which sparsities it looks at is found once, and kept."""
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


# ------------------------------------------------------------------------------ the folder


def _exported(
    cell: Cell,
    folder: Path,
    data: Path,
    multiple: int,
    about: CardRemarks,
    times: tuple[Speed, Speed] | None,
) -> tuple[Export, Export | None, list[str]]:
    """Export the network; return the main export, that to ONNX, and what is to be said of them.

    Args:
        cell: the chosen cell.
        folder: to write.
        data: the prepared data of its task.
        multiple: of channels that the network keeps as ONNX.
        about: what its cards say beside its record.
        times: in ONNX Runtime, before and after.
    """
    notes: list[str] = []
    main = None
    for kind in FORMATS:
        try:
            main = export_cell(cell, kind, folder, data, shared=True, remarks=about)
            break
        except PrunebenchError as error:
            notes.append(f"Not written as {kind}: {error}")
    if main is None:
        raise PrunebenchError("compress: the network cannot be exported: " + "; ".join(notes))
    of_onnx = replace(about, speed=times or ())
    try:
        beside = export_cell(
            cell, BESIDE, folder / BESIDE, data, shared=True, multiple=multiple, remarks=of_onnx
        )
    except PrunebenchError as error:
        return main, None, [*notes, f"Not written as {BESIDE}: {error}"]
    if multiple > 1 and beside.kind == "shrunk":
        notes.append(
            f"ONNX Runtime runs this network fastest at multiples of {multiple} channels, measured"
            " here: as ONNX it keeps so many, the added ones at zero."
        )
    return main, beside, notes


def _format(export: Export) -> str:
    return next(kind for kind in FORMATS if format_of(kind).file in export.files)


def _files(main: Export, beside: Export | None) -> dict[str, str]:
    same = main.agreement
    found = {
        format_of(_format(main)).file: f"the {main.kind} network, raw inputs to answers; in a fresh"
        f" process it predicts {same.samples:,} test inputs as it was measured to"
        f" ({percent(same.share)})",
        CARD: "its model card",
    }
    if beside is not None:
        found[f"{BESIDE}/{format_of(BESIDE).file}"] = "the same as ONNX, for any number of inputs"
    return found | {f"{SEARCH}/": "the experiment behind it: records, tables, all networks tried"}


def _before_after(
    dense: pd.Series,
    chosen: choices.Choice,
    eager: tuple[Speed, Speed] | None,
    times: tuple[Speed, Speed] | None,
) -> dict[str, tuple[str, str, str]]:
    """Return what counts before and after, and what became of it."""
    row = chosen.row
    params = row["params_kept"] if pd.isna(row["params_shrunk"]) else row["params_shrunk"]
    left = row["macs_kept"] if pd.isna(row["macs_shrunk"]) else row["macs_shrunk"]
    change = ""
    if (found := choices.interval_of(chosen.cell)) is not None:
        rise, low, high = (number(value, 2, sign=True) for value in found)
        change = f"{rise} points, {percent(choices.LEVEL)} interval {low} to {high}"
    measured = {
        f"{what} ({name}, {plural(own[0].threads, 'thread')}, batch {own[0].batch})": told
        for what, name, own in (
            ("time of one input", "PyTorch eager", eager),
            ("the same", "ONNX Runtime", times),
        )
        if own is not None
        for told in [_milliseconds(*own)]
    }
    return {
        "weights": _counts(dense["params_total"], params),
        "MACs an input": _counts(dense["macs_dense"], left),
        **measured,
        "test error": (
            percent(float(dense["test_error"])), percent(float(row["test_error"])), change
        ),
    }  # fmt: skip


def _milliseconds(before: Speed, after: Speed) -> tuple[str, str, str]:
    """Return both medians, and their difference where the quartiles show one."""
    differs = before.slower_than(after) or after.slower_than(before)
    change = _change(after.median_ms / before.median_ms) if differs else NO_DIFFERENCE
    return _median(before), _median(after), change


def _median(speed: Speed) -> str:
    median, low, high = (number(v, 3) for v in (speed.median_ms, speed.low_ms, speed.high_ms))
    return f"{median} ms [{low}, {high}]"


def _counts(before: float, after: float) -> tuple[str, str, str]:
    return f"{int(before):,}", f"{int(after):,}", _change(after / before)


def _change(kept: float) -> str:
    """Return what became of a share that is kept, as a difference: 0.25 is ``−75 %``."""
    if pd.isna(kept):
        return ""
    rise = round(100 * (kept - 1), 1)
    return f"{number(rise, 0 if rise == round(rise) else 1, sign=True)} %"


def _summary(cell: Cell, facts: Mapping[str, tuple[str, str, str]], control: str) -> str:
    told = "; ".join(
        f"{what} {before} → {after}" + (f" ({change})" if change else "")
        for what, (before, after, change) in facts.items()
    )
    task, _, model, _ = cell.baseline.key
    said = f"{model} on {task} by {cell.method_name}: {told}"
    return f"{said}; {control}" if control else said


def _warnings(tuned: pd.DataFrame, dense: pd.Series) -> list[str]:
    """Return what speaks against reading the figures as the effect of pruning alone."""
    said = [
        "One network of one training: the interval is of the test samples, not of another"
        " training's."
    ]
    for _, row in tuned.iterrows():
        before, after = float(dense["val_error"]), float(row["val_error"])
        said.append(_of_training(before, after))
    return said


def _of_training(before: float, after: float) -> str:
    """Return what fine-tuning alone does to the dense network's validation error."""
    first = "Nothing removed and fine-tuned as long, the dense network's validation error"
    if percent(before) == percent(after):
        return f"{first} stays at {percent(before)}: none of the difference is the training's."
    rise = number(100 * (after - before), 2, sign=True)
    return (
        f"{first} goes from {percent(before)} to {percent(after)} ({rise} points): so much is the"
        " training's, not pruning's."
    )


def _asked(request: Request) -> str:
    if request.tolerance is None:
        return f"budget {request.budget}"
    return f"at most {plural(request.tolerance, 'point')} more error"


def _asked_and_kept(request: Request, chosen: choices.Choice) -> str:
    """Return what was asked for the card, and for a budget what is kept."""
    if request.budget is None:
        return _asked(request)
    kept = percent(float(chosen.row[f"kept_{request.budget.unit}"]), 1)
    return f"{_asked(request)}; it keeps {kept} of the {report.UNITS[request.budget.unit]}"


def _unit(request: Request) -> str:
    return "macs" if request.budget is None else request.budget.unit


def _call(request: Request, folder: Path) -> str:
    asked = f'budget="{request.budget}"' if request.budget else f"tolerance={request.tolerance:g}"
    return f'prunebench.compress(…, {asked}, output="{without_paths(str(folder))}")'
