"""leaderboard.html: one file with its data, its libraries and their licences."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from prunebench.report import declared_analysis, reader_warnings
from prunebench.report.html_template import TEMPLATES, rendered
from prunebench.report.leaderboard import columns, ranking
from prunebench.report.leaderboard.columns import Column, Row
from prunebench.report.leaderboard.recipes import END, Recipes, recipes
from prunebench.report.leaderboard.row_details import RowDetails, details
from prunebench.report.leaderboard.subsets import EVERYTHING, ChoiceTables
from prunebench.report.tables import compression_tables
from prunebench.statistics.recovery_lengths import all_lengths, lengths_of
from prunebench.storage.layout import Layout

LIBRARIES = ("datatables-3.1.5", "d3-7.9.2", "plot-0.6.17")  # in the order that they load
FIGURE = "error-compression"
EMBEDDED = 4  # figures at most, one a task
FIGURE_BYTES = 600_000  # of all of them together


def html(
    tables: ChoiceTables, cells: pd.DataFrame, layout: Layout, explained: Sequence[str]
) -> str:
    """Return the leaderboard as one self-contained page.

    Args:
        tables: the scores of every choice of task, regime, model and sparsity.
        cells: the records.
        layout: the experiment's folder, for its figures and its configuration.
        explained: sentences on how to read the page; it adds what it does not hold.
    """
    rows = tables.rows[EVERYTHING]
    shown = columns.shown(rows)
    held, known = details(cells), recipes(layout)
    highlighted = declared_analysis.highlighted(layout)
    images = _images(cells, layout.figures, highlighted)
    known_lengths = lengths_of(cells)["length"]
    stands_out = all_lengths(cells, highlighted)
    limits = _limits(tables, held, known, cells, images, columns.unmeasured(rows))
    return rendered(
        "leaderboard.html.j2",
        experiment=str(cells["experiment"].iloc[0]),
        columns=shown,
        rows=[
            {"texts": columns.texts(row, shown), "mine": row["method"] in stands_out}
            for row in rows
        ],
        data=_data(tables, shown, held, known, known_lengths, stands_out),
        axes=tables.axes,
        lengths=[f"{length:g}×" for length in sorted(known_lengths.unique())],
        families=sorted({str(row["family"]) for row in rows}),
        warnings=reader_warnings.of_leaderboard(
            cells, rows, compression_tables.read(layout.latency_csv)
        ),
        explained=[*explained, *limits],
        based_on=ranking.basis(cells),
        images=images,
        libraries=[_library(name) for name in LIBRARIES],
    )  # fmt: skip


def _data(
    tables: ChoiceTables, shown: list[Column], held: RowDetails, known: Recipes,
    lengths: pd.Series, stands_out: list[str],
) -> str:  # fmt: skip
    """Return the data of the page's script, as JSON that is safe inside a script element."""
    places: dict[str, int] = {}

    def placed(text: str) -> int:
        return places.setdefault(text, len(places))

    packed = {
        json.dumps(choice, ensure_ascii=False, separators=(",", ":")): [
            _packed(row, shown, placed) for row in rows
        ]
        for choice, rows in tables.rows.items()
    }
    held_points = asdict(held)
    for listed in held_points["methods"].values():
        for point in listed:
            point[2], point[3] = placed(point[2]), placed(point[3])
    whole = {
        "tables": packed, "axes": tables.axes, "points": held_points,
        "recipes": {name: asdict(recipe) for name, recipe in known.methods.items()},
        "published": {
            row["method"]: row["published"] for row in tables.rows[EVERYTHING] if row["published"]
        },
        "lengths": {str(name): f"{length:g}×" for name, length in lengths.items()},
        "highlight": stands_out, "common": known.common, "no_recipes": known.missing, "end": END,
        "kinds": [column.kind for column in shown], "texts": list(places),
    }  # fmt: skip
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # "<" is the only sign that HTML looks for in a script
    return text.replace("<", "\\u003c")


def _packed(row: Row, shown: list[Column], placed: Any) -> list[Any]:
    """Return a row as ``[method, family, texts, values]``; names sort by their text."""
    texts = [placed(text) for text in columns.texts(row, shown)]
    values = [None if c.kind == "name" else row[c.sort] for c in shown]
    return [placed(str(row["method"])), placed(str(row["family"])), texts, values]


def _limits(
    tables: ChoiceTables,
    held: RowDetails,
    known: Recipes,
    cells: pd.DataFrame,
    images: dict[str, str],
    unmeasured: list[str],
) -> list[str]:
    """Return sentences on what the page does not hold, and where to find it."""
    said = [
        f"A row unfolds to its cells as means over seeds, {sum(map(len, held.methods.values()))}"
        f" of them from {len(cells)} records"
        + ("." if held.each else "; each seed's own error is in cells.csv.")
    ]
    offered = sum(len(values) > 1 for values in tables.axes.values())
    if tables.depth < offered:
        said.append(
            f"To keep this file small it holds scores for at most {tables.depth} choices of task,"
            " regime, model and sparsity at once; for others run “python -m prunebench analyse” on"
            " a part of cells.csv."
        )
    if held.left_out:
        said.append(f"{held.left_out} more failures and their messages are in cells.csv.")
    tasks = cells["task"].nunique()
    if len(images) < tasks:
        said.append(f"{tasks - len(images)} of {tasks} figures are not here but in figures/.")
    if unmeasured:
        said.append(f"Not measured in these records: {', '.join(unmeasured)}.")
    if known.missing:
        said.append(f"There are no recipes: {known.missing}.")
    return said


def _library(name: str) -> dict[str, str]:
    """Return a vendored script and its licence; neither holds text that ends a script element."""
    folder = TEMPLATES / "vendor"
    return {
        "name": name,
        "licence": (folder / f"{name}.LICENSE").read_text(encoding="utf-8"),
        "script": (folder / f"{name}.min.js").read_text(encoding="utf-8"),
    }


def _images(cells: pd.DataFrame, folder: Path, highlight: list[str]) -> dict[str, str]:
    """Return PNG data URIs by task, as many as fit."""
    found, left = {}, FIGURE_BYTES
    for task in sorted(cells["task"].unique())[:EMBEDDED]:
        path = folder / f"{FIGURE}-{task}.png"
        own = cells[cells["task"] == task]
        content = path.read_bytes() if path.is_file() else _drawn(own, highlight)
        if len(content) <= left:
            left -= len(content)
            found[str(task)] = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return found


def _drawn(cells: pd.DataFrame, highlight: list[str]) -> bytes:
    from prunebench.report import figures

    memory = io.BytesIO()
    if drawn := figures.draw(figures.ERROR, cells, highlight=highlight):
        drawn.savefig(memory, format="png", dpi=150)
    return memory.getvalue()
