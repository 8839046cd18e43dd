"""Follow test error and gain along the length of recovery, and choose the length to be looked at.

A method at another length of recovery is a method of its own in the records: ``base_method`` tells
which one it is a longer form of, ``recovery_length`` how many times as long it trains.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from prunebench.statistics.bootstrap import t_quantile
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import flags
from prunebench.statistics.counted_cells import paired_difference
from prunebench.statistics.published_results import own
from prunebench.statistics.score import RANDOM
from prunebench.statistics.training_outcomes import PREFIX, column, outcomes
from prunebench.storage.records import DENSE, UNDER_TRAINED

BASE, LENGTH = "base_method", "recovery_length"
POINT = [*SETTING, "base", "sparsity"]  # what is followed along the length
STATES = {"trained": "", "stopped": PREFIX}


def lengths_of(cells: pd.DataFrame) -> pd.DataFrame:
    """Return ``base`` and ``length`` of each method (the index); itself and 1 where unknown."""
    rows = own(cells).reindex(columns=["method", BASE, LENGTH])
    found = rows.assign(**{LENGTH: column(rows, LENGTH)}).groupby("method", sort=True).first()
    base = found[BASE].astype(object).where(found[BASE].notna(), found.index)
    return pd.DataFrame({"base": base, "length": found[LENGTH].fillna(1.0)})


def all_lengths(cells: pd.DataFrame, methods: Collection[str]) -> list[str]:
    """Return the methods and their forms at other lengths of recovery, sorted by name."""
    base = lengths_of(cells)["base"]
    return sorted(str(name) for name in base.index[base.isin(list(methods))])


def in_order(cells: pd.DataFrame, methods: Collection[str]) -> list[str]:
    """Return methods sorted by name, each followed by its longer forms."""
    known = lengths_of(cells)
    keys = {name: (str(row["base"]), float(row["length"])) for name, row in known.iterrows()}
    return sorted(methods, key=lambda name: keys.get(name, (name, 1.0)))


def longest(cells: pd.DataFrame, methods: Collection[str] | None = None) -> list[str]:
    """Return the longest forms of methods, sorted by name.

    What is claimed of a method has to hold when its training comes to its end, so this is the
    length that figures over compression show.

    Args:
        cells: Checked cells; published results take no part.
        methods: Names at any length; default: all of them.
    """
    known = lengths_of(cells)
    most = known["length"] == known.groupby("base")["length"].transform("max")
    wanted = known.index if methods is None else list(methods)
    bases = set(known.loc[known.index.isin(wanted), "base"])
    return sorted(known.index[most & known["base"].isin(bases)])


def compared(cells: pd.DataFrame, declared: Sequence[str] = ()) -> list[str]:
    """Return the methods to be compared with dense, sorted by name.

    Those that were declared and recorded; without any, the longest forms of all that are no
    controls.
    """
    cells = own(cells)
    there = set(cells["method"])
    if found := sorted(there & set(declared)):
        return found
    said = flags(cells.reindex(columns=["control"])["control"])
    controls = set(cells.loc[said.fillna(False), "method"])
    if said.isna().all():
        highest = cells.groupby("method")["sparsity"].max()
        controls = {RANDOM, *highest.index[highest == 0]}
    return longest(cells, there - controls - {DENSE})


def errors_by_length(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the mean test errors of every method that was run at several lengths.

    Args:
        cells: Checked cells; published results take no part.

    Returns:
        A row for each setting, ``base``, ``sparsity`` and ``length``. ``trained``, ``stopped``:
        mean test errors of the seeds whose training did not fail, fractions, with ``_low`` and
        ``_high`` (Student's 95 % interval over seeds). ``gain``, with the same ends: the error of
        the seed's dense baseline minus the own one, trained, in points, over pairs of which neither
        side failed. ``ratio``: the achieved compression, a geometric mean. ``seeds``, ``under``,
        ``failed``: how many there are, how many of them are under-trained, how many failed.
    """
    cells = own(cells)
    known = lengths_of(cells)
    several = known.groupby("base")["length"].transform("nunique") > 1
    paired = paired_difference(cells)
    rows = paired[paired["method"].isin(known.index[several])].join(known, on="method")
    rows["sparsity"] = rows["sparsity"].astype(float).round(10)
    made = rows[[*POINT, "length", "failed", "octaves"]].assign(
        trained=rows["test_error"], gain=-rows["difference"],
        stopped=column(rows, f"{PREFIX}test_error").mask(rows["failed"]),
        under=outcomes(rows) == UNDER_TRAINED,
    )  # fmt: skip
    groups = made.groupby([*POINT, "length"], sort=True)
    found = groups[["failed", "under"]].sum().assign(seeds=groups.size())
    found["ratio"] = 2 ** groups["octaves"].mean()
    for name in (*STATES, "gain"):
        mean, n = groups[name].mean(), groups[name].count()
        half = (
            t_quantile(np.asarray(n, dtype=float) - 1)
            * groups[name].std(ddof=1)
            / np.sqrt(n.clip(1))
        )
        found = found.assign(
            **{name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}
        )
    return found.reset_index()


def sign_changes(found: pd.DataFrame, margin: float) -> pd.DataFrame:
    """Return where the gain has one sign at a short recovery and the other at a longer one.

    Args:
        found: The result of ``errors_by_length``, or a part of it.
        margin: Points that a gain must exceed, either way: the region of practical equivalence.

    Returns:
        POINT, ``ratio``, and of the lengths with the largest and with the smallest gain, the
        shorter one first: ``<column>_first``, ``<column>_last`` for ``length``, ``gain``,
        ``gain_low``, ``gain_high``, ``under``, ``seeds``. ``sure``: both intervals exclude 0.
    """
    values = ["length", "gain", "gain_low", "gain_high", "under", "seeds"]
    rows = []
    for key, own_rows in found.dropna(subset=["gain"]).groupby(POINT, sort=True):
        ends = own_rows.loc[[own_rows["gain"].idxmin(), own_rows["gain"].idxmax()]]
        low, high = ends["gain"]
        if not (low < -margin and high > margin):
            continue
        first, last = ends.sort_values("length").to_dict("records")
        rows.append(
            dict(zip(POINT, key, strict=True))
            | {"ratio": float(np.exp(np.log(ends["ratio"]).mean()))}
            | {f"{name}_first": first[name] for name in values}
            | {f"{name}_last": last[name] for name in values}
            | {"sure": bool((ends["gain_low"] * ends["gain_high"] > 0).all())}
        )
    names = [f"{name}_{end}" for end in ("first", "last") for name in values]
    return pd.DataFrame(rows, columns=[*POINT, "ratio", *names, "sure"])
