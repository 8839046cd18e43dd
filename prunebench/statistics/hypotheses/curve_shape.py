"""Judge the shape of the curve: double descent, and whether it goes with memorization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import HIGHER, LOWER, UNRESOLVED, Estimate, estimate
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.comparisons import (
    Comparison,
    clip_correlations,
    judge_family,
)
from prunebench.statistics.hypotheses.correlation import (
    POINTS,
    partial_spearman,
    slope,
    spearman,
)
from prunebench.statistics.hypotheses.judgements import Judgement, hypothesis, verdict_for_all
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells, in_settings
from prunebench.statistics.hypotheses.phases import PHASES, curve_phases, phases_per_seed
from prunebench.statistics.label_scopes import NOISY
from prunebench.statistics.significance import holm, p_text, unable
from prunebench.text.numbers import plural

PARTIAL = "partial rank correlation, given compression"
EVERY = "all methods"
SIDES = {"rise": HIGHER, "fall": LOWER, "collapse": HIGHER}


@hypothesis(
    2, "double-descent", "Noisy labels: test error rises, falls, collapses as sparsity grows.",
    "error-compression",
)  # fmt: skip
def double_descent(table: PairedCells) -> Judgement:
    """Look for all three phases, for each method over the noisy settings together (joint test)."""
    settings, family = table.settings_with(NOISY), table.family
    found = in_settings(curve_phases(table, family), settings)
    values = in_settings(phases_per_seed(table, family), settings)
    if found.empty:
        raise MissingRecords(
            "no curve with noisy labels has validation errors to find its phases by"
        )
    pooled = _pooled(values, table)
    single = [item for _, row in found.iterrows() for item in _of_curve(row)]
    methods = _methods(pooled)
    hold = [
        all(item.decision == SIDES[item.measure] for item in pooled if item.method == method)
        for method in methods
    ]
    counts = {phase: int(found[f"{phase}_shown"].sum()) for phase in PHASES}
    whole = int(found[[f"{phase}_shown" for phase in PHASES]].all(axis=1).sum())
    curves_of = plural(len(found), "curve")
    sentence = (
        f"Over the noisy settings together all three phases are shown for"
        f" {phrases.of(sum(hold), len(hold))}: {phrases.listed(_of_methods(pooled, table))}."
        f" By their 95 % intervals alone, of {curves_of} (a method in a setting)"
        f" {counts['rise']} rise{'s' if counts['rise'] == 1 else ''} above dense first,"
        f" {counts['fall']} fall{'s' if counts['fall'] == 1 else ''} more than"
        f" {table.analysis.equivalence:g} points below it, {counts['collapse']}"
        f" collapse{'s' if counts['collapse'] == 1 else ''}, and {whole}"
        f" {'does' if whole == 1 else 'do'} all three; places were found on validation."
    )
    return Judgement(verdict_for_all(hold), sentence, [*pooled, *single])


def _pooled(values: pd.DataFrame, table: PairedCells) -> list[Comparison]:
    """Estimate the phases of each method over its settings; p is that of all three, adjusted."""
    analysis, made = table.analysis, []
    for phase in PHASES:
        made += table.compare(values, phase, NOISY, "dense", phase)
    # far below: the test is of the distance beyond the region of equivalence
    beyond = {
        str(method): estimate(
            rows.assign(fall=rows["fall"] + analysis.equivalence), "fall", shared=table.shared
        ).p
        for method, rows in values.groupby("method")
    }
    own = [beyond[item.method] if item.measure == "fall" else item.found.p for item in made]
    methods = _methods(made)
    joint = [
        max(p for item, p in zip(made, own, strict=True) if item.method == method)
        for method in methods
    ]
    adjusted = dict(zip(methods, holm(np.array(joint)), strict=True))
    return [
        replace(
            item,
            found=replace(item.found, p=p),
            against="the minimum" if item.measure == "collapse" else "dense",
            p=adjusted[item.method],
            family=len(methods),
            decision=_side(item, adjusted[item.method], table),
        )
        for item, p in zip(made, own, strict=True)
    ]


def _side(item: Comparison, p: float, table: PairedCells) -> str:
    if not p <= table.analysis.alpha:
        return UNRESOLVED
    if item.found.high < (-table.analysis.equivalence if item.measure == "fall" else 0):
        return LOWER
    return HIGHER if item.found.low > 0 else UNRESOLVED


def _of_curve(row: pd.Series) -> list[Comparison]:
    """Return the phases of one curve, decided by their intervals alone."""
    scope = "/".join(str(row[column]) for column in SETTING)
    return [
        Comparison(
            scope, row["method"], "the minimum" if phase == "collapse" else "dense", phase,
            Estimate(
                row[phase], row[f"{phase}_low"], row[f"{phase}_high"], np.nan, int(row["seeds"]), 1,
                int(row["seeds"]),
            ),
            sparsity=row[f"{phase}_at"], note="by its interval alone",
            decision=SIDES[phase] if row[f"{phase}_shown"] else UNRESOLVED,
        )
        for phase in PHASES if not np.isnan(row[phase])
    ]  # fmt: skip


def _size(item: Comparison) -> str:
    """Return the size of a phase; where no curve has a place for it, all its values are 0."""
    if item.found.value == item.found.low == item.found.high == 0:
        return "none recorded (the minimum is at the grid's end)"
    return phrases.number(item)


def _methods(items: list[Comparison]) -> list[str]:
    return sorted({item.method for item in items})


def _of_methods(pooled: list[Comparison], table: PairedCells) -> list[str]:
    """Return ``imp: rise +1.0 points […], fall …, collapse … (p = 0.031)`` for each method."""
    said = []
    for method in _methods(pooled):
        own = {item.measure: item for item in pooled if item.method == method}
        item = own["fall"]
        reason = unable(
            item.found.units, item.family, "methods", table.analysis.alpha, item.found.unit
        )
        parts = ", ".join(f"{phase} {_size(own[phase])}" for phase in PHASES)
        said.append(f"{method}: {parts} ({reason or p_text(item.p)})")
    return said


@hypothesis(
    3, "memorization", "The gain follows the loss of memorization.", "memorized-recovered"
)  # fmt: skip
def memorization(table: PairedCells) -> Judgement:
    """Correlate memorized share and test error within a seed, up to the minimum.

    Beside it at equal compression, since both also change with what is kept alone: over all
    methods and compressions, given the compression that was achieved.
    """
    settings, family = table.settings_with(NOISY), table.family
    if table.rows["memorized"].isna().all():
        raise MissingRecords("the column memorized is empty")
    alpha = table.analysis.alpha
    alike = judge_family(
        clip_correlations(
            table.compare(_at_equal_compression(table, settings), PARTIAL, NOISY, "", "partial")
        ),
        alpha,
    )
    values = in_settings(_per_seed(table, family), settings)
    if values.empty or values["correlation"].isna().all():
        raise MissingRecords(
            f"no curve has {POINTS} cells with a known and changing memorized share between dense"
            " and its minimum"
            + (f" (at equal compression, {_alike_words(alike)})" if alike else ""),
            alike,
        )
    ranks = judge_family(
        clip_correlations(table.compare(values, "rank correlation", NOISY, "", "correlation")),
        alpha,
    )
    slopes = judge_family(
        table.compare(values, "points of error per point of memorization", NOISY, "", "slope"),
        alpha,
    )
    hold = [item.decision == HIGHER for item in ranks]
    none = [method for method in family if method not in {item.method for item in ranks}]
    sentence = (
        "From dense to the minimum that validation chooses, test error falls with the memorized"
        f" share for {phrases.of(sum(hold), len(hold))}"
        + (f" that reach a minimum late enough (not {phrases.names(none)})" if none else "")
        + f" (mean rank correlation within a seed, {phrases.seeds(ranks)})."
        f" {phrases.by_decision(ranks, alpha, unit='')}."
        " Points of test error lost with each point of memorization: "
        + phrases.listed([f"{item.method} {phrases.number(item, '')}" for item in slopes])
        + ". Both also change with sparsity alone: the correlation shows that they go together,"
        " not which causes which."
        + (f" At equal compression {_alike_words(alike)}." if alike else "")
    )
    against = [item.decision == LOWER for item in ranks]
    return Judgement(verdict_for_all(hold, opposite=against), sentence, [*ranks, *slopes, *alike])


def _at_equal_compression(table: PairedCells, settings: pd.DataFrame) -> pd.DataFrame:
    """Return ``partial`` per setting and seed: of memorized and test error, given compression."""
    cells = in_settings(table.rows[table.rows["sparsity"] > 0], settings)
    cells = cells.dropna(subset=["memorized", "test_error"])
    found = [
        (*key, EVERY, partial_spearman(*rows[["memorized", "test_error", "octaves"]].to_numpy().T))
        for key, rows in cells.groupby([*SETTING, "seed"], sort=True)
    ]
    return pd.DataFrame(found, columns=[*SETTING, "seed", "method", "partial"])


def _alike_words(items: list[Comparison]) -> str:
    [item] = items
    what = {HIGHER: "test error falls with it", LOWER: "test error rises as it falls"}
    said = what.get(item.decision, "no relation is shown")
    return f"{said} (partial rank correlation {phrases.number(item, '')}, {p_text(item.p)})"


def _per_seed(table: PairedCells, methods: tuple[str, ...]) -> pd.DataFrame:
    """Return ``correlation`` and ``slope`` of test error over memorized, dense to the minimum."""
    chosen = table.gains.rename(columns={"sparsity": "minimum"})
    keys = [*SETTING, "method", "seed"]
    cells = table.rows_of(methods).merge(chosen[[*keys, "minimum"]], on=keys)
    cells = cells[(cells["sparsity"] <= cells["minimum"]) & (cells["sparsity"] > 0)]
    starts = table.dense.drop(columns="method").merge(cells[keys].drop_duplicates())
    cells = pd.concat([starts, cells]).dropna(subset=["memorized", "test_error"])
    found = []
    for key, rows in cells.groupby(keys, sort=True):
        x, y = rows["memorized"].to_numpy(), rows["test_error"].to_numpy()
        falls = slope(x, y) if len(x) >= POINTS else np.nan
        found.append((*key, spearman(x, y), falls))
    return pd.DataFrame(found, columns=[*keys, "correlation", "slope"])
