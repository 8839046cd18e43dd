"""The leaderboard's columns: their titles, notes, texts and sort keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prunebench.report.verdict_words import of_score, shortly
from prunebench.statistics.published_results import MARK
from prunebench.storage.records import DENSE
from prunebench.text.numbers import NONE, interval, number, percent

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of the leaderboard: title, note, text of a row, and the key that it sorts by."""

    title: str
    note: str
    text: Callable[[Row], str]
    sort: str  # the key whose value orders the rows
    kind: str = "number"  # or "name", or "words" that wrap; the page's class
    optional: bool = False  # left out where no row has a value


@dataclass(frozen=True)
class CostColumn:
    """A measured cost: a column of the record, averaged over the cells that have it."""

    key: str
    title: str
    note: str
    digits: int
    geometric: bool = False  # the mean of ratios
    scale: float = 1  # from the record's unit to the one shown


COSTS = (
    CostColumn("train_epochs", "Epochs", "of training, mean over cells", 1),
    CostColumn("train_seconds", "Seconds", "of training, mean over cells", 1),
    CostColumn("prune_seconds", "Pruning seconds", "scores and masks, mean over cells", 2),
    CostColumn(
        "compression_ratio", "Compression", "all weights over kept, geometric mean over cells",
        2, geometric=True,
    ),
    CostColumn(
        "theoretical_speedup", "Fewer MACs",
        "multiply-accumulates, dense over kept, geometric mean over cells", 2, geometric=True,
    ),
    CostColumn(
        "measured_speedup", "Measured speed-up",
        "against the dense network, geometric mean over cells", 2, geometric=True,
    ),
    CostColumn("latency_ms", "Latency (ms)", "of one input, mean over cells", 3),
    CostColumn(
        "bytes_compressed", "Compressed (kB)", "the stored network, mean over cells", 1,
        scale=1e-3,
    ),
)  # fmt: skip


def _points(key: str) -> Callable[[Row], str]:
    return lambda row: number(row[key], 2, sign=True)


def _interval(prefix: str) -> Callable[[Row], str]:
    return lambda row: interval(row[f"{prefix}low"], row[f"{prefix}high"])


def _text(key: str) -> Callable[[Row], str]:
    return lambda row: NONE if row[key] is None else str(row[key])


def _test(key: str, other: str) -> Callable[[Row], str]:
    return lambda row: NONE if row[key] is None else shortly(row[key], other)


def _method(row: Row) -> str:
    return f"{row['method']} ({MARK})" if row["published"] else str(row["method"])


def _tally(row: Row) -> str:
    if row["method"] == DENSE:
        return NONE
    return f"{row['wins']} / {row['ties']} / {row['losses']}"


def _best(row: Row) -> str:
    if row["best_cell"] is None:
        return NONE
    return f"{row['best_cell']}: {number(row['best_difference'], 2, sign=True)}"


def _failed(row: Row) -> str:
    if row["failed_share"] is None:
        return NONE
    low, high = (percent(row[f"failed_{end}"], 1) for end in ("low", "high"))
    return f"{percent(row['failed_share'], 1)} [{low}, {high}]"


def _cost(cost: CostColumn) -> Column:
    return Column(
        cost.title, cost.note, lambda row: number(row[cost.key], cost.digits), cost.key,
        optional=True,
    )  # fmt: skip


METHOD = Column("Method", "", _method, "method", "name")
SHOWN = (
    Column("Rank", "by collapses, then by score", _text("rank"), "rank"),
    METHOD,
    Column("Family", "", _text("family"), "family", "name"),
    Column("Score", "points, lower is better, dense is 0", _points("score"), "score"),
    Column("95 % interval", "of the score, over seeds, on these tasks", _interval(""), "low"),
    Column("Verdict", "equivalent: within the declared region", of_score, "verdict", "name"),
    Column(
        "Against dense", "exact sign-flip test over independent units, Holm over the family",
        _test("against_baseline", "dense"), "p_baseline", "words",
    ),
    Column(
        "Against random", "the same test against random pruning",
        _test("against_reference", "random"), "p_reference", "words",
    ),
    Column(
        "At chosen sparsity", "points, sparsity chosen on validation", _points("chosen"), "chosen"
    ),
    Column("Its 95 % interval", "", _interval("chosen_"), "chosen_low"),
    Column(
        "Stopped", "the score of the states that noisy validation stops at",
        _points("stopped_score"), "stopped_score", optional=True,
    ),
    Column(
        "Its interval", "95 %, of the stopped score", _interval("stopped_"), "stopped_low",
        optional=True,
    ),
    Column(
        "Interaction", "gain trained minus gain stopped", _points("interaction"), "interaction",
        optional=True,
    ),
    Column(
        "Interaction's interval", "95 %", _interval("interaction_"), "interaction_low",
        optional=True,
    ),
    Column("Wins / ties / losses", "cells against dense of the same seed", _tally, "wins"),
    Column(
        "Best cell", "lowest validation error against dense; points on test",
        _best, "best_difference", "words",
    ),
    *map(_cost, COSTS),
    Column("Cells", "with a record", _text("cells"), "cells"),
    Column("Failed", "failed, diverged, collapsed or untrained cells", _text("failed"), "failed"),
    Column("Share failed", "with its exact 95 % interval", _failed, "failed_share"),
    Column("Left out", "cells that failed, or whose dense did", _text("left_out"), "left_out"),
    Column(
        "Under-trained", "cells whose training had not come to its end; the score counts them",
        _text("under_trained"), "under_trained",
    ),
    Column(
        "Collapsed", "compressions at which half failed, or at chance", _text("collapsed"),
        "collapsed",
    ),
    Column("Missing", "points of the grid without a record", _text("missing"), "missing"),
)  # fmt: skip


def shown(rows: list[Row]) -> list[Column]:
    """Return the columns to show for these rows; costs that no row has are left out."""
    return [
        column
        for column in SHOWN
        if not column.optional or any(row[column.sort] is not None for row in rows)
    ]


def unmeasured(rows: list[Row]) -> list[str]:
    """Return the titles of the costs that no row has."""
    there = shown(rows)
    return [cost.title for cost in COSTS if cost.title not in {column.title for column in there}]


def texts(row: Row, columns: list[Column]) -> list[str]:
    """Return the texts of a row, column by column."""
    return [column.text(row) for column in columns]
