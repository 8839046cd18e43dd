"""Find the phases of an error curve: where it rises, is lowest, and from where on it collapses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.statistics.bootstrap import Floats, t_quantile
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.hypotheses.paired_cells import PairedCells, balanced, pair_cells
from prunebench.storage.records import DENSE

PHASES = ("rise", "fall", "collapse")
MARGIN = 0.5  # points


def phases(cells: pd.DataFrame, margin: float = MARGIN) -> pd.DataFrame:
    """Find the phases that are shown of every curve, for figures.

    Seeds with an under-trained baseline take no part.

    Args:
        cells: As ``read_cells`` returns them.
        margin: How far below dense the minimum must be, in points.

    Returns:
        One row per setting and method: ``maximum``, ``minimum``, ``collapse`` are sparsities, NaN
        where the phase is not shown (see ``curve_phases``).

    Raises:
        PrunebenchError: ``check_cells`` refuses the table.
    """
    found = curve_phases(pair_cells(cells, Analysis(equivalence=margin)))
    marks = {"rise": "maximum", "fall": "minimum", "collapse": "collapse"}
    result = found[[*SETTING, "method"]].copy()
    for phase, mark in marks.items():
        result[mark] = found[f"{phase}_at"].where(found[f"{phase}_shown"].astype(bool))
    return result


def curve_phases(table: PairedCells, methods: tuple[str, ...] | None = None) -> pd.DataFrame:
    """Find the phases of each pruned curve that has validation errors.

    Places are looked for in the mean validation error and read on test: the minimum is its lowest
    point (ties: the sparser), the local maximum its highest before that (ties: the denser). Points
    with fewer seeds than the others take no part.

    Args:
        table: The cells.
        methods: Default: all.

    Returns:
        One row per setting and method. ``<phase>`` is a mean over seeds in points, ``<phase>_low``,
        ``_high`` its 95 % interval (Student's t), ``_at`` the sparsity. ``rise``: test error at the
        local maximum minus dense's; ``fall``: that at the minimum; ``collapse``: test error at the
        largest sparsity minus that at the minimum. ``_shown``: the interval lies above 0, below
        −``equivalence`` (far below dense), above 0. ``collapse_at`` is the first sparsity from
        which on every interval above the minimum lies above 0.
    """
    by, equivalence = [*SETTING, "method"], table.analysis.equivalence
    rows = [
        {**dict(zip(by, key, strict=True)), **_phases_of(val, gap, equivalence)}
        for key, val, gap in _pivoted(table, methods)
    ]
    numbers = [f"{phase}{end}" for phase in PHASES for end in ("", "_low", "_high", "_at")]
    flags = [f"{phase}_shown" for phase in PHASES]
    return pd.DataFrame(rows, columns=[*by, "seeds", *numbers, *flags])


def phases_per_seed(table: PairedCells, methods: tuple[str, ...]) -> pd.DataFrame:
    """Return ``rise``, ``fall`` and ``collapse`` of each seed at the places of ``curve_phases``.

    In points; 0 where a curve has no place for a phase: no point before, or after, its minimum.
    """
    found = []
    for key, val, gap in _pivoted(table, methods):
        top, low, last = _places(val)
        values = gap.to_numpy(float)
        zero = np.zeros(len(gap))
        made = {
            "seed": gap.index,
            "rise": zero if top is None else values[:, top],
            "fall": values[:, low],
            "collapse": zero if last is None else values[:, last] - values[:, low],
        }
        frame = pd.DataFrame(made)
        found.append(frame.assign(**dict(zip([*SETTING, "method"], key, strict=True))))
    empty = pd.DataFrame(columns=[*SETTING, "method", "seed", *PHASES])
    return pd.concat(found, ignore_index=True) if found else empty


Curve = tuple[tuple[str, ...], pd.DataFrame, pd.DataFrame]


def _pivoted(table: PairedCells, methods: tuple[str, ...] | None) -> list[Curve]:
    """Return validation error and test difference of each curve, seeds × sparsities, no holes."""
    rows = table.rows[(table.rows["method"] != DENSE) & (table.rows["sparsity"] > 0)]
    rows = balanced(rows if methods is None else rows[rows["method"].isin(methods)])
    made = []
    for key, group in rows.groupby([*SETTING, "method"], sort=True):
        wide = group.pivot(index="seed", columns="sparsity", values=["choice_error", "difference"])
        wide = wide.astype(float)
        val, gap = pd.DataFrame(wide["choice_error"]), pd.DataFrame(wide["difference"])
        whole = ~np.isnan(val.to_numpy() + gap.to_numpy()).any(axis=0)
        if whole.any():
            made.append((tuple(map(str, key)), val.loc[:, whole], gap.loc[:, whole]))
    return made


def _places(val: pd.DataFrame) -> tuple[int | None, int, int | None]:
    """Return the columns of the local maximum, the minimum and the end; None if there is none."""
    means = val.to_numpy(float).mean(axis=0).round(9)
    low = len(means) - 1 - int(np.argmin(means[::-1]))
    top = int(np.argmax(means[:low])) if low else None
    return top, low, len(means) - 1 if low < len(means) - 1 else None


def _phases_of(val: pd.DataFrame, gap: pd.DataFrame, equivalence: float) -> dict[str, float | bool]:
    """Return the columns of ``curve_phases`` for one curve."""
    top, low, last = _places(val)
    values, sparsities = gap.to_numpy(float), gap.columns.to_numpy(float)
    above = values - values[:, [low]]
    read: dict[str, float | bool] = {"seeds": len(gap)}
    for phase, at, points in (
        ("rise", top, values), ("fall", low, values), ("collapse", last, above),
    ):  # fmt: skip
        mean, start, end = (np.nan,) * 3 if at is None else mean_interval(points[:, at])
        read |= {phase: mean, f"{phase}_low": start, f"{phase}_high": end}
        read[f"{phase}_at"] = np.nan if at is None else sparsities[at]
        read[f"{phase}_shown"] = bool(end < -equivalence if phase == "fall" else start > 0)
    if read["collapse_shown"]:
        clear = np.array(
            [mean_interval(above[:, k])[1] > 0 for k in range(low + 1, above.shape[1])]
        )
        first = len(clear) - int(np.argmin(clear[::-1])) if not clear.all() else 0
        read["collapse_at"] = sparsities[low + 1 + first]
    return read


def mean_interval(values: Floats) -> tuple[float, float, float]:
    """Return the mean and the ends of its 95 % interval by Student's t; NaN ends with one value."""
    n = len(values)
    if n < 2:
        return float(values.mean()), np.nan, np.nan
    half = float(t_quantile(np.array(n - 1.0))) * float(values.std(ddof=1)) / np.sqrt(n)
    mean = float(values.mean())
    return mean, mean - half, mean + half
