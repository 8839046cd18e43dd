"""The table behind leaderboard.md, .csv, .html and the terminal: one function feeds them all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prunebench.records import DENSE, OK
from prunebench.report import style
from prunebench.settings import Analysis
from prunebench.statistics import score_subsets, under_trained

Row = dict[str, Any]
Subset = tuple[str, str, str]  # task, regime, model; "all" for no choice
EVERYTHING: Subset = ("all", "all", "all")
# digits after the point: what is rounded here reads the same in every file
POINTS = ("score", "low", "high", "chosen", "chosen_low", "chosen_high", "best_difference")
SECONDS = ("train_epochs", "train_seconds")
P_VALUES = ("p_baseline", "p_reference")
COUNTS = ("wins", "ties", "losses", "cells", "failed", "missing")
KEYS = (
    "rank", "method", "family", "score", "low", "high", "verdict", "against_baseline", "p_baseline",
    "against_reference", "p_reference", "chosen", "chosen_low", "chosen_high", "wins", "ties",
    "losses", "best_cell", "best_difference", "train_epochs", "train_seconds", "cells", "failed",
    "missing",
)  # fmt: skip
SOFTWARE = ("python_version", "torch_version", "torchvision_version", "timm_version")


@dataclass(frozen=True)
class Column:
    """A column to read: its title, what it says (a note), its text and what it sorts by."""

    title: str
    note: str
    text: Callable[[Row], str]
    sort: str
    kind: str = "number"  # or "name", or "words" that wrap; the page's class


def _points(key: str) -> Callable[[Row], str]:
    return lambda row: style.number(row[key], 2, sign=True)


def _interval(prefix: str) -> Callable[[Row], str]:
    return lambda row: style.interval(row[f"{prefix}low"], row[f"{prefix}high"])


def _plain(key: str) -> Callable[[Row], str]:
    return lambda row: style.NONE if row[key] is None else str(row[key])


def _tally(row: Row) -> str:
    if row["method"] == DENSE:
        return style.NONE
    return f"{row['wins']} / {row['ties']} / {row['losses']}"


def _best(row: Row) -> str:
    if row["best_cell"] is None:
        return style.NONE
    return f"{row['best_cell']}: {style.number(row['best_difference'], 2, sign=True)}"


SHOWN = (
    Column("Rank", "by score; – where cells are missing", _plain("rank"), "rank"),
    Column("Method", "", _plain("method"), "method", "name"),
    Column("Family", "", _plain("family"), "family", "name"),
    Column("Score", "points, lower is better, dense is 0", _points("score"), "score"),
    Column("95 % interval", "of the score, over seeds, on these tasks", _interval(""), "low"),
    Column(
        "Verdict", "equivalent: within the declared region", _plain("verdict"), "verdict", "name"
    ),
    Column(
        "Against dense", "exact sign-flip test over seeds, Holm over the declared family",
        _plain("against_baseline"), "p_baseline", "words",
    ),
    Column(
        "Against random", "the same test against random pruning",
        _plain("against_reference"), "p_reference", "words",
    ),
    Column(
        "At chosen sparsity", "points, sparsity chosen on validation", _points("chosen"), "chosen"
    ),
    Column("Its 95 % interval", "", _interval("chosen_"), "chosen_low"),
    Column("Wins / ties / losses", "cells against dense of the same seed", _tally, "wins"),
    Column(
        "Best cell", "lowest validation error against dense; points on test",
        _best, "best_difference", "words",
    ),
    Column(
        "Epochs", "of training, mean over cells",
        lambda row: style.number(row["train_epochs"], 1), "train_epochs",
    ),
    Column(
        "Seconds", "of training, mean over cells",
        lambda row: style.number(row["train_seconds"], 1), "train_seconds",
    ),
    Column("Cells", "with a record", _plain("cells"), "cells"),
    Column("Failed", "failed, diverged or collapsed cells", _plain("failed"), "failed"),
    Column("Missing", "points of the grid without a record", _plain("missing"), "missing"),
)  # fmt: skip


def boards(cells: pd.DataFrame, analysis: Analysis) -> dict[Subset, list[Row]]:
    """The leaderboard's rows of each subset (task, regime, model), all first, best method first.

    Values are plain and rounded; None is missing. The keys are KEYS.
    """
    found = {}
    for subset, scores in score_subsets(cells, **analysis.model_dump()).items():
        inside = cells
        for column, wanted in zip(("task", "regime", "model"), subset, strict=True):
            if wanted != "all":
                inside = inside[inside[column] == wanted]
        found[subset] = _rows(scores, inside)
    return found


def _rows(scores: pd.DataFrame, inside: pd.DataFrame) -> list[Row]:
    costs = inside.reindex(columns=["method", *SECONDS]).groupby("method").mean()
    table = scores.join(costs, on="method")
    table["rank"] = table["score"].round(9).where(table["complete"]).rank(method="min")
    return [
        _row(dict(zip(table.columns, values, strict=True)))
        for values in table.itertuples(index=False, name=None)
    ]


def _row(values: Row) -> Row:
    row = {key: values.get(key) for key in KEYS}
    for keys, digits in ((POINTS, 2), (SECONDS, 1), (P_VALUES, 4)):
        row |= {key: _rounded(values[key], digits) for key in keys}
    row |= {key: int(values[key]) for key in COUNTS}
    row["rank"] = None if math.isnan(values["rank"]) else int(values["rank"])
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


def texts(row: Row) -> list[str]:
    """What a reader sees of a row, column by column of SHOWN."""
    return [column.text(row) for column in SHOWN]


def stands_on(cells: pd.DataFrame) -> dict[str, str]:
    """What the leaderboard stands on: data, seeds, software; ``not recorded`` where it is not."""
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
    return found


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
    seeds = cells.groupby(["task", "regime", "model"])["seed"].nunique().min()
    if any("cannot be significant" in str(row["against_baseline"]) for row in rows):
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
    incomplete = [str(row["method"]) for row in rows if row["missing"]]
    if incomplete:
        found.append(f"Not ranked, since cells are missing: {', '.join(incomplete)}.")
    return found
