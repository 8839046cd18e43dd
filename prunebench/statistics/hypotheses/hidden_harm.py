"""Judge whether an equal test error hides harm: flips, worst class, corruption, calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from prunebench.statistics.bands import bands
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import HIGHER, LOWER, UNRESOLVED
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.comparisons import (
    Comparison,
    judge_family,
)
from prunebench.statistics.hypotheses.judgements import SHOWN, Judgement, hypothesis
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells
from prunebench.statistics.label_scopes import ALL
from prunebench.storage.records import DENSE, OK
from prunebench.text.numbers import plural

KEYS = [*SETTING, "method", "seed", "sparsity"]
POINT = [*SETTING, "method", "sparsity"]
FAMILY = "the family"
LONG = "dense-long"


@dataclass(frozen=True)
class Harm:
    """A measure of harm; higher is worse."""

    column: str
    words: str
    scale: float = 100.0  # shares in points
    unit: str = " points"
    changed: bool = False  # itself a comparison with dense: any second training has some


HARMS = (
    Harm("flips_to_wrong", "right predictions turned wrong", changed=True),
    Harm("worst_class_change", "rise of the worst class's error", changed=True),
    Harm("corrupted_error", "error under corruptions"),
    Harm("test_ece", "calibration error"),
    Harm("test_nll", "negative log-likelihood", scale=1.0, unit=""),
)
OF = {harm.words: harm for harm in HARMS}


@hypothesis(
    8, "hidden-harm", "Equal error hides harm: flips, worst class, corruption, calibration.", "harm"
)  # fmt: skip
def hidden_harm(table: PairedCells) -> Judgement:
    """Compare the other measures in pruned cells whose test error equals the baseline's.

    Flips and the worst class of any second training differ from the baseline's, so they are
    compared with the dense model trained as long, where its own error is equal too; the rest with
    the baseline.
    """
    family = table.family
    there = [
        harm for harm in HARMS if table.rows_of(family, [harm.column])[harm.column].notna().any()
    ]
    if not there:
        said = phrases.names([harm.words for harm in HARMS])
        raise MissingRecords(f"no measure of harm is recorded: {said}; not every kind has them")
    equal, rule = equal_cells(table, family)
    if equal.empty:
        raise MissingRecords(
            f"no pruned cell has a test error within {table.analysis.equivalence:g} points of its"
            " dense baseline's"
        )
    long = table.controls_of_kind(LONG) if table.has_parts else []
    to_dense = [item for harm in there for item in _to_dense(table, equal, harm)]
    to_long = [item for harm in there for item in _to_long(table, equal, long, harm)]
    decisive = [item for item in to_dense if not OF[item.measure].changed]
    decisive += [item for item in to_long if OF[item.measure].changed]
    alpha = table.analysis.alpha
    main = judge_family([item for item in decisive if item.method == FAMILY], alpha)
    beside = judge_family([i for i in (*to_dense, *to_long) if i not in decisive], alpha)
    beside += judge_family([item for item in decisive if item.method != FAMILY], alpha)
    open_ = [harm for harm in there if harm.words not in {item.measure for item in main}]
    if not main:
        raise MissingRecords(
            f"{', '.join(harm.column for harm in open_)} need a second dense training of equal"
            " error to be held against, and the other measures are empty",
            beside,
        )
    worse = [item for item in main if item.decision == HIGHER]
    curves = plural(len(equal[[*SETTING, "method"]].drop_duplicates()), "curve")
    count = plural(len(equal), "pruned cell")
    absent = [harm.words for harm in HARMS if harm not in there]
    sentence = (
        f"In the {count} of {curves} with"
        f" test error equal to dense's ({rule}) harm is shown by"
        f" {phrases.of(len(worse), len(main), 'measure')} ({phrases.seeds(main)})."
        f" {_decided(main, alpha)}{_open_words(open_, beside)}{_lower(main)}"
        + (f" Not recorded: {phrases.names(absent)}." if absent else "")
    )
    return Judgement(SHOWN if worse else UNRESOLVED, sentence, [*main, *beside])


def equal_cells(table: PairedCells, methods: tuple[str, ...]) -> tuple[pd.DataFrame, str]:
    """Find the finished pruned cells whose test error equals dense's.

    These are the cells of curves' points whose difference to dense has its 95 % interval (Student's
    t) inside the region of practical equivalence; where there is none, every cell whose own
    difference is inside.

    Returns:
        The cells, and the rule by which they are equal, in words.
    """
    rows = table.rows_of(methods)
    rows = rows[(rows["status"] == OK) & (rows["sparsity"] > 0)]
    margin = table.analysis.equivalence
    points = _equal_points(rows, margin)
    if len(points):
        return rows.merge(points, on=POINT), f"mean over seeds, its interval inside ±{margin:g}"
    return rows[_inside(rows, margin)], f"cell by cell, inside ±{margin:g} points"


def _equal_points(rows: pd.DataFrame, margin: float) -> pd.DataFrame:
    if rows.empty:
        return rows[POINT]
    means = bands(rows, ["difference"])
    inside = (means["difference_low"] >= -margin) & (means["difference_high"] <= margin)
    return means.loc[inside, POINT]


def _inside(rows: pd.DataFrame, margin: float) -> pd.Series:
    # errors are counts over a test set: a difference of exactly the margin is inside
    return rows["difference"].abs() <= margin + 1e-9


def _to_dense(table: PairedCells, equal: pd.DataFrame, harm: Harm) -> list[Comparison]:
    """Compare the measure in the equal cells with the baseline's own value."""
    cells = equal[[*KEYS, harm.column]].copy()
    own = table.dense[[*SETTING, "seed", harm.column]].rename(columns={harm.column: "before"})
    cells = cells.merge(own, on=[*SETTING, "seed"], how="left")
    before = 0.0 if harm.changed else cells["before"]
    cells["value"] = harm.scale * (cells[harm.column] - before)
    return _compared(cells, table, DENSE, harm)


