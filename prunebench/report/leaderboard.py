"""leaderboard.md, leaderboard.csv and leaderboard.html: the same figures three times."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pandas as pd

from prunebench.files import write_text
from prunebench.layout import Layout
from prunebench.report import board, declared, markup
from prunebench.report.board import EVERYTHING, KEYS, SHOWN, Row, Subset

TEMPLATES = Path(__file__).parent / "templates"
FIGURE = "error-compression"
EMBEDDED = 4  # figures at most, one a task, to keep the page small
EXPLAINED = (
    "Score: test error minus that of the dense baseline with the same seed, in percentage points,"
    " averaged over log₂ of the nominal compression ratio 1/(1 − sparsity) (trapezoid), seeds"
    " averaged within a setting (task, regime, model), settings weighted equally."
    " Lower is better; dense is 0.",
    "Interval: 95 %, bootstrap over seeds within each setting, the same draws for all methods,"
    " widened for few seeds; over seeds, on these tasks: it says nothing about other tasks.",
    "Against dense, against random: exact sign-flip test over seeds, Holm's correction over the"
    " family of methods that the configuration declares (all but the controls where it declares"
    " none); the others are exploratory.",
    "Verdict: better or worse than dense where that test and the interval say so, equivalent where"
    " the whole interval lies within the declared region of practical equivalence.",
    "At chosen sparsity: the difference where the validation error is lowest.",
)


def write(cells: pd.DataFrame, layout: Layout) -> list[Path]:
    """Write the three files below ``layout.root``; return their paths.

    The page embeds the figures of error against compression as written by ``figures.write``,
    or draws them when they are not there. Raises PrunebenchError for cells that
    ``statistics.check_cells`` refuses.
    """
    tables = board.boards(cells, declared.analysis(layout))
    rows = tables[EVERYTHING]
    experiment = str(cells["experiment"].iloc[0])
    made = {
        "csv": pd.DataFrame(rows, columns=list(KEYS), dtype=object).to_csv(
            index=False, lineterminator="\n"
        ),
        "md": markdown(experiment, rows, cells),
        "html": html(experiment, tables, cells, _images(cells, layout.figures)),
    }
    for kind, text in made.items():
        write_text(layout.leaderboard(kind), text)
    return [layout.leaderboard(kind) for kind in made]


def markdown(experiment: str, rows: list[Row], cells: pd.DataFrame) -> str:
    """The leaderboard over everything as Markdown."""
    table = markup.markdown_rows(
        [column.title for column in SHOWN], [board.texts(row) for row in rows], right_from=3
    )
    said = "".join(f"> {markup.markdown_text(w)}\n>\n" for w in board.warnings(cells, rows))
    explained = "".join(f"- {markup.markdown_text(line)}\n" for line in EXPLAINED)
    ground = "".join(
        f"- {markup.markdown_text(name)}: {markup.markdown_text(value)}\n"
        for name, value in board.stands_on(cells).items()
    )
    return (
        f"# Leaderboard: {markup.markdown_text(experiment)}\n\n{said}\n{table}\n"
        f"## How to read it\n\n{explained}\n## What it stands on\n\n{ground}"
    )


def html(
    experiment: str, tables: dict[Subset, list[Row]], cells: pd.DataFrame, images: dict[str, str]
) -> str:
    """The leaderboard as one self-contained page; ``images``: PNG data URIs by task."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # autoescape also where the name of the template does not end in .html
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    axes = {name: sorted(cells[name].astype(str).unique()) for name in ("task", "regime", "model")}
    return environment.get_template("leaderboard.html.j2").render(
        experiment=experiment,
        columns=SHOWN,
        rows=[_shown(row) for row in tables[EVERYTHING]],
        data=[
            {"subset": list(key), "rows": [_shown(r) for r in rows]} for key, rows in tables.items()
        ],
        axes=axes,
        families=sorted({str(row["family"]) for row in tables[EVERYTHING]}),
        warnings=board.warnings(cells, tables[EVERYTHING]),
        explained=EXPLAINED,
        stands_on=board.stands_on(cells),
        images=images,
    )


def _shown(row: Row) -> dict[str, Any]:
    """A row as the page needs it: texts, what to sort by, and its family."""
    return {
        "family": row["family"],
        "texts": board.texts(row),
        "sort": [row[column.sort] for column in SHOWN],
    }


def _images(cells: pd.DataFrame, folder: Path) -> dict[str, str]:
    found = {}
    for task in sorted(cells["task"].unique())[:EMBEDDED]:
        path = folder / f"{FIGURE}-{task}.png"
        content = path.read_bytes() if path.is_file() else _drawn(cells[cells["task"] == task])
        found[str(task)] = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return found


def _drawn(cells: pd.DataFrame) -> bytes:
    from prunebench.report import figures

    memory = io.BytesIO()
    if drawn := figures.draw(figures.ERROR, cells):
        drawn.savefig(memory, format="png", dpi=150)
    return memory.getvalue()
