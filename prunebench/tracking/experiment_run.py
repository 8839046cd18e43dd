"""The run of a whole experiment: what it says of itself in Markdown, and the files it holds."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.storage.files import read_text, sha256_file
from prunebench.storage.layout import Layout
from prunebench.tracking.mlflow_runs import BASELINE, Run, read_config

_QUESTION = """**Does pruning reduce overfitting, at which sparsity, by which method, at what \
cost?** Every dense baseline was pruned by every method to every sparsity, recovered, and compared \
with itself by its error on the test set, which is read once, at the end."""
_TOP = 10  # rows of the short leaderboard
_LENGTH = 7500  # of the 8000 characters that a tag may hold
# of leaderboard.csv, with a heading
_COLUMNS = (
    ("rank", "Rank"), ("method", "Method"), ("family", "Family"), ("score", "Score"),
    ("low", "from"), ("high", "to"), ("best_difference", "Best"), ("best_cell", "at"),
)  # fmt: skip


def artifacts(layout: Layout) -> dict[str, Path]:
    """Files for people, by the path that they get in MLflow."""
    found = [layout.config, *layout.derived()]
    # of a figure the picture is enough
    return {
        path.relative_to(layout.root).as_posix(): path
        for path in sorted(found)
        if path.is_file() and path.suffix != ".pdf"
    }


def experiment_digest(files: dict[str, Path], description: str) -> str:
    """Changes when any of the artifacts or the description does."""
    parts = [description, *([name, sha256_file(path)] for name, path in files.items())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def description(layout: Layout, runs: Sequence[Run], files: Sequence[str]) -> str:
    """What the experiment's run says of itself: question, grid, leaderboard, where things lie."""
    parts = [_QUESTION, _grid(read_config(layout), runs), _places(layout, files)]
    rows = _leaderboard(layout)
    # the longest names of a large grid must not push out what comes after
    while rows and len("\n\n".join([*parts, _board(rows)])) > _LENGTH:
        rows.pop()
    if rows:
        parts.insert(2, _board(rows))
    return "\n\n".join(parts)[:_LENGTH] + "\n"


def _cell(text: str) -> str:
    """A text as a cell of a Markdown table; MLflow shows them without any space between."""
    return text.replace("|", "\\|").replace("\n", " ") + "&emsp;"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = [[_cell(text) for text in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _names(values: Sequence[Any], most: int = 40) -> str:
    names = [str(v.get("name")) if isinstance(v, dict) else str(v) for v in values]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)}: {', '.join(names[:most])}{more}" if names else "–"


def _grid(config: dict[str, Any], runs: Sequence[Run]) -> str:
    cells = [run for run in runs if run.is_cell]
    statuses = Counter(run.tags.get("status", "unknown") for run in cells)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    keys = ("tasks", "regimes", "models", "methods", "seeds")
    rows = [(key.capitalize(), _names(config[key])) for key in keys if config.get(key)]
    if shares := config.get("sparsities"):
        rows.append(("Sparsities", ", ".join(f"{100 * share:.4g} %" for share in shares)))
    baselines = sum(run.tags["level"] == BASELINE for run in cells)
    rows.append(("Baselines", str(baselines)))
    rows.append(("Cells", f"{len(cells)}: {counts}"))
    return "### The grid\n\n" + "\n".join(f"- **{name}** {text}" for name, text in rows)


def _leaderboard(layout: Layout) -> list[dict[str, str]]:
    """The first rows of leaderboard.csv; none where it is not there or of another form."""
    try:
        text = read_text(layout.leaderboard("csv"))
    except PrunebenchError:
        return []
    rows = list(csv.DictReader(io.StringIO(text)))
    return rows[:_TOP] if rows and all(key in rows[0] for key, _ in _COLUMNS) else []


def _board(rows: Sequence[dict[str, str]]) -> str:
    said = [[row[key] or "–" for key, _ in _COLUMNS] for row in rows]
    return (
        "### Leaderboard\n\nChange of test error by pruning in points, averaged over log₂ of the"
        " compression; dense is 0, lower is better. *From*, *to*: 95 % interval over seeds.\n\n"
        + _table([[title for _, title in _COLUMNS], *said])
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
        lines += [f"- `{folder}/`: {count} files"] if count else []
    return (
        "### Where to look\n\nUnder *Artifacts*, as in the folder"
        f" `results/{layout.root.resolve().name}/`:\n\n"
        + "\n".join(lines)
        + "\n\nIn the list of runs, chart view: filter `tags.level = 'curve'`, open the section"
        " *curve*; the step is the compression in hundredths of an octave: 0 is dense, 100 is 50 %"
        " sparsity, 200 is 75 %, 332 is 90 %, 664 is 99 %."
    )
