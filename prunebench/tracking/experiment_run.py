"""The run of a whole experiment: its description in Markdown, and the files that it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prunebench.storage.files import local
from prunebench.storage.layout import Layout
from prunebench.text.numbers import percent, plural
from prunebench.tracking.mlflow_runs import (
    BASELINE,
    EXPERIMENT,
    EXPERIMENT_KEY,
    LEVEL,
    NOTE,
    MlflowRun,
    read_config,
)

_QUESTION = """**Does pruning reduce overfitting, at which sparsity, by which method, at what \
cost?** Every dense baseline was pruned by every method to every sparsity, recovered, and compared \
with itself by its error on the test set, by which nothing is chosen."""
_TOP = 10  # rows of the short leaderboard
_LENGTH = 7500  # of the 8000 characters that a tag may hold
# of leaderboard.csv, with a heading
_COLUMNS = {
    "rank": "Rank", "method": "Method", "family": "Family", "score": "Score",
    "low": "from", "high": "to", "best_difference": "Best", "best_cell": "at",
}  # fmt: skip


def experiment_run(layout: Layout, runs: Sequence[MlflowRun]) -> MlflowRun:
    """Return the run of the whole experiment, above those of its baselines.

    Args:
        layout: The folders of the experiment.
        runs: Its other runs.
    """
    files = _files(layout)
    return MlflowRun(
        key=EXPERIMENT_KEY,
        parent=None,
        name=f"{layout.root.resolve().name}: the whole grid",
        tags={LEVEL: EXPERIMENT, NOTE: _description(layout, runs, list(files))},
        files=files,
    )


def _files(layout: Layout) -> dict[str, Path]:
    """Files for people, by the path that they get in MLflow."""
    return {
        path.relative_to(layout.root).as_posix(): path
        for path in sorted([layout.config, *layout.derived()])
        if path.is_file() and path.suffix != ".pdf"  # of a figure the picture is enough
    }


def _description(layout: Layout, runs: Sequence[MlflowRun], files: Sequence[str]) -> str:
    """Question, grid, leaderboard, and where things lie."""
    parts = [_QUESTION, _grid(read_config(layout), runs), _places(layout, files)]
    rows = _leaderboard(layout)
    # the longest names of a large grid must not push out what comes after
    while rows and len("\n\n".join([*parts, _leaderboard_text(rows)])) > _LENGTH:
        rows.pop()
    if rows:
        parts.insert(2, _leaderboard_text(rows))
    return "\n\n".join(parts)[:_LENGTH] + "\n"


def _grid(config: dict[str, Any], runs: Sequence[MlflowRun]) -> str:
    cells = [run for run in runs if run.is_cell]
    statuses = Counter(run.tags["status"] for run in cells)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    keys = ("tasks", "regimes", "models", "methods", "seeds")
    rows = {key.capitalize(): _names(config[key]) for key in keys if config.get(key)}
    if shares := config.get("sparsities"):
        numbers = [share for share in shares if isinstance(share, int | float)]
        rows["Sparsities"] = ", ".join(map(percent, numbers))
    rows["Baselines"] = str(sum(run.tags[LEVEL] == BASELINE for run in cells))
    rows["Cells"] = f"{len(cells)}: {counts}"
    return "### The grid\n\n" + "\n".join(f"- **{name}** {text}" for name, text in rows.items())


def _names(values: Sequence[Any], most: int = 40) -> str:
    names = [str(v.get("name")) if isinstance(v, dict) else str(v) for v in values]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)}: {', '.join(names[:most])}{more}"


def _leaderboard(layout: Layout) -> list[list[str]]:
    """The first rows of leaderboard.csv; none where it is not there or of another form."""
    try:
        path = local(layout.leaderboard("csv"))
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        return table.head(_TOP)[list(_COLUMNS)].to_numpy().tolist()
    except (OSError, ValueError, KeyError):
        return []


def _leaderboard_text(rows: Sequence[Sequence[str]]) -> str:
    # MLflow shows the cells of a table without any space between them
    shown = [
        [text.replace("|", "\\|").replace("\n", " ") + "&emsp;" for text in row]
        for row in [list(_COLUMNS.values()), *([text or "–" for text in row] for row in rows)]
    ]
    lines = [f"| {' | '.join(line)} |" for line in [shown[0], ["---"] * len(_COLUMNS), *shown[1:]]]
    return (
        "### Leaderboard\n\nChange of test error by pruning in points, averaged over log₂ of the"
        " compression; dense is 0, lower is better. *From*, *to*: 95 % interval over seeds.\n\n"
        + "\n".join(lines)
    )


def _places(layout: Layout, files: Sequence[str]) -> str:
    shown = {
        "leaderboard.html": "the whole leaderboard, to sort and filter",
        "report.html": "the report, with figures and caveats",
        "cells.csv": "every record, a row a cell",
        "config.json": "the resolved configuration",
        "provenance.json": "code, machine, packages and command",
    }
    lines = [f"- `{name}`: {about}" for name, about in shown.items() if name in files]
    for folder in ("figures", "tables"):
        count = sum(name.startswith(f"{folder}/") for name in files)
        lines += [f"- `{folder}/`: {plural(count, 'file')}"] if count else []
    return (
        "### Where to look\n\nUnder *Artifacts*, as in the folder"
        f" `results/{layout.root.resolve().name}/`:\n\n"
        + "\n".join(lines)
        + "\n\nIn the list of runs, chart view: filter `tags.level = 'curve'`, open the section"
        " *curve*; the step is the compression in hundredths: 100 is dense, 200 is 2× (50 %"
        " sparsity), 1000 is 10× (90 %), 10000 is 100×. A chart's menu has a logarithmic axis."
    )
