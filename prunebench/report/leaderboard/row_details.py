"""The details that a row of the page unfolds to: means over seeds, and failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prunebench.report.leaderboard.columns import COSTS
from prunebench.statistics import SETTING, bands
from prunebench.statistics.counted_cells import paired_difference
from prunebench.storage.records import FAILED_TO_TRAIN, OK
from prunebench.text.numbers import number

RECORDS = 10_000  # above this the seeds' own errors stay in cells.csv
FAILURES = 500  # messages held at most
MESSAGE = 200  # letters of one


@dataclass(frozen=True)
class RowDetails:
    """The cells for the page, packed as plain values by method.

    A point is ``[setting, sparsity, status, each seed, *numbers]``: places in ``settings`` and
    ``sparsities``, texts, and numbers by ``columns``; None is missing.
    A failure is ``[setting, sparsity, seed, status, message]``.
    """

    settings: list[list[str]]  # task, regime, model
    sparsities: list[float]
    columns: list[dict[str, Any]]  # of the numbers: title, note, digits, sign
    methods: dict[str, list[list[Any]]]
    failures: dict[str, list[list[Any]]]
    left_out: int  # failures beyond the limit
    each: bool  # the seeds' own errors are there


@dataclass(frozen=True)
class NumberColumn:
    """A number of a point: a column of ``bands``, its unit and its format."""

    key: str
    title: str
    note: str = ""
    scale: float = 1
    digits: int = 2
    sign: bool = False


QUALITY = (
    NumberColumn("test_error_mean", "Test error (%)", "mean over seeds", 100),
    NumberColumn("test_error_std", "±", "standard deviation over seeds", 100),
    NumberColumn("test_error_half", "95 % band ±", "Student's t over seeds", 100),
    NumberColumn("difference_mean", "Against dense", "points, same seed", sign=True),
    NumberColumn("sparsity_achieved_mean", "Achieved (%)", "sparsity", 100),
    NumberColumn("test_error_n", "Seeds", "", digits=0),
)
MEASURED = tuple(
    NumberColumn(f"{cost.key}_mean", cost.title, "", cost.scale, cost.digits) for cost in COSTS
)


def details(cells: pd.DataFrame, records: int = RECORDS, failures: int = FAILURES) -> RowDetails:
    """Pack the cells for the page; a failed cell counts in no mean.

    Args:
        cells: the records.
        records: with more cells than this, the errors of single seeds are left out.
        failures: how many failures are held at most.
    """
    table = _table(cells)
    numbers = [n for n in (*QUALITY, *MEASURED) if table[n.key].notna().any()]
    settings = [list(key) for key in sorted(set(table[SETTING].itertuples(index=False, name=None)))]
    place = {tuple(key): i for i, key in enumerate(settings)}
    targets = [float(value) for value in np.unique(table["sparsity"])]
    each = len(cells) <= records
    packed: dict[str, list[list[Any]]] = {}
    values = [
        (table[n.key].to_numpy(float) * n.scale).round(n.digits).astype(object) for n in numbers
    ]
    shown = table["each"] if each else [""] * len(table)
    keys = table[[*SETTING, "method", "sparsity", "statuses"]].itertuples(index=False, name=None)
    for i, ((*setting, method, sparsity, status), said) in enumerate(zip(keys, shown, strict=True)):
        plain = [_number(column[i], n.digits) for column, n in zip(values, numbers, strict=True)]
        where = [place[tuple(setting)], targets.index(sparsity), status, said]
        packed.setdefault(str(method), []).append([*where, *plain])
    lost, left_out = _failures(cells, place, targets, failures)
    columns = [
        {"key": n.key, "title": n.title, "note": n.note, "digits": n.digits, "sign": n.sign}
        for n in numbers
    ]
    return RowDetails(settings, targets, columns, packed, lost, left_out, each)


def _number(value: float, digits: int) -> float | int | None:
    if np.isnan(value):
        return None
    return round(value) if digits == 0 else float(value) + 0.0


def _table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return a row per setting, method and sparsity, with the columns that a point needs."""
    paired = paired_difference(cells).reset_index(drop=True)
    keys = [cost.key for cost in COSTS]
    paired = paired.reindex(
        columns=[*paired.columns, *(key for key in keys if key not in paired.columns)]
    )
    measures = ["test_error", "difference", "sparsity_achieved", *keys]
    table = bands(paired, measures)
    table["test_error_half"] = table["test_error_high"] - table["test_error_mean"]
    key = [*SETTING, "method", "sparsity"]
    return table.join(_seeds(paired, key), on=key)


def _seeds(paired: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return for each point the counts of statuses and each seed's test error, as texts."""
    ok = ~paired["failed"]
    error = (100 * paired["test_error"].astype(float)).map(lambda value: number(value, 2))
    fate = paired["status"].where(paired["status"] != OK, FAILED_TO_TRAIN).astype(str)
    said = error.where(ok, fate)
    tidy = paired.assign(said=paired["seed"].astype(str) + ": " + said).sort_values("seed")
    grouped = tidy.groupby(key, sort=False)
    counts = tidy.groupby([*key, "status"], sort=True).size().rename("n").reset_index()
    counts["text"] = counts["n"].astype(str) + " " + counts["status"].astype(str)
    return pd.DataFrame(
        {
            "statuses": counts.groupby(key)["text"].agg(", ".join),
            "each": grouped["said"].agg("; ".join),
        }
    )


def _failures(
    cells: pd.DataFrame, place: dict[tuple[str, ...], int], targets: list[float], limit: int
) -> tuple[dict[str, list[list[Any]]], int]:
    """Return the failures with their messages, and how many more there are."""
    lost = cells[cells["status"] != OK]
    held = lost.head(limit)
    messages = held["message"] if "message" in held.columns else pd.Series("", held.index)
    found: dict[str, list[list[Any]]] = {}
    keys = held[[*SETTING, "method", "sparsity", "seed", "status"]]
    for (*setting, method, sparsity, seed, status), message in zip(
        keys.itertuples(index=False, name=None), messages.fillna("").astype(str), strict=True
    ):
        where = [place[tuple(setting)], targets.index(sparsity)]
        found.setdefault(str(method), []).append([*where, int(seed), status, message[:MESSAGE]])
    return found, len(lost) - len(held)
