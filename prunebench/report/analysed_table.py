"""The result of ``analyse``: the scores of any table, as text, as files and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment import settings
from prunebench.published.units import UNITS, upside_down
from prunebench.report import figures
from prunebench.statistics import RANDOM, SETTING, score
from prunebench.statistics.bootstrap import SEEDS
from prunebench.storage.files import write_text
from prunebench.text import markup
from prunebench.text.numbers import interval, number, plural, seeds_text

HEADER = ["method", "score", "95 % interval", "verdict", "against the baseline"]
NAME = "scores"


@dataclass(frozen=True)
class AnalysedTable:
    """A table, its scores, and how they were computed."""

    cells: pd.DataFrame
    scores: pd.DataFrame
    baseline: str
    reference: str
    equivalence: float  # ± points


def analyse(
    cells: pd.DataFrame, baseline: str, reference: str, primary: list[str], equivalence: float
) -> AnalysedTable:
    """Score a table of cells.

    Args:
        cells: the table, as ``statistics.read_table`` returns it.
        baseline: the dense method that the others are compared with.
        reference: the second method of comparison; ``random`` may be missing, as it is from many
            published tables.
        primary: the family of Holm's correction; [] means all methods but controls.
        equivalence: the region of practical equivalence, ± points.

    Returns:
        The table with its scores.

    Raises:
        PrunebenchError: ``score`` refuses the table, the reference is not there, ``equivalence`` is
            not above 0, or there is one method alone.
    """
    if not equivalence > 0:
        raise PrunebenchError(f"equivalence must be above 0 points, found {equivalence:g}")
    methods = set(cells["method"])
    if reference not in methods | {RANDOM}:
        raise PrunebenchError(f"no method {reference!r}{suggest(reference, methods)}")
    if len(methods) < 2:
        only = cells["method"].iloc[0]
        raise PrunebenchError(f"there is nothing to compare: every row is {only!r}")
    scores = score(cells, baseline, reference, primary=primary, equivalence=equivalence)
    return AnalysedTable(cells, scores, baseline, reference, equivalence)


def as_errors(cells: pd.DataFrame, unit: str, where: str) -> pd.DataFrame:
    """Return cells whose ``test_error`` holds errors, and refuse what is most likely accuracies.

    Args:
        cells: the table, as ``statistics.read_table`` returns it.
        unit: ``error-share``, ``accuracy-share``, or "" where the user does not say; a record that
            prunebench made, which has identities, is taken at its word.
        where: named in errors.

    Raises:
        PrunebenchError: an unknown unit, or numbers that look like accuracies.
    """
    units = ("error-share", "accuracy-share")
    if unit and unit not in units:
        raise PrunebenchError(f"unknown unit {unit!r}{suggest(unit, units)}")
    if unit == "accuracy-share":
        convert = UNITS[unit].convert
        return cells.assign(test_error=cells["test_error"].map(convert, na_action="ignore"))
    if not unit and cells["identity"].isna().all():
        means = cells.groupby("sparsity")["test_error"].mean().dropna()
        if len(means) > 1 and upside_down(means.iloc[0], means.iloc[-1]):
            raise PrunebenchError(
                f"{where}: the least pruned networks would err in {means.iloc[0]:.0%}, the sparsest"
                f" in {means.iloc[-1]:.0%}: are these accuracies? say --unit accuracy-share, or"
                " error-share if they are errors"
            )
    return cells


def caption(found: AnalysedTable) -> str:
    """Return sentences on the scores and on the cells behind them."""
    cells, scores = found.cells, found.scores
    parts = [plural(cells[axis].nunique(), axis) for axis in SETTING]
    seeds = seeds_text(cells.groupby(SETTING)["seed"].nunique())
    family = int((scores["primary"] & scores["p_baseline"].notna()).sum())
    sentences = [
        f"{len(cells)} cells: {', '.join(parts)}, {seeds}.",
        f"Score: test error minus that of {found.baseline} with the same seed, in points, mean over"
        " log₂ of the achieved compression; negative is better.",
        _interval(scores),
        f"Equivalent: the whole interval lies inside ±{found.equivalence:g} points.",
        f"p: exact sign-flip test over independent units, Holm over {plural(family, 'method')}.",
    ]
    lost = int(scores["failed"].sum())
    if lost:
        sentences.append(
            f"{plural(lost, 'cell')} failed, diverged or collapsed: left out in pairs, and counted."
        )
    outside = scores.loc[~scores["primary"] & (scores["method"] != found.baseline), "method"]
    if len(outside):
        sentences.append(f"Outside that family, exploratory: {_list(outside)}.")
    holes = scores.loc[~scores["complete"], "method"]
    if len(holes):
        sentences.append(
            f"Cells are missing, so these are ranked on what they share: {_list(holes)}."
        )
    return " ".join(sentences)


def _interval(scores: pd.DataFrame) -> str:
    there = scores["low"].notna()
    if not there.any():
        return "No interval: one seed in a setting has no spread."
    over = " / ".join(sorted(set(scores.loc[there, "interval_over"])))
    return f"Interval of 95 % over {over}{', on these tasks' if over == SEEDS else ''}."


def _list(names: pd.Series) -> str:
    return ", ".join(map(str, names))


def lines(found: AnalysedTable) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the score table as texts, without empty columns."""
    scores = found.scores
    header, columns = [*HEADER], [*_columns(scores)]
    there = set(scores["method"])
    if found.reference in there and found.reference != found.baseline:
        header.append(f"against {found.reference}")
        columns.append(scores["against_reference"].tolist())
    if scores["p_tasks"].notna().any():
        header.append("over tasks (Wilcoxon)")
        columns.append(scores["against_tasks"].tolist())
    return header, [list(row) for row in zip(*columns, strict=True)]


def _columns(scores: pd.DataFrame) -> list[list[str]]:
    ends = zip(scores["low"], scores["high"], strict=True)
    return [
        scores["method"].tolist(),
        [number(value, 2, sign=True) for value in scores["score"]],
        [interval(low, high) for low, high in ends],
        scores["verdict"].tolist(),
        scores["against_baseline"].tolist(),
    ]


def text(found: AnalysedTable) -> str:
    """Return the score table for the terminal."""
    header, rows = lines(found)
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    sentences = caption(found).replace(". ", ".\n")
    return "\n".join([sentences, "", *shown])


def document(found: AnalysedTable) -> dict[str, Any]:
    """Return what JSON tells: all columns of the scores, an object a method; unknown is None."""
    rows: list[dict[str, Any]] = json.loads(found.scores.to_json(orient="records"))
    about = {
        "baseline": found.baseline, "reference": found.reference,
        "equivalence": found.equivalence, "caption": caption(found),
    }  # fmt: skip
    return {**about, "scores": rows}


def write(found: AnalysedTable, folder: Path) -> list[Path]:
    """Write scores.csv (all columns, full precision), scores.md and the forest plot.

    Args:
        found: the scored table.
        folder: where the files go.

    Returns:
        The paths that were written.
    """
    table = markup.PrintedTable(f"Scores against {found.baseline}", caption(found), *lines(found))
    texts = {
        "csv": found.scores.to_csv(index=False, lineterminator="\n"),
        "md": markup.markdown(table),
    }
    written = []
    for kind, content in texts.items():
        written.append(folder / f"{NAME}.{kind}")
        write_text(written[-1], content)
    judged = settings.Analysis(equivalence=found.equivalence)
    figure = figures.draw_forest(found.cells, found.baseline, judged)
    return written + figures.save(figure, folder, NAME)
