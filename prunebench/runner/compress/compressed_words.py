"""What came out of a compression, in words: sizes, times and errors before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from prunebench.compression.timing import Speed
from prunebench.experiment.cell import Cell
from prunebench.report import compressed as report
from prunebench.runner.compress import choice as choices
from prunebench.runner.compress.onnx_times import NO_DIFFERENCE
from prunebench.runner.compress.request import Request
from prunebench.text.numbers import number, percent, plural
from prunebench.text.private import without_paths


def before_after(
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


def summary(cell: Cell, facts: Mapping[str, tuple[str, str, str]], control: str) -> str:
    """Return one sentence of what was compressed, by which method, and what became of it."""
    told = "; ".join(
        f"{what} {before} → {after}" + (f" ({change})" if change else "")
        for what, (before, after, change) in facts.items()
    )
    task, _, model, _ = cell.baseline.key
    said = f"{model} on {task} by {cell.method_name}: {told}"
    return f"{said}; {control}" if control else said


def warnings(tuned: pd.DataFrame, dense: pd.Series) -> list[str]:
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


def asked(request: Request) -> str:
    """Return the budget or the tolerance in words."""
    if request.tolerance is None:
        return f"budget {request.budget}"
    return f"at most {plural(request.tolerance, 'point')} more error"


def asked_and_kept(request: Request, chosen: choices.Choice) -> str:
    """Return what was asked for the card, and for a budget what is kept."""
    if request.budget is None:
        return asked(request)
    kept = percent(float(chosen.row[f"kept_{request.budget.unit}"]), 1)
    return f"{asked(request)}; it keeps {kept} of the {report.UNITS[request.budget.unit]}"


def unit(request: Request) -> str:
    """Return the unit in which sizes are told: that of the budget, else MACs."""
    return "macs" if request.budget is None else request.budget.unit


def call(request: Request, folder: Path) -> str:
    """Return the call in Python that asked, for the page."""
    wanted = f'budget="{request.budget}"' if request.budget else f"tolerance={request.tolerance:g}"
    return f'prunebench.compress(…, {wanted}, output="{without_paths(str(folder))}")'
