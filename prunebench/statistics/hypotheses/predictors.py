"""The hypothesis on what predicts a cell's gain: instability, distance, sharpness."""

from __future__ import annotations

import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.base import NOT_SHOWN, SHOWN, Judgement, hypothesis
from prunebench.statistics.hypotheses.comparisons import (
    HIGHER,
    LOWER,
    Comparison,
    compared,
    correlations,
    evidence,
    judged,
)
from prunebench.statistics.hypotheses.correlation import CELLS, partial_spearman, spearman
from prunebench.statistics.hypotheses.paired_cells import ALL, Lacking, Table, within

PREDICTORS = {
    "instability": "instability at pruning",
    "distance": "distance from initialization",
    "sharpness": "sharpness",
}
PARTIAL, RAW = "partial rank correlation, given sparsity", "rank correlation"


@hypothesis(
    10, "predictors",
    "Instability at pruning, distance from initialization, or sharpness predicts the gain.",
    "predictors",
)  # fmt: skip
def predictors(table: Table) -> Judgement:
    """Rank correlations with the gain of a cell, within a setting and seed, given sparsity."""
    family = table.family
    there = [name for name in PREDICTORS if table.of(family)[name].notna().any()]
    if not there:
        raise Lacking(f"the columns {', '.join(PREDICTORS)} are empty")
    values = per_seed(table, family)
    items = _items(values, ALL, table.analysis.alpha)
    main = [item for item in items if item.measure == PARTIAL]
    if not main:
        raise Lacking(
            f"no seed of a setting has {CELLS} pruned cells in which gain, predictor and sparsity"
            " all change"
        )
    beside = [
        item
        for scope, settings in table.scopes().items()
        if scope != ALL
        for item in _items(within(values, settings), scope, table.analysis.alpha)
    ]
    hold = [item.method for item in main if item.decision in (HIGHER, LOWER)]
    missing = [text for name, text in PREDICTORS.items() if name not in {i.method for i in main}]
    labels = [PREDICTORS[item.method] for item in main]
    said = phrases.by_decision(main, table.analysis.alpha, unit="", labels=labels)
    sentence = (
        f"Given sparsity, {len(hold)} of {len(main)} measures of a cell"
        f" predict{'s' if len(hold) == 1 else ''} its gain (mean partial rank correlation over"
        f" methods and sparsities within a setting and seed, {phrases.seeds(main)}). {said}."
        f" Without regard to sparsity: {_raw(items)}."
        " Cells of one method are alike: that methods differ in both is part of the correlation."
        + (f" Not recorded or without change: {', '.join(missing)}." if missing else "")
    )
    return Judgement(SHOWN if hold else NOT_SHOWN, sentence, evidence([*items, *beside]))


def _items(values: pd.DataFrame, scope: str, alpha: float) -> list[Comparison]:
    """The partial correlations, a family of three, and the plain ones, another."""
    found = []
    for measure, column in ((PARTIAL, "partial"), (RAW, "raw")):
        made = compared(values, measure, scope, "gain", column, by="predictor")
        found += judged(correlations(made), alpha)
    return found


def _raw(items: list[Comparison]) -> str:
    own = [item for item in items if item.measure == RAW]
    return "; ".join(f"{PREDICTORS[item.method]} {phrases.number(item, '')}" for item in own)


def per_seed(table: Table, methods: tuple[str, ...]) -> pd.DataFrame:
    """``raw`` and ``partial`` rank correlation of each predictor with the gain of a cell.

    One row per setting, seed and ``predictor``, over the pruned cells of ``methods``.
    """
    cells = table.of(methods)
    cells = cells[cells["sparsity"] > 0]
    found = []
    for (*setting, seed), rows in cells.groupby([*SETTING, "seed"], sort=True):
        for predictor in PREDICTORS:
            known = rows.dropna(subset=[predictor])
            gain = -known["difference"].to_numpy(float)
            x, z = known[predictor].to_numpy(float), known["sparsity"].to_numpy(float)
            part = partial_spearman(x, gain, z)
            found.append((*setting, seed, predictor, spearman(x, gain), part))
    return pd.DataFrame(found, columns=[*SETTING, "seed", "predictor", "raw", "partial"])
