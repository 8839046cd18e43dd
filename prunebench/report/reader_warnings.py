"""Warnings that a reader must know before believing a report or a leaderboard, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from prunebench.experiment.reachable_p import smallest_p, units_needed
from prunebench.report import outcome_warnings, slower_networks
from prunebench.report.tables import compression_tables
from prunebench.statistics import under_trained
from prunebench.statistics.cells_table import flags
from prunebench.statistics.label_scopes import independent_units
from prunebench.statistics.published_results import own
from prunebench.statistics.training_outcomes import outcomes, outcomes_recorded
from prunebench.storage.records import FAILED_TO_TRAIN, OK, UNDER_TRAINED
from prunebench.text.numbers import percent, plural

if TYPE_CHECKING:
    from prunebench.report.report_inputs import ReportInputs

DRAWN_FROM = 0.05  # the share of a mask that is a draw, from which on a reader is told
# what should be the same for all records -> its column
MACHINE = {
    "Commit": "commit", "Device": "device", "Threads": "threads", "Python": "python_version",
    "PyTorch": "torch_version", "torchvision": "torchvision_version", "timm": "timm_version",
}  # fmt: skip


def of_report(inputs: ReportInputs) -> list[str]:
    """Return the warnings of a report, the gravest first."""
    sources = (_settings, _seeds, _cells, _origin)
    return [sentence for source in sources for sentence in source(inputs)]


def of_leaderboard(
    cells: pd.DataFrame, rows: list[dict[str, Any]], times: pd.DataFrame | None = None
) -> list[str]:
    """Return what a reader of the leaderboard's ``rows`` must know before believing them.

    Args:
        cells: the records.
        rows: of the leaderboard.
        times: the rows of latency.csv; None where nothing was timed.
    """
    found = []
    cells = own(cells)
    units, seeds = independent_units(cells), cells["seed"].nunique()
    mine = [row for row in rows if not row["published"]]
    if any("cannot be significant" in str(row["against_baseline"]) for row in mine):
        found.append(
            f"With {_units(units, seeds)} no difference can be significant: the"
            f" smallest two-sided p of the test is {smallest_p(units):.3g},"
            " before correction for the number of methods."
        )
    found += [*_trainings(cells), *_lost_cells(cells), *_drawn(cells)]
    found += slower_networks.sentences(times, cells)
    found += _incomplete([str(row["method"]) for row in mine if row["missing"]])
    sources = sorted({str(row["published"]) for row in rows if row["published"]})
    if sources:
        found.append(
            f"Published, not re-run, and not ranked: {', '.join(sources)}. Each is compared with"
            " the dense results of its own source, on the sparsities that it reports."
        )
    return found


def counts(cells: pd.DataFrame) -> dict[str, int]:
    """Return how many cells there are, how many of each bad status, and of each bad outcome."""
    if not outcomes_recorded(cells):
        late = {UNDER_TRAINED: int(under_trained(cells).sum())}
    else:
        how = outcomes(own(cells))
        late = {name: int((how == name).sum()) for name in (UNDER_TRAINED, FAILED_TO_TRAIN)}
    return {"cells": len(cells), **_bad(cells), **late}


def _bad(cells: pd.DataFrame) -> dict[str, int]:
    found = cells.loc[cells["status"] != OK, "status"].value_counts()
    return {str(status): int(count) for status, count in sorted(found.items())}


def _trainings(cells: pd.DataFrame) -> list[str]:
    """Return sentences on trainings that failed or did not come to their end."""
    if outcomes_recorded(cells):
        return list(outcome_warnings.sentences(cells))
    return _under_trained_baselines(cells)


def _under_trained_baselines(cells: pd.DataFrame) -> list[str]:
    """Return a sentence on cells whose dense baseline was under-trained."""
    found = cells[under_trained(cells)]
    if found.empty:
        return []
    where = ", ".join(sorted(set(found["regime"] + " · " + found["model"])))
    return [
        f"{len(found)} cells are under-trained ({where}): their dense baseline was not trained to"
        " interpolation, so gains there may be spurious."
    ]


def _lost_cells(cells: pd.DataFrame) -> list[str]:
    """Return a sentence on cells that failed, diverged or collapsed."""
    bad = ", ".join(f"{count} {status}" for status, count in _bad(cells).items())
    if not bad:
        return []
    return [
        f"Of {len(cells)} cells, {bad}: they leave every comparison, with what they would be"
        " paired with, and are counted."
    ]


def _drawn(cells: pd.DataFrame) -> list[str]:
    """Return a sentence on cells whose mask is in part a draw among equal scores."""
    if "tied_share" not in cells.columns:
        return []
    shares = pd.to_numeric(cells["tied_share"], errors="coerce")
    found = cells[shares > DRAWN_FROM]
    if found.empty:
        return []
    return [
        f"In {plural(len(found), 'cell')} of {', '.join(sorted(set(found['method'])))} more than"
        f" {percent(DRAWN_FROM)} of the weights kept, up to {percent(shares.max())}, were drawn"
        " among equal scores (tied_share): to that extent the criterion chose at random."
    ]


def _incomplete(methods: Sequence[str]) -> list[str]:
    """Return a sentence on the methods of which cells are missing."""
    if not methods:
        return []
    return [f"Ranked on the cells that they share, since some are missing: {', '.join(methods)}."]


def power(inputs: ReportInputs) -> str:
    """Return sentences on the smallest p that these independent units can reach."""
    size = max(1, int(inputs.scores["primary"].sum()))
    units, alpha = inputs.units, inputs.analysis.alpha
    least = min(1.0, smallest_p(units) * size)
    said = f"With {_units(units, inputs.seeds)} the smallest two-sided p is {smallest_p(units):.3g}"
    said += f", and {least:.3g} after Holm over {size} methods. " if size > 1 else ". "
    if least <= alpha:
        return f"{said}Differences can be significant at the level {alpha:g}."
    return (
        f"{said}No difference of this family can be significant at the level {alpha:g};"
        f" at least {-(-units_needed(size, alpha) * inputs.seeds // units)} seeds are needed."
    )


def _units(units: int, seeds: int) -> str:
    return plural(units, "seed" if units == seeds else "independent unit")


def differing(cells: pd.DataFrame) -> list[str]:
    """Return the names of what differs between records: commit, device, threads, versions."""
    return [
        name
        for name, column in MACHINE.items()
        if column in cells.columns and cells[column].nunique() > 1
    ]


def dirty(cells: pd.DataFrame) -> int:
    """Return how many cells were computed in a checkout that differed from its commit."""
    return int(flags(cells["dirty"]).fillna(False).sum()) if "dirty" in cells.columns else 0


def _mixed_precisions(cells: pd.DataFrame) -> int:
    """Return of how many baselines networks were trained in several precisions."""
    if "precision" not in cells.columns:
        return 0
    kinds = cells.groupby(["task", "regime", "model", "seed"])["precision"].nunique()
    return int((kinds > 1).sum())


def _settings(inputs: ReportInputs) -> Iterator[str]:
    analysis = inputs.analysis
    if inputs.experiment is None:
        yield (
            f"The run's own settings are not known ({inputs.unread}): the region of practical"
            f" equivalence, ±{analysis.equivalence:g} points, and the level of significance,"
            f" {analysis.alpha:g}, are defaults that the run did not declare."
        )
    if inputs.table.absent:
        yield f"Declared as candidates but not recorded: {', '.join(inputs.table.absent)}."


def _seeds(inputs: ReportInputs) -> Iterator[str]:
    size = max(1, int(inputs.scores["primary"].sum()))
    if smallest_p(inputs.units) * size > inputs.analysis.alpha:
        yield power(inputs)
    if inputs.seeds == 1:
        yield "With a single seed there are no intervals: nothing is known of the spread."


def _cells(inputs: ReportInputs) -> Iterator[str]:
    yield from _trainings(inputs.cells)
    yield from _lost_cells(inputs.cells)
    yield from _drawn(inputs.cells)
    yield from slower_networks.sentences(
        compression_tables.read(inputs.layout.latency_csv), inputs.cells
    )
    scores = inputs.scores
    missing = scores.loc[~scores["complete"], "method"]
    yield from _incomplete([str(method) for method in missing])


def _origin(inputs: ReportInputs) -> Iterator[str]:
    if names := differing(inputs.cells):
        yield f"Not all records were made alike. They differ in: {', '.join(names)}."
    if count := _mixed_precisions(inputs.cells):
        yield (
            f"Of {plural(count, 'baseline')} some networks were trained in float32 and others in"
            " bfloat16: what tells them apart may be rounding."
        )
    if count := dirty(inputs.cells):
        yield (
            f"{count} of {len(inputs.cells)} cells were computed in a checkout that differed"
            " from its commit: the commit alone does not repeat them."
        )
