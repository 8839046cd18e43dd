"""What readers must know of trainings that did not finish or failed, as sentences."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.label_scopes import has_noisy_labels
from prunebench.statistics.training_outcomes import PREFIX, column, exact_interval, outcomes
from prunebench.storage.records import DENSE, FAILED_TO_TRAIN, UNDER_TRAINED
from prunebench.text.numbers import first_few, interval, number, plural

ACCEPTED = 0.01  # share of failed trainings from which on the settings are in doubt


def sentences(cells: pd.DataFrame) -> Iterator[str]:
    """Yield the warnings that follow from the column ``training_outcome``, the gravest first."""
    how = outcomes(cells)
    dense = cells[(cells["method"] == DENSE) & how.isin([UNDER_TRAINED, FAILED_TO_TRAIN])]
    if len(dense):
        yield (
            f"{plural(len(dense), 'dense baseline')} {'is' if len(dense) == 1 else 'are'}"
            f" under-trained or failed to train ({_seeds(dense)}):"
            f" {'this seed takes' if len(dense) == 1 else 'these seeds take'} no part where dense"
            " and pruned are compared trained."
        )
    yield from _failed(cells)
    yield from _under_trained_cells(cells)
    noisy = column(cells, "memorized").notna()
    if noisy.any() and column(cells, f"{PREFIX}test_error").isna().all():
        yield (
            "No states were kept at which early stopping would have ended the trainings: whether a"
            " gain under wrong labels is more than early stopping, these records do not say."
        )


def _failed(cells: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence on trainings that failed: how many, of which methods."""
    failed = cells[outcomes(cells) == FAILED_TO_TRAIN]
    if failed.empty:
        return
    judged = int((outcomes(cells) != "").sum())
    share = len(failed) / judged
    low, high = (100 * end for end in exact_interval(len(failed), judged))
    ends = interval(low, high, 1, sign=False)
    said = (
        f"{len(failed)} of {judged} trainings failed, {number(100 * share, 1)} %"
        f" {ends} ({_methods(failed)}): networks that had the weights to learn their"
        " labels and ended far from them. That is no result about pruning; they are left out in"
        " pairs."
    )
    doubt = " Above 1 % the settings of training are themselves in doubt."
    yield said + (doubt if share > ACCEPTED else "")


def _under_trained_cells(cells: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence on cells whose training had not come to its end."""
    late = cells[outcomes(cells) == UNDER_TRAINED]
    if late.empty:
        return
    noisy = (has_noisy_labels(cells) == True).any()  # noqa: E712 - objects, with None
    looks = " Under wrong labels such a network looks as if it generalized;" if noisy else ""
    yield (
        f"{len(late)} of {len(cells)} cells are under-trained ({_methods(late)}): their training"
        f" loss still fell when training ended{';' if not noisy else '.'}{looks} a gain there may"
        " be one of training too short."
    )


def _methods(cells: pd.DataFrame) -> str:
    """Return the methods with their numbers of cells, the most first."""
    counts = cells.groupby("method").size().reset_index(name="n")
    counts = counts.sort_values(["n", "method"], ascending=[False, True])
    return first_few([f"{name}: {n}" for name, n in counts.itertuples(index=False)])


def _seeds(cells: pd.DataFrame) -> str:
    found = [
        f"{' · '.join(map(str, place))} seed{'s' if len(own) > 1 else ''}"
        f" {', '.join(str(int(seed)) for seed in sorted(own['seed']))}"
        for place, own in cells.groupby(SETTING, sort=True)
    ]
    return first_few(found)
