"""Judge whether instability, distance or sharpness predicts the gain of a cell."""

from __future__ import annotations

import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import HIGHER, LOWER, UNRESOLVED
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.comparisons import (
    Comparison,
    clip_correlations,
    judge_family,
)
from prunebench.statistics.hypotheses.correlation import CELLS, partial_spearman, spearman
from prunebench.statistics.hypotheses.judgements import SHOWN, Judgement, hypothesis
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells, in_settings
from prunebench.statistics.label_scopes import ALL

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
def predictors(table: PairedCells) -> Judgement:
    """Correlate predictors with the gain of a cell, within a setting and seed, given sparsity."""
    family = table.family
    there = [name for name in PREDICTORS if table.rows_of(family, [name])[name].notna().any()]
    if not there:
        raise MissingRecords(f"the columns {', '.join(PREDICTORS)} are empty")
    values = predictor_correlations(table, family)
    items = _items(table, values, ALL)
    main = [item for item in items if item.measure == PARTIAL]
    if not main:
        raise MissingRecords(
            f"no seed of a setting has {CELLS} pruned cells in which gain, predictor and sparsity"
            " all change"
        )
    beside = [
        item
        for scope, settings in table.scopes().items()
        if scope != ALL
        for item in _items(table, in_settings(values, settings), scope)
    ]
    hold = [item.method for item in main if item.decision in (HIGHER, LOWER)]
    missing = [text for name, text in PREDICTORS.items() if name not in {i.method for i in main}]
    labels = [PREDICTORS[item.method] for item in main]
    said = phrases.by_decision(main, table.analysis.alpha, unit="", labels=labels)
    sentence = (
        f"Given sparsity, {phrases.of(len(hold), len(main), 'measure')} of a cell"
        f" predict{'s' if 1 in (len(hold), len(main)) else ''} its gain"
        " (mean partial rank correlation over"
        f" methods and sparsities within a setting and seed, {phrases.seeds(main)}). {said}."
        f" Without regard to sparsity: {_raw(items)}."
        " Cells of one method are alike: that methods differ in both is part of the correlation."
        + (f" Not recorded or without change: {', '.join(missing)}." if missing else "")
    )
    return Judgement(SHOWN if hold else UNRESOLVED, sentence, [*items, *beside])


def _items(table: PairedCells, values: pd.DataFrame, scope: str) -> list[Comparison]:
    """Judge the partial correlations, a family of three, and the plain ones, another."""
    found = []
    for measure, column in ((PARTIAL, "partial"), (RAW, "raw")):
        made = table.compare(values, measure, scope, "gain", column, by="predictor")
        found += judge_family(clip_correlations(made), table.analysis.alpha)
    return found


def _raw(items: list[Comparison]) -> str:
    own = [item for item in items if item.measure == RAW]
    return "; ".join(f"{PREDICTORS[item.method]} {phrases.number(item, '')}" for item in own)


def predictor_correlations(table: PairedCells, methods: tuple[str, ...]) -> pd.DataFrame:
    """Correlate each predictor with the gain of a cell, over the pruned cells of ``methods``.

    Returns:
        One row per setting, seed and ``predictor``: the rank correlations ``raw`` and ``partial``.
    """
    cells = table.rows_of(methods)
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
