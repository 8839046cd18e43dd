"""Warnings about lost, under-trained and missing cells, the same in the report and the leaderboard.

A function returns no sentence where there is nothing to warn of.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from prunebench.statistics import under_trained
from prunebench.storage.records import OK


def counts(cells: pd.DataFrame) -> dict[str, int]:
    """Return how many cells there are, how many of each bad status, and how many under-trained."""
    return {"cells": len(cells), **_bad(cells), "under-trained": int(under_trained(cells).sum())}


def _bad(cells: pd.DataFrame) -> dict[str, int]:
    found = cells.loc[cells["status"] != OK, "status"].value_counts()
    return {str(status): int(count) for status, count in sorted(found.items())}


def late(cells: pd.DataFrame) -> list[str]:
    """Return a sentence on cells whose dense baseline was under-trained."""
    found = cells[under_trained(cells)]
    if found.empty:
        return []
    where = ", ".join(sorted(set(found["regime"] + " · " + found["model"])))
    return [
        f"{len(found)} cells are under-trained ({where}): their dense baseline was not trained to"
        " interpolation, so gains there may be spurious."
    ]


def lost(cells: pd.DataFrame) -> list[str]:
    """Return a sentence on cells that failed, diverged or collapsed."""
    bad = ", ".join(f"{count} {status}" for status, count in _bad(cells).items())
    if not bad:
        return []
    return [
        f"Of {len(cells)} cells, {bad}: they count against their method (unmeasured ones as a"
        " constant predictor)."
    ]


def not_ranked(methods: Sequence[str]) -> list[str]:
    """Return a sentence on the methods of which cells are missing."""
    return [f"Not ranked, since cells are missing: {', '.join(methods)}."] if methods else []
