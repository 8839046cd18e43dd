"""Shrunk networks that an engine runs slower than the dense network, although they compute less."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.text.numbers import number, percent, plural

NETWORKS = ("dense", "shrunk")
CELL = [*SETTING, "method", "seed", "sparsity"]
TOLD = 3  # of the slowest


def slower(times: pd.DataFrame | None, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of times whose quartiles do not overlap, the shrunk network's above.

    Args:
        times: the rows of latency.csv; None where nothing was timed.
        cells: the records, for the MACs of both networks.

    Returns:
        A row a cell, engine and batch, with ``dense_ms``, ``shrunk_ms`` and ``fewer_macs`` (dense
        over shrunk; NaN where not recorded), the slowest against dense first.
    """
    columns = [*CELL, "engine", "batch", "dense_ms", "shrunk_ms", "fewer_macs"]
    if times is None or times.empty:
        return pd.DataFrame(columns=columns)
    key = [*CELL, "engine", "batch"]
    kept = times[times["network"].isin(NETWORKS)].dropna(subset=["median_ms"])
    dense, shrunk = (kept[kept["network"] == network] for network in NETWORKS)
    both = shrunk.merge(dense, on=key, suffixes=("", "_dense"))
    both = both[both["low_ms"] > both["high_ms_dense"]]
    made = cells.reindex(columns=[*CELL, "macs_dense", "macs_shrunk"])
    both = both.merge(made, on=CELL, how="left")
    both = both.assign(
        dense_ms=both["median_ms_dense"], shrunk_ms=both["median_ms"],
        fewer_macs=both["macs_dense"].astype(float) / both["macs_shrunk"].astype(float),
    )  # fmt: skip
    order = (both["dense_ms"] / both["shrunk_ms"]).sort_values(kind="stable").index
    return both.loc[order, columns].reset_index(drop=True)


def sentences(times: pd.DataFrame | None, cells: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence on the shrunk networks that run slower than dense; none where none does."""
    found = slower(times, cells)
    if found.empty:
        return
    told = "; ".join(_told(row) for row in found.head(TOLD).to_dict("records"))
    more = len(found) - TOLD
    rest = f"; and {plural(more, 'more pair')} in latency.csv" if more > 0 else ""
    yield (
        f"{plural(len(found), 'measured time')} of shrunk networks lie above the dense network's,"
        f" although they have fewer MACs: {told}{rest}."
    )


def _told(row: dict[Hashable, Any]) -> str:
    less = f" at {number(row['fewer_macs'], 2)}× fewer MACs" if row["fewer_macs"] > 0 else ""
    return (
        f"{row['method']} at {percent(row['sparsity'])} in {row['engine']}, batch {row['batch']}:"
        f" {row['shrunk_ms']:.3g} against {row['dense_ms']:.3g} ms{less}"
    )
