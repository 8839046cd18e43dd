"""The grid that was run: tasks, regimes, models, methods and the budget of training."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from prunebench.experiment.settings import PARTS, Training
from prunebench.report.document.elements import (
    NAME,
    NUMBER,
    WORDS,
    Block,
    FactsBlock,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics.cells_table import flags
from prunebench.storage.records import DENSE
from prunebench.text.numbers import NONE, number, percent, times

# of the training settings, those that a reader needs to judge the budget
SHOWN = (
    "epochs", "recovery_epochs", "batch_size", "optimizer", "learning_rate", "schedule",
    "warmup_epochs", "momentum", "weight_decay", "gradient_clip", "validate_every",
)  # fmt: skip


def section(inputs: ReportInputs) -> Section:
    """Return the section on the grid, as far as the records and their configuration tell it."""
    blocks: list[Block] = [
        FactsBlock(_grid(inputs)), _tasks(inputs), _regimes(inputs), _models(inputs),
        _methods(inputs), *_training(inputs),
    ]  # fmt: skip
    return Section("What was run", "run", blocks)


def values(column: pd.Series) -> str:
    """Return the distinct values of a column, sorted, with commas; ``–`` for none."""
    found = sorted(column.dropna().unique().tolist())
    shown = [f"{value:g}" if isinstance(value, float) else str(value) for value in found]
    return ", ".join(shown) or NONE


def _grid(inputs: ReportInputs) -> dict[str, str]:
    cells = inputs.cells
    pruned = sorted(cells.loc[cells["sparsity"] > 0, "sparsity"].unique())
    count = f"{len(cells)}: one for each method, sparsity, seed, task, regime and model"
    return {
        "Cells": count,
        "Seeds": values(cells["seed"]),
        "Target sparsities": ", ".join(percent(value) for value in pruned) or NONE,
        "Compression achieved": " to ".join(map(times, inputs.compression or ())) or NONE,
    }


def _tasks(inputs: ReportInputs) -> TableBlock:
    known = {task.name: task for task in inputs.experiment.tasks} if inputs.experiment else {}
    # values and sequences have none
    classes = "classes" in inputs.cells.columns and inputs.cells["classes"].notna().any()
    rows = []
    for name, cells in inputs.cells.groupby("task", sort=True):
        task = known.get(str(name))
        sizes = [getattr(task, split, None) for split in ("train", "val", "test")]
        rows.append(
            [
                str(name),
                *([values(cells["classes"])] if classes else []),
                *(NONE if size is None else str(size) for size in sizes),
                task.source if task else NONE,
            ]
        )
    columns = {
        "Task": NAME, **({"Classes": NUMBER} if classes else {}), "Train": NUMBER,
        "Validation": NUMBER, "Test": NUMBER, "Source": WORDS,
    }  # fmt: skip
    return TableBlock(columns, rows, "Tasks, with their number of samples in each split.")


def _regimes(inputs: ReportInputs) -> TableBlock:
    columns = {
        "Regime": NAME, "Label noise": NUMBER, "Kind of noise": WORDS, "Training samples": NUMBER,
        "Augmentation": WORDS, "Width": NUMBER,
    }  # fmt: skip
    wanted = ("label_noise", "noise", "train_samples", "augmentation", "width")
    cells = inputs.cells.reindex(columns=["regime", *wanted])
    rows = [
        [str(name), *(_regime_value(column, part[column]) for column in wanted)]
        for name, part in cells.groupby("regime", sort=True)
    ]
    return TableBlock(columns, rows, "Regimes: the conditions that provoke overfitting.")


def _regime_value(column: str, found: pd.Series) -> str:
    if column == "label_noise":
        noise = pd.to_numeric(found, errors="coerce").dropna().unique()
        return ", ".join(percent(value) for value in sorted(noise)) or NONE
    return _yes_or_no(found) if column == "augmentation" else values(found)


def _yes_or_no(found: pd.Series) -> str:
    said = sorted(flags(found).dropna().unique())
    return ", ".join("yes" if value else "no" for value in said) or NONE


def _models(inputs: ReportInputs) -> TableBlock:
    rows = []
    wanted = ["task", "model", "method", "params_total", "macs_dense", "train_epochs"]
    wanted += ["zero_init_last"]
    known = inputs.cells.reindex(columns=wanted)
    for (task, name), cells in known.groupby(["task", "model"], sort=True):
        dense = cells[cells["method"] == DENSE]
        rows.append(
            [
                str(name),
                str(task),
                _span(dense["params_total"]),
                _span(dense["macs_dense"]),
                number(dense["train_epochs"].astype("float64").mean(), 1),
                _yes_or_no(dense["zero_init_last"]),
            ]
        )
    columns = {
        "Model": NAME, "Task": NAME, "Weights": NUMBER, "Multiply-accumulates": NUMBER,
        "Epochs, dense": NUMBER, "Branches start at zero": WORDS,
    }  # fmt: skip
    return TableBlock(
        columns, rows,
        "Models, dense. Where residual branches start at zero (zero_init_last), what scores weights"
        " before training cannot tell those of a branch apart.",
    )  # fmt: skip


def _span(found: pd.Series) -> str:
    """Return a whole number, or a range where the values differ (a regime may change the width)."""
    ends = sorted({found.min(), found.max()} - {None}) if found.notna().any() else []
    return " to ".join(f"{end:,.0f}" for end in ends) or NONE


def _methods(inputs: ReportInputs) -> TableBlock:
    made = inputs.composition
    cost = inputs.cells.reindex(columns=["method", "train_epochs", "train_seconds"])
    means = cost.groupby("method").mean().to_dict()
    rows = [
        [
            str(name),
            str(parts["family"]),
            "control" if parts["control"] else "candidate",
            *(NONE if parts[kind] is None else str(parts[kind]) for kind in PARTS),
            number(means["train_epochs"][str(name)], 1),
            number(means["train_seconds"][str(name)], 1),
        ]
        for name, parts in made.iterrows()
    ]
    columns = {
        "Method": NAME, "Family": WORDS, "Role": WORDS,
        **dict.fromkeys(map(str.title, PARTS), WORDS), "Epochs": NUMBER, "Seconds": NUMBER,
    }  # fmt: skip
    return TableBlock(
        columns, rows,
        "Methods and their parts. Epochs and seconds: all training of a cell, its baseline"
        " included, mean over cells.",
    )  # fmt: skip


def _training(inputs: ReportInputs) -> Iterable[Block]:
    if inputs.experiment is None:
        yield TextBlock(
            "How the networks were trained is not known here, since the resolved configuration"
            f" cannot be read ({inputs.unread}); the epochs that each method used are above."
        )
        return
    experiment = inputs.experiment
    trained = {
        f"{model.name}{f', {regime.name}' if regime.training else ''}": experiment.training_of(
            model, regime
        )
        for model in experiment.models
        for regime in experiment.regimes
    }
    yield TableBlock(
        {"Network": NAME, **{key.replace("_", " ").capitalize(): NUMBER for key in SHOWN}},
        [[name, *(_setting(training, key) for key in SHOWN)] for name, training in trained.items()],
        "Training of the baselines, which the recoveries repeat. A regime is named where its"
        " training differs.",
    )


def _setting(training: Training, key: str) -> str:
    value = getattr(training, key)
    return NONE if value is None else f"{value:g}" if isinstance(value, float) else str(value)
