"""The table behind leaderboard.md, .csv, .html and the terminal: one function feeds them all."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report import style
from prunebench.report.leaderboard.columns import COSTS, Row
from prunebench.statistics import SETTING, score_subsets, under_trained
from prunebench.statistics.published_results import others, own
from prunebench.storage.records import DENSE, OK

Subset = tuple[str, str, str]  # task, regime, model; "all" for no choice
EVERYTHING: Subset = ("all", "all", "all")
# digits after the point: what is rounded here reads the same in every file
POINTS = ("score", "low", "high", "chosen", "chosen_low", "chosen_high", "best_difference")
P_VALUES = ("p_baseline", "p_reference")
COUNTS = ("wins", "ties", "losses", "cells", "failed", "missing")
KEYS = (
    "rank", "method", "published", "family", "score", "low", "high", "verdict", "against_baseline",
    "p_baseline", "against_reference", "p_reference", "chosen", "chosen_low", "chosen_high", "wins",
    "ties", "losses", "best_cell", "best_difference", *(cost.key for cost in COSTS), "cells",
    "failed", "missing",
)  # fmt: skip
SOFTWARE = ("python_version", "torch_version", "torchvision_version", "timm_version")


def boards(
    cells: pd.DataFrame, analysis: Analysis, keys: Collection[Subset] | None = None
) -> dict[Subset, list[Row]]:
    """The leaderboard's rows of each subset (task, regime, model), all first, best method first.

    ``keys``: only these subsets; those without cells are left out.
    Values are plain and rounded, costs in the units shown; None is missing. The keys are KEYS.
    """
    costs = _cost_sums(cells)
    return {
        subset: _rows(scores.join(_costs(costs, subset), on="method"))
        for subset, scores in score_subsets(cells, **analysis.model_dump(), keys=keys).items()
    }


def _cost_sums(cells: pd.DataFrame) -> pd.DataFrame:
    """Sums and counts of each cost, by setting and method; logarithms of ratios."""
    made = cells[[*SETTING, "method"]].copy()
    for cost in COSTS:
        values = cells.get(cost.key, pd.Series(np.nan, cells.index)).astype(float) * cost.scale
        made[cost.key] = np.log(values.where(values > 0)) if cost.geometric else values
    grouped = made.groupby([*SETTING, "method"])
    return grouped.sum().join(grouped.count().add_suffix("_n")).reset_index()


def _costs(sums: pd.DataFrame, subset: Subset) -> pd.DataFrame:
    """Mean costs by method over a subset, in the units shown; NaN where nobody measured."""
    for axis, wanted in zip(SETTING, subset, strict=True):
        if wanted != "all":
            sums = sums[sums[axis] == wanted]
    total = sums.drop(columns=SETTING).groupby("method").sum()
    means = pd.DataFrame(index=total.index)
    for cost in COSTS:
        count = total[f"{cost.key}_n"]
        mean = total[cost.key] / count.where(count > 0)
        means[cost.key] = np.exp(mean) if cost.geometric else mean
    return means


def _rows(table: pd.DataFrame) -> list[Row]:
    # what others published was scored on other seeds and budgets: it has no rank among these
    ranked = table["complete"].astype(bool) & table["published"].isna()
    table["rank"] = table["score"].astype(float).round(9).where(ranked).rank(method="min")
    return [
        _row(dict(zip(table.columns, values, strict=True)))
        for values in table.itertuples(index=False, name=None)
    ]


def _row(values: Row) -> Row:
    row = {key: values.get(key) for key in KEYS}
    costs = [((cost.key,), cost.digits) for cost in COSTS]
    for keys, digits in ((POINTS, 2), (P_VALUES, 4), *costs):
        row |= {key: _rounded(values[key], digits) for key in keys}
    row |= {key: int(values[key]) for key in COUNTS}
    row["rank"] = None if math.isnan(values["rank"]) else int(values["rank"])
    row["published"] = row["published"] if isinstance(row["published"], str) else None
    there = values["method"] != DENSE and not np.isnan(values["best_sparsity"])
    row["best_cell"] = _cell(values) if there else None
    row["best_difference"] = row["best_difference"] if there else None
    return row


def _cell(values: Row) -> str:
    names = [str(values[f"best_{axis}"]) for axis in ("task", "regime", "model")]
    return " · ".join([*names, style.percent(values["best_sparsity"])])


def _rounded(value: float, digits: int) -> float | None:
    """Rounded, without a negative zero; None for NaN."""
    return None if math.isnan(value) else round(float(value), digits) + 0.0


def stands_on(cells: pd.DataFrame) -> dict[str, str]:
    """What the leaderboard stands on: data, seeds, software; ``not recorded`` where it is not.

    Of what was run here; beside it, whose published results are shown.
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
            shown = [style.percent(value) for value in shown if value > 0]
        label = title.removesuffix("_version").capitalize()
        found[label] = ", ".join(str(value) for value in shown) or "not recorded"
    return found | ({"Published, not re-run": ", ".join(sources)} if sources else {})


def counts(cells: pd.DataFrame) -> dict[str, int]:
    """How many cells there are, how many of each bad status, how many under-trained."""
    bad = cells.loc[cells["status"] != OK, "status"].value_counts()
    return {
        "cells": len(cells),
        **{str(status): int(n) for status, n in sorted(bad.items())},
        "under-trained": int(under_trained(cells).sum()),
    }


def warnings(cells: pd.DataFrame, rows: list[Row]) -> list[str]:
    """What a reader must know before believing the table; sentences."""
    found = []
    cells = own(cells)
    seeds = cells.groupby(["task", "regime", "model"])["seed"].nunique().min()
    mine = [row for row in rows if not row["published"]]
    if any("cannot be significant" in str(row["against_baseline"]) for row in mine):
        found.append(
            f"With {style.seeds_text([seeds])} no difference can be significant: the smallest"
            f" two-sided p of the test is {min(1.0, 2.0 ** (1 - seeds)):.3g},"
            " before correction for the number of methods."
        )
    late = cells[under_trained(cells)]
    if len(late):
        where = ", ".join(sorted(set(late["regime"] + " · " + late["model"])))
        found.append(
            f"{len(late)} cells are under-trained ({where}): their dense baseline was not"
            " trained to interpolation, so gains there may be spurious."
        )
    tally = counts(cells)
    bad = [f"{n} {name}" for name, n in tally.items() if name not in ("cells", "under-trained")]
    if bad:
        found.append(
            f"Of {tally['cells']} cells, {', '.join(bad)}: they count against their method"
            " (unmeasured ones as a constant predictor)."
        )
    incomplete = [str(row["method"]) for row in mine if row["missing"]]
    if incomplete:
        found.append(f"Not ranked, since cells are missing: {', '.join(incomplete)}.")
    sources = sorted({str(row["published"]) for row in rows if row["published"]})
    if sources:
        found.append(
            f"Published, not re-run, and not ranked: {', '.join(sources)}. Each is compared with"
            " the dense results of its own source, on the sparsities that it reports."
        )
    return found
