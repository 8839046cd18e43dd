"""Which of several methods is best, and which cannot be told from it: paired over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import HIGHER, Estimate, decide, estimate
from prunebench.statistics.per_setting import Part
from prunebench.statistics.significance import ALPHA, holm, unable


@dataclass(frozen=True)
class Lead:
    """The lowest of several methods. Without a test that could tell, nothing is said of ties."""

    method: str
    alone: bool  # shown to be lower than every other
    tied: frozenset[str]  # the others that it is not shown to be lower than
    unable: str  # why no test could show it, in words; "" where one could


def lead(values: pd.DataFrame, column: str = "value", alpha: float = ALPHA) -> Lead | None:
    """Find the method of the lowest mean and compare every other with it.

    ``values``: a row per task, regime, model, seed and method; seeds are averaged within a setting,
    settings weighted equally. The others are compared by the paired difference of the seeds that
    both have: the exact sign-flip test, adjusted by Holm over the others, and the 95 % interval
    must both show it. Methods that lack a setting take no part.
    None with fewer than two methods. The order of rows changes nothing.
    """
    wide = values.pivot(index=[*SETTING, "seed"], columns="method", values=column).sort_index()
    means = wide.groupby(level=SETTING).mean()
    wide = wide.loc[:, means.notna().all()]
    if wide.shape[1] < 2:
        return None
    overall = means[wide.columns].mean().round(9)
    first = str(overall.index[int(np.argmin(overall.to_numpy()))])
    others = [str(name) for name in wide.columns if name != first]
    found = [_difference(wide[other] - wide[first]) for other in others]
    adjusted = holm(np.array([each.p for each in found]))
    tied = frozenset(
        other
        for other, each, p in zip(others, found, adjusted, strict=True)
        if decide(each, 0.0, float(p), alpha) != HIGHER
    )
    seeds = max(each.seeds for each in found)
    return Lead(first, not tied, tied, unable(seeds, len(others), "comparisons", alpha))


def _difference(paired: pd.Series) -> Estimate:
    return estimate(paired.rename("value").reset_index())


def areas(parts: list[Part]) -> pd.DataFrame:
    """What each seed adds to the scores, as ``lead`` wants it: ``value`` in points."""
    tables = [
        pd.DataFrame(
            {
                **dict(zip(SETTING, part.grid.setting, strict=True)),
                "seed": seed, "method": part.grid.methods, "value": part.against_baseline[:, i],
            }
        )
        for part in parts
        for i, seed in enumerate(part.grid.seeds)
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)
