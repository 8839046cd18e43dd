"""Judge whether the gain with clean labels is as good as none."""

from __future__ import annotations

import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import EQUIVALENT, HIGHER, LOWER
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.comparisons import (
    Comparison,
    judge_family,
)
from prunebench.statistics.hypotheses.judgements import Judgement, hypothesis, verdict_for_all
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells, in_settings
from prunebench.statistics.label_scopes import CLEAN
from prunebench.text.numbers import number, plural

GAIN = "gain"
LEFT_OUT = "gain, seed left out of the choice of sparsity"
STOPPED_GAIN = "gain, both stopped on validation"
UNDECIDED = "the interval, widened by the error of the test samples, is not inside"
BESIDE = {LEFT_OUT: "gain_left_out", "integrated gain": "integrated"}


@hypothesis(
    1, "clean-labels",
    "Clean labels: pruning's gain lies inside the region of practical equivalence.",
    "forest", noisy=False,
)  # fmt: skip
def clean_labels(table: PairedCells) -> Judgement:
    """Compare the gain over all clean settings, for each method, with the region of equivalence."""
    settings, family = table.settings_with(CLEAN), table.family
    values = in_settings(table.gains, settings)
    values = values[values["method"].isin(family)]
    alpha, margin = table.analysis.alpha, table.analysis.equivalence
    items = judge_family(table.compare(values, GAIN, CLEAN, "dense", GAIN, margin), alpha)
    after = _stopped(table)
    if not items:
        raise MissingRecords("no clean setting has validation errors to choose a sparsity by")
    same = [item.decision == EQUIVALENT for item in items]
    out = [_is_outside(item, margin) for item in items]
    beside = [
        item
        for measure, column in BESIDE.items()
        for item in judge_family(
            table.compare(values, measure, CLEAN, "dense", column, margin), alpha
        )
    ]
    settings = values[SETTING].drop_duplicates()
    single = _per_setting(table, values) if len(settings) > 1 else []
    outside = [item for item in items if item.decision in (HIGHER, LOWER)]
    sentence = (
        f"With clean labels the gain at the sparsity chosen on validation lies inside"
        f" ±{margin:g} points for {phrases.of(sum(same), len(same))}"
        f" ({plural(len(settings), 'setting')}, {phrases.seeds(items)})."
        f" {phrases.by_decision(items, alpha, undecided=UNDECIDED)}."
        + _left_out(beside)
        + _stopped_words(after, margin, alpha)
        + (f" {_outside(outside, margin)}" if outside else "")
    )
    same += [item.decision == EQUIVALENT for item in after]
    out += [_is_outside(item, margin) for item in after]
    verdict = verdict_for_all([], same, out)
    return Judgement(verdict, sentence, [*items, *after, *beside, *single])


def _stopped(table: PairedCells) -> list[Comparison]:
    """Compare the same of the stopped states, a family of its own; none where none are recorded."""
    after = table.stopped
    if after is None or CLEAN not in after.scopes():
        return []
    values = in_settings(after.gains, after.scopes()[CLEAN])
    values = values[values["method"].isin(table.primary)]
    margin = table.analysis.equivalence
    made = after.compare(values, STOPPED_GAIN, CLEAN, "dense, stopped", GAIN, margin)
    return judge_family(made, table.analysis.alpha)


def _stopped_words(after: list[Comparison], margin: float, alpha: float) -> str:
    if not after:
        return ""
    same = sum(item.decision == EQUIVALENT for item in after)
    return (
        f" With both sides stopped on validation it lies inside ±{margin:g} points for"
        f" {phrases.of(same, len(after))}."
        f" {phrases.by_decision(after, alpha, undecided=UNDECIDED)}."
    )


def _is_outside(item: Comparison, margin: float) -> bool:
    shown = item.decision in (HIGHER, LOWER)
    return shown and (item.found.low > margin or item.found.high < -margin)


def _per_setting(table: PairedCells, values: pd.DataFrame) -> list[Comparison]:
    """Compare the gain of each method in each setting, a family of its own."""
    alpha, margin = table.analysis.alpha, table.analysis.equivalence
    items = [
        item
        for key, rows in values.groupby(SETTING, sort=True)
        for item in table.compare(rows, GAIN, "/".join(map(str, key)), "dense", GAIN, margin)
    ]
    return judge_family(items, alpha)


def _left_out(beside: list[Comparison]) -> str:
    """Return a sentence about the gains where no seed takes part in its own choice."""
    own = [item.found.value for item in beside if item.measure == LEFT_OUT]
    if not own:
        return ""
    span = f"{number(min(own), sign=True)} to {number(max(own), sign=True)}"
    where = span if len(own) > 1 else number(own[0], sign=True)
    return f" With the sparsity chosen by the other seeds alone: {where} points."


def _outside(items: list[Comparison], margin: float) -> str:
    beyond = [item.method for item in items if _is_outside(item, margin)]
    if not beyond:
        return "Differences from 0 were shown, but not beyond the region."
    return f"The claim is contradicted by {phrases.names(beyond)}, wholly outside the region."
