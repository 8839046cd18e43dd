"""The way from a request to a folder: search, choice, export, page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from prunebench.compression.export_formats import format_of
from prunebench.compression.model_card import CardRemarks
from prunebench.compression.timing import Speed
from prunebench.errors import PrunebenchError
from prunebench.experiment.cell import Cell
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.report import compressed as report
from prunebench.report.results import Results
from prunebench.runner import pipeline
from prunebench.runner.compress import choice as choices
from prunebench.runner.compress import compressed_words as words
from prunebench.runner.compress import given, output_folder
from prunebench.runner.compress.beside_control import beside_control
from prunebench.runner.compress.missed_budget import missed_budget
from prunebench.runner.compress.onnx_times import (
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
    Request,
    check_methods,
    task_of,
)
from prunebench.runner.compress.search_plan import planned
from prunebench.runner.compress.size_budget import Budget
from prunebench.runner.export_cell import CARD, Export, export_cell, rebuilt_cell
from prunebench.runner.progress import Phases, counts, grid_bar
from prunebench.storage.files import write_json
from prunebench.storage.layout import DATA
from prunebench.storage.records import DENSE
from prunebench.text.numbers import percent, plural

SAID = "compress.json"
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
    plan = planned(request, folder, cache)
    phases.begin(f"the search, {plural(counts(plan)['total'], 'network')}")
    with grid_bar(plan):
        pipeline.run(plan, cache)
    phases.begin("the choice")
    results = Results(plan.layout.root)
    tried = choices.tried(results.cells)
    dense = results.cells[results.cells["method"] == DENSE].iloc[0]
    told = _trials(request, results.cells, tried, again or words.call(request, folder))
    beside_budget = _beside_budget(plan, tried, request)
    try:
        chosen = _choice(plan, tried, request)
    except choices.NothingTaken as error:
        raise _nothing_taken(error, told, beside_budget, request, folder) from error
    control = beside_control(plan, tried, chosen, words.unit(request))
    data = prepared(plan.experiment.tasks[0], cache)
    multiple = fastest_channels(chosen.cell, data)
    about = CardRemarks(
        words.asked_and_kept(request, chosen), (control.told,) if control.as_well else ()
    )
    phases.begin("export, each file verified in a fresh process, and the page")
    times = onnx_times(chosen.cell, data, multiple)
    main, beside, notes = _exported(chosen.cell, folder, data, multiple, about, times)
    eager = eager_times(chosen.cell)
    facts = words.before_after(dense, chosen, eager, times)
    notes += slower(times, float(chosen.row["kept_macs"]))
    notes += faster_here(eager, times)
    summary = words.summary(chosen.cell, facts, control.short)
    tuned = tried[tried["method"] == DENSE_TUNED]
    first, reason = ((control.told,), ()) if control.as_well else ((), (control.told,))
    report.write(
        report.Outcome(
            title=f"{chosen.row['model']} on {chosen.row['task']}, compressed",
            summary=summary, before_after=facts,
            reasons=(f"Asked: {words.asked(request)}.", *chosen.reasons, *reason, *beside_budget),
            chosen=chosen.place, files=_files(main, beside), loader=format_of(_format(main)).loader,
            notes=(*first, *notes, *words.warnings(tuned, dense)), **told,
        ),
        folder,
    )  # fmt: skip
    record = {key: _json_value(value) for key, value in chosen.row.items()}
    write_json(
        folder / SAID,
        {"summary": summary, "asked": words.asked(request), "chosen": record, "notes": notes},
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
        "cells": cells, "tried": tried, "unit": words.unit(request),
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
            summary=f"Asked: {words.asked(request)}. No network that was tried is shown to meet it,"
            " and none is exported.",
            before_after={}, reasons=(*error.reasons, *beside_budget), chosen=None,
            files={f"{SEARCH}/": "the experiment: records, tables, all networks tried"},
            loader="", notes=notes, **told,
        ),
        folder,
    )  # fmt: skip
    said = {"summary": str(error), "asked": words.asked(request), "chosen": None, "notes": notes}
    write_json(folder / SAID, said)
    excluded = f"; {notes[1]}" if request.exclude else ""
    return PrunebenchError(f"{error}{excluded}; {folder / report.PAGE} shows what was tried")


def _json_value(value: Any) -> Any:
    """A value of a table as JSON can say it."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


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
