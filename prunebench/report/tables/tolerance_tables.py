"""Tables of the largest sparsity within the tolerance, by method and setting."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report import error_names
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.tolerance import UNRESOLVED
from prunebench.statistics.tolerance_table import tolerance_table
from prunebench.storage.files import write_text
from prunebench.text import markup
from prunebench.text.numbers import NONE, number, percent
from prunebench.text.safe_names import file_part

NAME = "tolerance"
HEADER = [
    "method", "shown (%)", "bound (points)", "test rise (points)", "where it ended",
    "samples needed", "by bisection (%)", "its test rise (points)",
]  # fmt: skip


def write(cells: pd.DataFrame, folder: Path, analysis: Analysis) -> list[Path]:
    """Write tolerance.csv, .md and .tex, where the records say which validation samples changed.

    Args:
        cells: the records.
        folder: where the files go.
        analysis: how the records are judged.

    Returns:
        The paths that were written.
    """
    found = tolerance_table(cells, analysis.tolerance, analysis.alpha)
    if found.empty:
        return []
    texts = {f"{NAME}.csv": found.to_csv(index=False, lineterminator="\n")}
    texts |= markup.files(NAME, tables(found))
    for name, text in texts.items():
        write_text(folder / name, error_names.named(text, cells))
    return [folder / name for name in texts]


def tables(found: pd.DataFrame) -> list[markup.PrintedTable]:
    """Return a table for each setting of ``tolerance_table``: a row a method, over its seeds."""
    return [
        markup.PrintedTable(
            title=f"Largest sparsity within the tolerance: {' / '.join(map(str, setting))}",
            caption=_caption(rows),
            header=HEADER,
            rows=[_row(str(method), each) for method, each in rows.groupby("method", sort=True)],
            label=f"{NAME}-{'-'.join(file_part(str(part)) for part in setting)}",
        )
        for setting, rows in found.groupby(SETTING, sort=True)
    ]


def _caption(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    noisy = ", with the regime's noise" if first["noisy_labels"] else ""
    return (
        f"validation error at most {first['tolerance']:g} points above dense with confidence"
        f" {percent(1 - first['alpha'])} each, shown from low to high sparsity on"
        f" {first['val_samples']:.0f} validation labels{noisy}; from the lowest to the highest over"
        " seeds, 0: dense alone; bound: the largest upper bound of the rise; test rise: mean, on"
        " clean labels; samples needed: to show the next sparsity, median of what is unresolved;"
        " bisection takes validation errors as they look"
    )


def _row(method: str, seeds: pd.DataFrame) -> list[str]:
    ends = Counter(seeds["ended"])
    needed = seeds.loc[seeds["ended"] == UNRESOLVED, "samples_needed"].astype(float)
    # no number of samples is larger than any
    middle = needed.fillna(float("inf")).quantile(0.5, interpolation="higher")
    return [
        method,
        _range(seeds["sparsity"]),
        number(seeds["val_bound"].max(), 1),
        number(seeds["test_rise"].mean(), 1, sign=True),
        ", ".join(f"{count} {what}" for what, count in sorted(ends.items())),
        f"{middle:,.0f}" if len(needed) and middle < float("inf") else NONE,
        _range(seeds["bisected_sparsity"]),
        number(seeds["bisected_test_rise"].mean(), 1, sign=True),
    ]


def _range(sparsities: pd.Series) -> str:
    low, high = (f"{100 * value:.4g}" for value in (sparsities.min(), sparsities.max()))
    return low if low == high else f"{low}–{high}"
