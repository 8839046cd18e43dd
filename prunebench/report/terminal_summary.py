"""The summary for the terminal: a short leaderboard, warnings, and where the files are."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.report import declared_analysis, error_names, reader_warnings
from prunebench.report.leaderboard import ranking
from prunebench.report.leaderboard.columns import Row
from prunebench.report.leaderboard.ranking import EVERYTHING
from prunebench.report.tables import compression_tables
from prunebench.statistics import best_on_validation
from prunebench.statistics.published_results import own
from prunebench.statistics.training_outcomes import column
from prunebench.storage.layout import Layout
from prunebench.storage.records import DENSE
from prunebench.text.numbers import NONE, interval, number, percent, plural, seeds_text
from prunebench.tracking import exported, where_to_look

TOP = 8


def text(cells: pd.DataFrame, layout: Layout) -> str:
    """Return the summary as plain text that ends in a newline.

    Args:
        cells: the records.
        layout: the experiment's folder; paths are shown as it names them.
    """
    rows = _rows(cells, layout)
    said = reader_warnings.of_leaderboard(cells, rows, compression_tables.read(layout.latency_csv))
    experiment, mine = cells["experiment"].iloc[0], own(cells)
    parts = [
        f"prunebench: {experiment}: {plural(len(mine), 'cell')},"
        f" {seeds_text([mine['seed'].nunique()])}\n",
        "Change of test error by pruning, in points (dense is 0, lower is better):",
        *_ranking(rows),
        "\nThe lowest validation error, by regime, and its test error against dense:",
        *_best(cells),
        *(["\nWarnings:"] if said else []),
        *(f"  - {sentence}" for sentence in said),
        "\nWhere to look:",
        *_places(layout),
    ]
    return error_names.named("\n".join(parts) + "\n", cells)


def as_json(cells: pd.DataFrame, layout: Layout) -> dict[str, Any]:
    """Return the summary for programs: the leaderboard over everything, warnings and paths."""
    rows = _rows(cells, layout)
    return {
        "experiment": str(cells["experiment"].iloc[0]),
        **reader_warnings.counts(cells),
        "leaderboard": rows,
        "warnings": reader_warnings.of_leaderboard(
            cells, rows, compression_tables.read(layout.latency_csv)
        ),
        "places": {
            name: str(path)
            for name, path in {
                "records": layout.cells_csv, "tables": layout.tables, "figures": layout.figures,
                "leaderboard": layout.leaderboard("html"), "report": layout.report("html"),
            }.items()
        },
    }  # fmt: skip


def _rows(cells: pd.DataFrame, layout: Layout) -> list[Row]:
    return ranking.boards(cells, declared_analysis.analysis(layout), [EVERYTHING])[EVERYTHING]


def _ranking(rows: list[Row]) -> list[str]:
    """Return the best rows; dense and random are always among them."""
    shown = [row for i, row in enumerate(rows) if i < TOP or row["method"] in (DENSE, "random")]
    width = max(6, *(len(row["method"]) for row in shown))
    lines = [
        f"  {'rank':>4}  {'method':<{width}}  {'score':>6}  {'95 % interval':<17} against dense"
    ]
    for row in shown:
        rank = NONE if row["rank"] is None else str(row["rank"])
        points = number(row["score"], 2, sign=True)
        ends = interval(row["low"], row["high"])
        lines.append(
            f"  {rank:>4}  {row['method']:<{width}}  {points:>6}  {ends:<17} "
            f"{row['against_baseline']}"
        )
    if len(shown) < len(rows):
        lines.append(f"  and {len(rows) - len(shown)} more in the leaderboard")
    return lines


def _best(cells: pd.DataFrame) -> list[str]:
    """Return one line for each regime."""
    best = best_on_validation(cells, ["regime"])
    if best.empty and column(cells, "val_error").notna().any():
        return ["  no choice: at every sparsity half of the trainings or more did not finish"]
    if best.empty:
        return ["  no validation errors recorded"]
    return [
        f"  {regime}: none: no pruned network is better than chance"
        if at_chance
        else f"  {regime}: {method} at {percent(sparsity)} sparsity, "
        f"{number(difference, 2, sign=True)} points"
        for regime, method, sparsity, difference, at_chance in best[
            ["regime", "method", "sparsity", "difference", "at_chance"]
        ].itertuples(index=False, name=None)
    ]


def _places(layout: Layout) -> list[str]:
    places = {
        "report": f"{layout.report('html')} (also .md)",
        "records": layout.cells_csv,
        "tables": f"{layout.tables}/",
        "figures": f"{layout.figures}/",
        "leaderboard": f"{layout.leaderboard('html')} (also .md, .csv)",
    }
    with suppress(PrunebenchError):  # it was not exported then, which was said
        if exported(layout):
            places["MLflow"] = where_to_look(layout)
    return [f"  {name:<12} {place}" for name, place in places.items()]