def _to_long(
    table: PairedCells, equal: pd.DataFrame, long: list[str], harm: Harm
) -> list[Comparison]:
    """Compare the measure in the equal cells with that of dense-long, where its error is equal."""
    second = table.rows_of(long[:1])
    second = second[_inside(second, table.analysis.equivalence) & (second["status"] == OK)]
    second = second[[*SETTING, "seed", harm.column]].rename(columns={harm.column: "second"})
    cells = equal[[*KEYS, harm.column]].merge(second, on=[*SETTING, "seed"])
    cells["value"] = harm.scale * (cells[harm.column] - cells["second"])
    return _compared(cells, table, long[0] if long else LONG, harm)


def _compared(
    cells: pd.DataFrame, table: PairedCells, against: str, harm: Harm
) -> list[Comparison]:
    """Compare the mean over a seed's cells, of the family together and of each method."""
    cells = cells.dropna(subset=["value"])
    margin = table.analysis.equivalence if harm.unit else 0.0
    made = []
    for rows in (cells.assign(method=FAMILY), cells):
        means = rows.groupby([*SETTING, "method", "seed"], sort=True)["value"].mean().reset_index()
        made += table.compare(means, harm.words, ALL, against, margin=margin)
    return [replace(item, note=f"{len(cells)} cells of equal error") for item in made]


def _decided(main: list[Comparison], alpha: float) -> str:
    """Return each measure with its decision, its unit and its opponent."""
    labels = [f"{item.measure} (against {item.against})" for item in main]
    numbers = [
        phrases.number(item, OF[item.measure].unit, 2 if OF[item.measure].unit else 3)
        for item in main
    ]
    return f"{phrases.by_decision(main, alpha, labels=labels, values=numbers)}."


def _open_words(open_: list[Harm], beside: list[Comparison]) -> str:
    if not open_:
        return ""
    found = {i.measure: i for i in beside if i.method == FAMILY and i.against == DENSE}
    said = [
        f"{harm.words} {phrases.number(found[harm.words], harm.unit)}"
        for harm in open_ if harm.words in found
    ]  # fmt: skip
    return (
        f" Not decided, since any second training changes some predictions and no dense one of"
        f" equal error was recorded to hold them against: {phrases.listed(said)}."
    )


def _lower(main: list[Comparison]) -> str:
    better = [item.measure for item in main if item.decision == LOWER]
    return f" Better than without pruning: {phrases.names(better)}." if better else ""
