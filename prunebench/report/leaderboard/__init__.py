"""leaderboard.md, leaderboard.csv and leaderboard.html: the same numbers three times."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from prunebench.report import declared_analysis, error_names, reader_warnings
from prunebench.report.leaderboard import columns, page, ranking, subsets
from prunebench.report.leaderboard.columns import Row
from prunebench.report.tables import compression_tables
from prunebench.statistics.recovery_lengths import all_lengths
from prunebench.storage.files import write_text
from prunebench.storage.layout import Layout
from prunebench.text import markup

EXPLAINED = (
    "Score: test error minus that of the dense baseline with the same seed, in percentage points,"
    " averaged over log₂ of the compression ratio that was achieved (trapezoid), over the range"
    " that all methods but the controls reach; seeds averaged within a cell, settings (task,"
    " regime, model) weighted equally."
    " Lower is better; dense is 0. Report and README state gains, of which higher is better, at the"
    " one sparsity that validation chooses, in one regime: other numbers, and so other intervals.",
    "Interval: 95 %, bootstrap over seeds within each setting, the same draws for all methods,"
    " widened for few seeds; over seeds, on these tasks: it says nothing about other tasks.",
    "Against dense, against random: exact sign-flip test over independent units, Holm's correction"
    " over the family of methods that the configuration declares (all but the controls where it"
    " declares none); the others are exploratory.",
    "Verdict: better or worse than dense where that test and the interval say so, equivalent where"
    " the whole interval lies within the declared region of practical equivalence. Where the"
    " interval excludes 0 and the test shows nothing, it says so; where so many seeds can show no"
    " difference at all, that the seeds are too few to test.",
    "Failed cells leave in pairs, also where dense failed, and are counted. A method has no rank"
    " above one that collapses at fewer compressions; one that lacks cells is ranked on those that"
    " it shares with each of the others.",
    "Stopped: the same of the states at which early stopping on noisy validation ends each"
    " training, dense's too. Interaction: the gain trained minus the gain stopped.",
    "At chosen sparsity: the difference where the validation error is lowest, of the sparsities at"
    " which most trainings came to their end; the score counts the others too, and the column"
    " under-trained says how many.",
    "Costs are means over all cells of the row that have them, of ratios geometric means; a cost"
    " that no record has is no column.",
)

ARROW, MARKED = "→ before a name", "Bold on a coloured row"


def write(cells: pd.DataFrame, layout: Layout) -> list[Path]:
    """Write the three files below ``layout.root``.

    The page embeds the figures of error against compression from figures/; a missing figure is
    drawn.

    Args:
        cells: the records, as ``statistics.read_cells`` returns them.
        layout: the experiment's folder.

    Returns:
        The paths that were written.

    Raises:
        PrunebenchError: ``statistics.check_cells`` refuses the cells.
    """
    tables = subsets.tables(cells, declared_analysis.analysis(layout))
    rows = tables.rows[subsets.EVERYTHING]
    made = {
        "csv": pd.DataFrame(rows, columns=list(ranking.KEYS), dtype=object).to_csv(
            index=False, lineterminator="\n"
        ),
        "md": markdown(
            rows,
            cells,
            all_lengths(cells, declared_analysis.highlighted(layout)),
            compression_tables.read(layout.latency_csv),
        ),
        "html": page.html(
            tables, cells, layout, _explained(cells, declared_analysis.highlighted(layout), MARKED)
        ),
    }
    for kind, text in made.items():
        write_text(layout.leaderboard(kind), error_names.named(text, cells))
    return [layout.leaderboard(kind) for kind in made]


def _explained(cells: pd.DataFrame, highlight: Collection[str], how: str) -> list[str]:
    """Return the notes of a page, with how highlighted methods are marked where there are any."""
    marked = f"{how}: the methods that the configuration highlights." if highlight else ""
    return [line for line in (error_names.explained(cells), *EXPLAINED, marked) if line]


def markdown(
    rows: list[Row], cells: pd.DataFrame, highlight: Collection[str] = (),
    times: pd.DataFrame | None = None,
) -> str:  # fmt: skip
    """Return the leaderboard over everything as Markdown; highlighted methods have an arrow."""
    shown = columns.shown(rows)
    texts = [
        [
            f"→ {text}" if column is columns.METHOD and row["method"] in highlight else text
            for column, text in zip(shown, columns.texts(row, shown), strict=True)
        ]
        for row in rows
    ]
    table = markup.markdown_rows([column.title for column in shown], texts, right_from=3)
    said = "".join(
        f"> {markup.markdown_text(w)}\n>\n"
        for w in reader_warnings.of_leaderboard(cells, rows, times)
    )
    notes = _explained(cells, highlight, ARROW)
    explained = "".join(f"- {markup.markdown_text(line)}\n" for line in notes)
    based_on = "".join(
        f"- {markup.markdown_text(name)}: {markup.markdown_text(value)}\n"
        for name, value in ranking.basis(cells).items()
    )
    title = markup.markdown_text(str(cells["experiment"].iloc[0]))
    return (
        f"# Leaderboard: {title}\n\n{said}\n{table}\n"
        f"## How to read it\n\n{explained}\n## Data and software\n\n{based_on}"
    )
