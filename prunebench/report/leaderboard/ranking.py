"""The rows behind leaderboard.md, .csv, .html and the terminal's summary."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report.leaderboard.columns import COSTS, Row
from prunebench.statistics import SETTING, score_subsets
from prunebench.statistics.published_results import others, own
from prunebench.storage.records import ALL, DENSE
from prunebench.text.numbers import percent

Subset = tuple[str, str, str]  # task, regime, model; ALL for no choice
EVERYTHING: Subset = (ALL, ALL, ALL)
# digits after the point: what is rounded here reads the same in every file
STOPPED = ("stopped_score", "stopped_low", "stopped_high", "stopped_chosen")
INTERACTION = ("interaction", "interaction_low", "interaction_high")
FAILED = ("failed_share", "failed_low", "failed_high")
POINTS = (
    "score", "low", "high", "chosen", "chosen_low", "chosen_high", "best_difference", *STOPPED,
    *INTERACTION,
)  # fmt: skip
P_VALUES = ("p_baseline", "p_reference", "stopped_p", "interaction_p")
COUNTS = (
    "wins", "ties", "losses", "cells", "failed", "missing", "left_out", "under_trained",
    "collapsed",
)  # fmt: skip
KEYS = (
    "rank", "method", "published", "family", "score", "low", "high", "verdict", "against_baseline",
    "p_baseline", "against_reference", "p_reference", "chosen", "chosen_low", "chosen_high", "wins",
    "ties", "losses", "best_cell", "best_difference", *(cost.key for cost in COSTS), "cells",
    "failed", "missing", *FAILED, "left_out", "under_trained", "collapsed", *STOPPED, "stopped_p",
    "stopped_verdict", *INTERACTION, "interaction_p",
)  # fmt: skip
SOFTWARE = ("python_version", "torch_version", "torchvision_version", "timm_version")


def boards(
    cells: pd.DataFrame, analysis: Analysis, keys: Collection[Subset] | None = None
) -> dict[Subset, list[Row]]:
    """Return the leaderboard's rows for subsets of the cells.

    Args:
        cells: the records.
        analysis: how they are judged.
        keys: the subsets (task, regime, model); None means all of them.

    Returns:
        The rows of each subset that has cells, best method first; EVERYTHING comes first. A row has
        the keys KEYS, with rounded values, costs in the units shown, and None for a missing value.

    Raises:
        PrunebenchError: ``statistics.check_cells`` refuses the cells.
    """
    costs = _cost_sums(cells)
    return {
        subset: _rows(scores.join(_costs(costs, subset), on="method"))
        for subset, scores in score_subsets(cells, **analysis.of_scores(), keys=keys).items()
    }


def _cost_sums(cells: pd.DataFrame) -> pd.DataFrame:
    """Return sums and counts of each cost, by setting and method; of ratios, sums of logarithms."""
    made = cells[[*SETTING, "method"]].copy()
    for cost in COSTS:
        values = cells.get(cost.key, pd.Series(np.nan, cells.index)).astype(float) * cost.scale
        made[cost.key] = np.log(values.where(values > 0)) if cost.geometric else values
    grouped = made.groupby([*SETTING, "method"])
    return grouped.sum().join(grouped.count().add_suffix("_n")).reset_index()


def _costs(sums: pd.DataFrame, subset: Subset) -> pd.DataFrame:
    """Return mean costs by method over a subset, in the units shown; NaN where not measured."""
    for axis, wanted in zip(SETTING, subset, strict=True):
        if wanted != ALL:
            sums = sums[sums[axis] == wanted]
    total = sums.drop(columns=SETTING).groupby("method").sum()
    keys = [cost.key for cost in COSTS]
    counts = total[[f"{key}_n" for key in keys]].to_numpy(float)
    means = total[keys].to_numpy(float) / np.where(counts > 0, counts, np.nan)
    geometric = [cost.geometric for cost in COSTS]
    means[:, geometric] = np.exp(means[:, geometric])
    return pd.DataFrame(means, total.index, keys)


def _rows(table: pd.DataFrame) -> list[Row]:
    # what others published was scored on other seeds and budgets: it has no rank among these
    table["rank"] = table["rank"].astype(float).where(table["published"].isna())
    return [
        _row(dict(zip(table.columns, values, strict=True)))
        for values in table.itertuples(index=False, name=None)
    ]


def _row(values: Row) -> Row:
    row = {key: values.get(key) for key in KEYS}
    costs = [((cost.key,), cost.digits) for cost in COSTS]
    for keys, digits in ((POINTS, 2), (P_VALUES, 4), (FAILED, 4), *costs):
        row |= {key: _rounded(values[key], digits) for key in keys}
    row |= {key: int(values[key]) for key in COUNTS}
    row["rank"] = None if math.isnan(values["rank"]) else int(values["rank"])
    row["stopped_verdict"] = row["stopped_verdict"] or None
    row["published"] = row["published"] if isinstance(row["published"], str) else None
    there = values["method"] != DENSE and not np.isnan(values["best_sparsity"])
    row["best_cell"] = _cell(values) if there else None
    row["best_difference"] = row["best_difference"] if there else None
    return row


def _cell(values: Row) -> str:
    names = [str(values[f"best_{axis}"]) for axis in ("task", "regime", "model")]
    return " · ".join([*names, percent(values["best_sparsity"])])


def _rounded(value: float, digits: int) -> float | None:
    """Return the value rounded, without a negative zero; None for NaN."""
    return None if math.isnan(value) else round(float(value), digits) + 0.0


def basis(cells: pd.DataFrame) -> dict[str, str]:
    """Return the data, seeds and software behind the leaderboard; ``not recorded`` where unknown.

    It tells of the cells that were run here, and names the sources of published results.
    """
    sources = [source for source, _ in others(cells)]
    cells = own(cells)
    parts = {
        "Tasks": "task", "Regimes": "regime", "Models": "model", "Seeds": "seed",
        "Sparsities": "sparsity", **{name: name for name in SOFTWARE},
        "device": "device", "threads": "threads", "commit": "commit",
    }  # fmt: skip
    found = {}
    for title, column in parts.items():
        shown = sorted(cells[column].dropna().unique().tolist()) if column in cells.columns else []
        if column == "sparsity":
            shown = [percent(value) for value in shown if value > 0]
        label = title.removesuffix("_version").capitalize()
        found[label] = ", ".join(str(value) for value in shown) or "not recorded"
    return found | ({"Published, not re-run": ", ".join(sources)} if sources else {})
