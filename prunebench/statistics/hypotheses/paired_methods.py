"""Find methods that differ in one part, and compare them cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from prunebench.experiment.settings import PARTS
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells, heights


@dataclass(frozen=True)
class Pair:
    """A method, the one to compare it with, and the parts that differ but should be equal."""

    method: str
    other: str
    differs: tuple[str, ...]

    def note(self, parts: pd.DataFrame) -> str:
        """Return ``differs in recovery: fine-tuning against …``; empty for a fair pair."""
        said = [
            f"{part}: {parts.at[self.method, part]!s} against {parts.at[self.other, part]!s}"
            for part in self.differs
        ]
        return f"differs in {', '.join(said)}" if said else ""


def require_parts(table: PairedCells) -> None:
    """Raise MissingRecords where the records do not name the parts of the methods."""
    if not table.has_parts:
        raise MissingRecords(
            "the records do not say what the methods are made of (columns criterion, schedule,"
            " recovery, … are empty)"
        )


def nearest_partner(
    table: PairedCells,
    method: str,
    others: Sequence[str],
    must: Sequence[str],
    should: Sequence[str],
) -> Pair | None:
    """Find the method that is nearest to another: equal in all parts that must be.

    Args:
        table: The cells.
        method: The one to compare.
        others: The candidates; only those that share a setting, seed and sparsity with it count.
        must: The parts that must be equal.
        should: The parts of which as few as possible may differ. Among candidates that are as near,
            the one with fewer further differences is taken, then the first by name.

    Returns:
        The pair; None without a candidate.
    """
    own = table.parts.loc[method]
    keys = [*SETTING, "seed", "sparsity"]
    met = table.rows_of([method], keys)
    found = []
    for other in sorted(set(others) - {method}):
        its = table.parts.loc[other]
        if any(own[part] != its[part] for part in must):
            continue
        if met.merge(table.rows_of([other], keys)).empty:
            continue
        differs = tuple(part for part in should if own[part] != its[part])
        further = sum(own[part] != its[part] for part in PARTS)
        found.append((len(differs), further, other, differs))
    if not found:
        return None
    _, _, other, differs = min(found)
    return Pair(method, other, differs)


def _not_at_chance(table: PairedCells, methods: Sequence[str]) -> pd.DataFrame:
    """Return the settings and sparsities at which every method's error is below chance.

    By two standard errors of the mean over seeds; where the number of classes is not recorded,
    nothing is known of chance and all count.
    """
    columns = [*SETTING, "sparsity", "method", "test_error"]
    rows = table.rows_of(list(methods), columns).assign(chance=table.chance)
    points = rows.groupby([*SETTING, "sparsity", "method"])
    found = points["test_error"].agg(["mean", "sem"]).join(points["chance"].first())
    found["fine"] = ~(found["mean"] + 2 * found["sem"].fillna(0) >= found["chance"])
    below = found["fine"].groupby(level=[*SETTING, "sparsity"]).all()
    return below[below].reset_index()[[*SETTING, "sparsity"]]


def paired_areas(
    table: PairedCells, method: str, other: str, above_chance: bool = False
) -> pd.DataFrame:
    """Return by how many points the error of ``method`` is below that of ``other``.

    The mean over log₂ of the compression ratio of the sparsities that both have, with the seeds
    that both have there.

    Args:
        table: The cells.
        method: The method.
        other: The one to compare it with.
        above_chance: Whether to leave out the sparsities at which one of the two is at chance: its
            error is then no measure of how it chose.

    Returns:
        SETTING, ``seed`` and ``value``, positive where ``method`` is better; ``sample_error``, that
        of the test samples at most: each method's to dense, added.
    """
    keys = [*SETTING, "seed", "sparsity"]
    columns = [*keys, "test_error", "octaves", "sample_error"]
    own, its = (table.rows_of([name], columns) for name in (method, other))
    both = own.merge(its, on=keys, suffixes=("", "_other")).sort_values(keys)
    if above_chance:
        both = both.merge(_not_at_chance(table, (method, other)), on=[*SETTING, "sparsity"])
    both["less"] = 100 * (both["test_error_other"] - both["test_error"])
    # at equal targets; where both achieved different ratios, midway between them
    both["octaves"] = (both["octaves"] + both["octaves_other"]) / 2
    both["sample_error"] = both[["sample_error", "sample_error_other"]].fillna(0.0).sum(axis=1)
    made = {"value": "less", "sample_error": "sample_error"}
    wide = both.pivot(
        index=[*SETTING, "seed"], columns="sparsity", values=[*made.values(), "octaves"]
    )
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in made}, index=wide.index[:0])
    found = [
        pd.DataFrame({name: heights(rows, of) for name, of in made.items()}, index=rows.index)
        for _, rows in wide.groupby(level=SETTING, sort=True)
    ]
    return pd.concat(found or [empty]).reset_index()
