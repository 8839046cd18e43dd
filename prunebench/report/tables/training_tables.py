"""Tables of how trainings ended, and of dense and pruned networks, trained and stopped."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report import error_names
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.outcome_shares import (
    LEARNED,
    LOST,
    PLATEAU,
    UNKNOWN,
    outcome_shares,
)
from prunebench.statistics.published_results import own
from prunebench.statistics.recovery_lengths import all_lengths, compared, in_order, longest
from prunebench.statistics.training_outcomes import outcomes_recorded
from prunebench.statistics.two_by_two import INTERACTION, two_by_two
from prunebench.storage.files import write_text
from prunebench.storage.records import FAILED_TO_TRAIN, STOPPED, UNDER_TRAINED
from prunebench.text import markup
from prunebench.text.numbers import NONE, error_interval, interval, number, plural
from prunebench.text.safe_names import file_part

TWO_BY_TWO, OUTCOMES = "two-by-two", "training-outcomes"
CORNERS = {
    "dense_trained": "dense, trained", "pruned_trained": "pruned, trained",
    "gain_trained": "gain, trained", "dense_stopped": "dense, stopped",
    "pruned_stopped": "pruned, stopped", "gain_stopped": "gain, stopped",
    INTERACTION: "interaction",
}  # fmt: skip
CAPTION = (
    "test error in %, gains in points, each with its 95 % interval over seeds; trained: last"
    " states of trainings that came to their end, stopped: states at the lowest error on"
    " validation labels that carry the regime's noise; at the achieved compression that"
    " validation chooses in each; gain: dense minus pruned with the same seed; interaction: gain"
    " trained minus gain stopped; pairs: of both states"
)
ENDS = {
    LEARNED: "knows its labels", PLATEAU: "on a plateau", UNDER_TRAINED: "under-trained",
    FAILED_TO_TRAIN: "failed to train", LOST: "lost", STOPPED: "stopped", UNKNOWN: "not known",
}  # fmt: skip


def write(
    cells: pd.DataFrame, folder: Path, analysis: Analysis, highlight: Sequence[str] = ()
) -> list[Path]:
    """Write two-by-two and training-outcomes, as .csv, .md and .tex, where the records have them.

    Args:
        cells: the records.
        folder: where the files go.
        analysis: how the records are judged; its primary methods are those compared.
        highlight: the methods whose names are in bold, at every length of recovery.

    Returns:
        The paths that were written.
    """
    made = {}
    pairs = both_lengths(cells, analysis, highlight)
    if len(pairs):
        made[TWO_BY_TWO] = (pairs, two_by_two_tables(pairs))
    if outcomes_recorded(cells):
        shares = outcome_shares(cells)
        made[OUTCOMES] = (shares, outcome_tables(shares))
    written = []
    for name, (tidy, shown) in made.items():
        text = tidy.to_csv(index=False, lineterminator="\n")
        shown = markup.emphasised(shown, all_lengths(cells, highlight))
        for file, content in ({f"{name}.csv": text} | markup.files(name, shown)).items():
            written.append(folder / file)
            write_text(written[-1], error_names.named(content, cells))
    return written


def both_lengths(
    cells: pd.DataFrame, analysis: Analysis, highlight: Sequence[str] = ()
) -> pd.DataFrame:
    """Return ``two_by_two`` of the compared methods, of their longest forms, and of others.

    Each group is a family of its own for Holm: the declared methods are adjusted as if nothing
    else had been looked at.

    Args:
        cells: the records.
        analysis: how the records are judged; its primary methods are those compared.
        highlight: methods that are looked at as well, at their longest.
    """
    declared = compared(cells, analysis.primary)
    longer = [name for name in longest(cells, declared) if name not in declared]
    pruned = set(own(cells).loc[own(cells)["sparsity"] > 0, "method"])
    mine = longest(cells, highlight) if highlight else []
    beside = [name for name in mine if name in pruned and name not in (*declared, *longer)]
    tables = [two_by_two(cells, group) for group in (declared, longer, beside) if group]
    if not tables:
        return two_by_two(cells, [])
    found = pd.concat(tables, ignore_index=True)
    scopes = {scope: i for i, scope in enumerate(found["scope"].unique())}
    places = {name: i for i, name in enumerate(in_order(cells, {*declared, *longer, *beside}))}
    order = pd.DataFrame({"a": found["scope"].map(scopes), "b": found["method"].map(places)})
    return found.loc[order.sort_values(["a", "b"]).index].reset_index(drop=True)


def place(scope: str) -> str:
    """Return the name of a scope of ``two_by_two`` as readers see it."""
    return " · ".join(scope.split("/"))


def two_by_two_tables(pairs: pd.DataFrame) -> list[markup.PrintedTable]:
    """Return a table for each scope of ``two_by_two``: a row a method."""
    columns = there(pairs)
    return [
        markup.PrintedTable(
            title=f"Dense and pruned, trained and stopped: {place(str(scope))}",
            caption=CAPTION,
            header=["method", *(CORNERS[name] for name in columns), "pairs"],
            rows=[
                [str(row["method"]), *(corner(row, name) for name in columns), pairs_of(row)]
                for row in rows.to_dict("records")
            ],
            label=f"{TWO_BY_TWO}-{file_part(str(scope).replace('/', '-'))}",
        )
        for scope, rows in pairs.groupby("scope", sort=False)
    ]


def there(pairs: pd.DataFrame) -> list[str]:
    """Return those of CORNERS that any row has a value of."""
    return [name for name in CORNERS if pairs[name].notna().any()]


def corner(row: dict[Hashable, Any], name: str) -> str:
    """Return a number of a row of ``two_by_two`` with its interval, and the compression."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if pd.isna(value):
        return NONE
    error = name.startswith(("dense", "pruned"))
    if error:
        shown = number(100 * value, 1)
        ends = f" {error_interval(low, high)}" if pd.notna(low) else ""
    else:
        shown = number(value, 1, sign=True)
        ends = f" {interval(low, high, 1)}" if pd.notna(low) else ""
    state = name.rpartition("_")[2]
    if not ends:  # nothing says how far another draw would lie
        ends = f" ({plural(row['pairs' if name == INTERACTION else f'{state}_pairs'], 'pair')})"
    prefix = "stopped_" if name.endswith("stopped") else ""
    ratio = row[f"{prefix}compression_ratio"]
    at = f" at {ratio:.3g}×" if name.startswith("pruned") and pd.notna(ratio) else ""
    return f"{shown}{ends}{at}"


