"""Compare two experiments, or two versions of one, cell by cell."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.statistics import SETTING, Estimate, estimate, in_words, read_cells
from prunebench.storage.layout import Layout
from prunebench.storage.records import COMPOSITION, OK, QUALITY, REGIME, SIZE
from prunebench.text.numbers import number, percent, plural

KEY = [*SETTING, "method", "seed", "sparsity"]
SAME, CHANGED, BETTER, WORSE = "same", "changed", "better", "worse"
ONLY_A, ONLY_B = "missing in b", "missing in a"
GROUPS = (BETTER, WORSE, CHANGED, ONLY_A, ONLY_B, SAME)
SLACK = 1e-9  # points: 0.105 − 0.1 is a little more than half a point
SHOWN = 10  # cells a group in the text
# settings and outcomes, measures apart; times and provenance may differ
FACTS = ("status", "classes", *COMPOSITION, *REGIME, *SIZE)


@dataclass(frozen=True)
class ExperimentComparison:
    """``cells``: KEY, ``test_error_a`` and ``_b``, ``difference``, ``group`` and ``why``."""

    a: str
    b: str
    tolerance: float  # points
    cells: pd.DataFrame  # ``difference`` is b − a, points
    methods: dict[str, Estimate]  # b − a, points
    skipped: list[str] = field(default_factory=list)  # columns that one side lacks
    protocols: Sequence[str] = ()  # settings that differ, as ``protocol_differences`` says

    @property
    def counts(self) -> dict[str, int]:
        """The number of cells of each group."""
        found = self.cells["group"].value_counts()
        return {group: int(found.get(group, 0)) for group in GROUPS}

    @property
    def agrees(self) -> bool:
        """True if all cells are in both, the same within the tolerance."""
        return set(self.cells["group"]) <= {SAME}


def read(place: Path) -> pd.DataFrame:
    """Read the cells of an experiment's folder or of a file; raises as ``read_cells`` does."""
    return read_cells(Layout(place).cells_csv if place.is_dir() else place)


def compare(
    a: pd.DataFrame, b: pd.DataFrame, names: tuple[str, str], tolerance: float,
    protocols: Sequence[str] = (),
) -> ExperimentComparison:  # fmt: skip
    """Pair the cells of two tables by task, regime, model, method, seed and sparsity.

    Columns that are empty in one of the tables are not compared, times and provenance never.

    Args:
        a: Checked cells.
        b: Checked cells.
        names: Of a and b.
        tolerance: In points of test error; 0 compares bit by bit.
        protocols: What differs in the settings of both.

    Returns:
        Each pair with its group. ``better``, ``worse``: the test error of b is lower or higher than
        that of a by more than the tolerance, or one of the two was lost (its status is not ok) and
        the other was not. ``changed``: neither, but something else differs: status, parts, regime,
        sizes; with a tolerance of 0 also any measure of quality.

    Raises:
        PrunebenchError: The tolerance is negative or not finite.
    """
    if not 0 <= tolerance < math.inf:
        raise PrunebenchError(f"the tolerance must be 0 points or more, found {tolerance:g}")
    columns = [c for c in (*FACTS, *(QUALITY if tolerance == 0 else ())) if c != "test_error"]
    compared = [c for c in columns if a[c].notna().any() and b[c].notna().any()]
    skipped = [c for c in columns if a[c].notna().any() != b[c].notna().any()]
    kept = [*KEY, "test_error", *dict.fromkeys(["status", *compared])]
    sides = [t[kept].assign(sparsity=t["sparsity"].round(10)) for t in (a, b)]
    cells = sides[0].merge(sides[1], on=KEY, how="outer", suffixes=("_a", "_b"), indicator=True)
    cells["difference"] = 100 * (cells["test_error_b"] - cells["test_error_a"])
    cells["why"] = [_why(row, compared) for row in cells.to_dict("records")]
    cells["group"] = [_group(row, tolerance) for row in cells.to_dict("records")]
    cells = cells.sort_values(KEY, ignore_index=True)
    shown = [*KEY, "test_error_a", "test_error_b", "difference", "group", "why"]
    return ExperimentComparison(
        *names, tolerance, cells[shown], _methods(cells), skipped, protocols
    )


def _group(row: dict[Any, Any], tolerance: float) -> str:
    if row["_merge"] != "both":
        return ONLY_A if row["_merge"] == "left_only" else ONLY_B
    fine_a, fine_b = row["status_a"] == OK, row["status_b"] == OK
    if fine_a != fine_b:
        return BETTER if fine_b else WORSE
    if abs(row["difference"]) > tolerance + SLACK * (tolerance > 0):
        return BETTER if row["difference"] < 0 else WORSE
    return CHANGED if row["why"] else SAME


