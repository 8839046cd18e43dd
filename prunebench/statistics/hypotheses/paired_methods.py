"""Methods that differ in one part: how to find them, and how to compare them cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prunebench.statistics.bootstrap import Floats
from prunebench.statistics.cell_grid import SETTING, area
from prunebench.statistics.hypotheses.paired_cells import PARTS, Lacking, Table


@dataclass(frozen=True)
class Pair:
    """A method, the one to compare it with, and the parts that differ though they should not."""

    method: str
    other: str
    differs: tuple[str, ...]

    def note(self, made: pd.DataFrame) -> str:
        """``differs in recovery: fine-tuning against weight-rewinding``; empty for a fair pair."""
        said = [
            f"{part}: {made.at[self.method, part]!s} against {made.at[self.other, part]!s}"
            for part in self.differs
        ]
        return f"differs in {', '.join(said)}" if said else ""


def composed(table: Table) -> None:
    """Raise Lacking where the records do not say what the methods are made of."""
    if not table.composed:
        raise Lacking(
            "the records do not say what the methods are made of (columns criterion, schedule,"
            " recovery, … are empty)"
        )


def partner(
    table: Table, method: str, others: Sequence[str], must: Sequence[str], should: Sequence[str]
) -> Pair | None:
    """The one of ``others`` nearest to ``method``: equal in ``must``, in most of ``should``.

    Only others that share a setting and a seed with it. Among those as near, the one with fewer
    further differences, then the first by name. None where there is none.
    """
    own = table.made.loc[method]
    met = table.of([method])[[*SETTING, "seed", "sparsity"]]
    found = []
    for other in sorted(set(others) - {method}):
        its = table.made.loc[other]
        if any(own[part] != its[part] for part in must):
            continue
        if met.merge(table.of([other])[[*SETTING, "seed", "sparsity"]]).empty:
            continue
        differs = tuple(part for part in should if own[part] != its[part])
        further = sum(own[part] != its[part] for part in PARTS)
        found.append((len(differs), further, other, differs))
    if not found:
        return None
    _, _, other, differs = min(found)
    return Pair(method, other, differs)


def paired_areas(table: Table, method: str, other: str) -> pd.DataFrame:
    """Columns SETTING, seed and ``value``: how many points of error less ``method`` has.

    The mean over log₂ of the compression ratio of the sparsities that both have, with the seeds
    that both have there.
    """
    keys = [*SETTING, "seed", "sparsity"]
    both = (
        table.of([method])[[*keys, "test_error"]]
        .merge(table.of([other])[[*keys, "test_error"]], on=keys, suffixes=("", "_other"))
        .sort_values(keys)
    )
    both["less"] = 100 * (both["test_error_other"] - both["test_error"])
    wide = both.pivot(index=[*SETTING, "seed"], columns="sparsity", values="less")
    octaves: Floats = -np.log2(1 - wide.columns.to_numpy(float))
    values = area(wide.to_numpy(float), octaves) if len(wide.columns) else np.empty(0)
    return pd.DataFrame({"value": values}, index=wide.index).reset_index()