def pairs_of(row: dict[Hashable, Any]) -> str:
    """Return the number of pairs trained and stopped; one number where there are no others."""
    trained, stopped = row["trained_pairs"], row["stopped_pairs"]
    return str(trained) if trained == stopped or not stopped else f"{trained}, {stopped}"


def outcome_tables(shares: pd.DataFrame) -> list[markup.PrintedTable]:
    """Return a table for each setting: how many trainings of each method ended how."""
    kinds = [kind for kind in ENDS if shares[kind].sum()]
    return [
        markup.PrintedTable(
            title=f"How trainings ended: {' / '.join(map(str, setting))}",
            caption="cells over seeds and sparsities; on a plateau: trained out with more than 1 %"
            " training error; failed: failed to train or lost (diverged, collapsed), with the"
            " exact 95 % interval of the share",
            header=["method", "cells", *(ENDS[kind] for kind in kinds), "failed (%)"],
            rows=[
                [str(row["method"]), str(row["cells"]), *(str(row[kind]) for kind in kinds),
                 failed_share(row)]
                for row in rows.to_dict("records")
            ],
            long=True,
            label=f"{OUTCOMES}-{'-'.join(file_part(str(part)) for part in setting)}",
        )
        for setting, rows in shares.groupby(SETTING, sort=True)
    ]  # fmt: skip


def failed_share(row: dict[Hashable, Any]) -> str:
    """Return the share of cells that failed, in per cent, with its exact interval."""
    low, high = (100 * row[f"failed_{end}"] for end in ("low", "high"))
    return f"{number(100 * row['failed'], 1)} {interval(low, high, 1, sign=False)}"