def _why(row: dict[Any, Any], columns: list[str]) -> str:
    """Name the columns that differ, with both values of the first three."""
    if row["_merge"] != "both":
        return ""
    differ = [c for c in columns if not _equal(row[f"{c}_a"], row[f"{c}_b"])]
    if pd.isna(row["test_error_a"]) != pd.isna(row["test_error_b"]):
        differ.insert(0, "test_error")
    said = [f"{c}: {_text(row[f'{c}_a'])} → {_text(row[f'{c}_b'])}" for c in differ[:3]]
    more = [f"and {len(differ) - 3} more"] if len(differ) > 3 else []
    return ", ".join([*said, *more])


def _equal(x: Any, y: Any) -> bool:
    return bool(pd.isna(x) and pd.isna(y)) or (not pd.isna(x) and not pd.isna(y) and bool(x == y))


def _text(value: Any) -> str:
    if pd.isna(value):
        return "empty"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _methods(cells: pd.DataFrame) -> dict[str, Estimate]:
    """Estimate the mean of b − a of each method: over sparsities, then seeds, then settings."""
    there = cells[cells["difference"].notna()]
    means = there.groupby(["method", *SETTING, "seed"], sort=True)["difference"].mean()
    rows = means.rename("value").reset_index()
    return {str(name): estimate(own) for name, own in rows.groupby("method", sort=True)}


def text(found: ExperimentComparison) -> str:
    """Return the differences for the terminal: counts, the largest ones, each method's mean."""
    counts = found.counts
    said = "they agree" if found.agrees else "they differ"
    within = f"within {plural(found.tolerance, 'point')}" if found.tolerance else "bit by bit"
    lines = _of_protocols(found.protocols)
    lines += [f"a: {found.a}", f"b: {found.b}", f"{said} {within}: "
              + ", ".join(f"{counts[group]} {group}" for group in GROUPS)]  # fmt: skip
    if found.skipped:
        lines.append(f"not compared, empty in one of them: {', '.join(found.skipped)}")
    for group in GROUPS[:-1]:
        rows = found.cells[found.cells["group"] == group]
        order = rows["difference"].abs().sort_values(ascending=False, kind="stable").index
        lines += [f"\n{group} ({len(rows)}):"] if len(rows) else []
        lines += [f"  {_line(row)}" for row in rows.loc[order[:SHOWN]].to_dict("records")]
        lines += [f"  and {len(rows) - SHOWN} more (--json has all)"] if len(rows) > SHOWN else []
    if found.methods:
        other = ", under other protocols" if found.protocols else ""
        lines.append(f"\ntest error of b minus a, same seed, mean over cells{other}:")
        width = max(map(len, found.methods))
        lines += [f"  {name:<{width}}  {_mean(own)}" for name, own in found.methods.items()]
    return "\n".join(lines)


def _of_protocols(differing: Sequence[str]) -> list[str]:
    if not differing:
        return []
    return [
        "the protocols differ, so errors differ also where methods do not:",
        *(f"  {line}" for line in differing[:SHOWN]),
        *(["  and more: --json has all"] if len(differing) > SHOWN else []),
        "",
    ]


def _mean(own: Estimate) -> str:
    """Return a method's mean difference in words; where nothing differs there is no test."""
    return "0 points" if own.value == own.low == own.high == 0 else in_words(own, 0.0)


def _line(row: dict[Any, Any]) -> str:
    place = "/".join(str(row[c]) for c in (*SETTING, "method"))
    cell = f"{place}, seed {row['seed']}, {percent(row['sparsity'])}"
    difference = row["difference"]
    points = "" if np.isnan(difference) else f": {number(difference, 2, sign=True)} points"
    return f"{cell}{points}{'; ' if row['why'] else ''}{row['why']}"


def as_json(found: ExperimentComparison) -> str:
    """Return everything as JSON, one object a cell; unknown values are null."""
    methods = {
        name: {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in vars(own).items()
        }
        for name, own in found.methods.items()
    }
    about = {
        "a": found.a,
        "b": found.b,
        "tolerance": found.tolerance,
        "agree": found.agrees,
        "protocols_differ": list(found.protocols),
    }
    cells = json.loads(found.cells.to_json(orient="records", double_precision=15))
    more = {"counts": found.counts, "not_compared": found.skipped, "methods": methods}
    return json.dumps({**about, **more, "cells": cells}, indent=1, ensure_ascii=False)
