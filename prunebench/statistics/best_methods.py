"""Find the best method: chosen on validation, or by mean with those it is not shown to beat."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.counted_cells import paired_difference
from prunebench.statistics.estimate import HIGHER, Estimate, decide, estimate
from prunebench.statistics.published_results import own
from prunebench.statistics.significance import ALPHA, holm, unable
from prunebench.storage.records import DENSE


def best_on_validation(cells: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Choose for each group the method and sparsity with the lowest mean validation error.

    The validation labels carry the regime's noise, where such were recorded. Pairs in which the
    cell or its baseline failed take no part. Where half of the networks or more learned nothing,
    a point is chosen only if there is no other. Ties go to the sparser. Published results are left
    out: their validation sets are not one's own.

    Args:
        cells: Checked cells.
        by: The columns that make a group.

    Returns:
        A row per group that has validation errors: ``by``, ``method``, ``sparsity``, ``val_error``
        and ``difference``, the test error minus dense's in points at the chosen point, and
        ``at_chance``, whether the networks there learned nothing: they are not the best of any.
    """
    table = paired_difference(own(cells))
    table = table[table["method"] != DENSE]
    extra = [column for column in ("method", "sparsity") if column not in by]
    table["val_error"] = table["choice_error"].where(table["difference"].notna())
    numbers = ["val_error", "difference", "at_chance"]
    means = table.groupby([*by, *extra])[numbers].mean().reset_index()
    means = means.dropna(subset=["val_error"])
    means["val_error"] = means["val_error"].round(9)
    means["at_chance"] = means["at_chance"] >= 0.5
    means = means.sort_values(
        ["at_chance", "val_error", "sparsity", *by, *extra],
        ascending=[True, True, False, *(True for _ in [*by, *extra])],
    )
    return means.groupby(by, sort=True).head(1).sort_values(by).reset_index(drop=True)


@dataclass(frozen=True)
class Leader:
    """The method with the lowest mean, and the others that it is not shown to beat."""

    method: str
    alone: bool  # shown to be lower than every other
    tied: frozenset[str]  # the others that it is not shown to be lower than
    unable: str  # why no test could show it, in words; "" where one could


def find_leader(
    values: pd.DataFrame,
    column: str = "value",
    alpha: float = ALPHA,
    shared: Collection[tuple[str, str]] = (),
) -> Leader | None:
    """Find the method with the lowest mean and compare every other with it.

    Seeds are averaged within a setting, settings weighted equally. The others are compared by the
    paired difference of the seeds that both have: the exact sign-flip test, adjusted by Holm over
    the others, and the 95 % interval must both show it. The order of rows changes nothing.

    Args:
        values: A row per task, regime, model, seed and method, as ``seed_scores`` returns them.
            Methods that lack a setting take no part.
        column: The numbers to compare; lower is better.
        alpha: The largest adjusted p that shows a difference.
        shared: The (task, regime) whose random draws all models share.

    Returns:
        The leader; None with fewer than two methods.
    """
    wide = values.pivot(index=[*SETTING, "seed"], columns="method", values=column).sort_index()
    means = wide.groupby(level=SETTING).mean()
    wide = wide.loc[:, means.notna().all()]
    if wide.shape[1] < 2:
        return None
    overall = means[wide.columns].mean().round(9)
    first = str(overall.index[int(np.argmin(overall.to_numpy()))])
    others = [str(name) for name in wide.columns if name != first]
    found = [_difference(wide[other] - wide[first], shared) for other in others]
    adjusted = holm(np.array([each.p for each in found]))
    tied = frozenset(
        other
        for other, each, p in zip(others, found, adjusted, strict=True)
        if decide(each, 0.0, float(p), alpha) != HIGHER
    )
    most = max(found, key=lambda each: each.units)
    never = unable(most.units, len(others), "comparisons", alpha, most.unit)
    return Leader(first, not tied, tied, never)


def _difference(paired: pd.Series, shared: Collection[tuple[str, str]]) -> Estimate:
    return estimate(paired.rename("value").reset_index(), shared=shared)
