"""Compare dense and pruned networks twice, trained to the end and stopped on validation.

One training gives both states. What is left of pruning's gain when both sides are stopped by the
same rule is the gain that early stopping does not explain; their difference is the interaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import check_cells
from prunebench.statistics.counted_cells import choice_error
from prunebench.statistics.estimate import Estimate, estimate
from prunebench.statistics.label_scopes import has_noisy_labels, label_scopes, shared_draws
from prunebench.statistics.published_results import own
from prunebench.statistics.sample_error import COUNTED, FLIPS, sample_errors
from prunebench.statistics.significance import holm
from prunebench.statistics.training_outcomes import (
    PREFIX,
    column,
    failed_cells,
    why_not_trained_out,
)
from prunebench.storage.records import DENSE

TRAINED, STOPPED, INTERACTION = "trained", "stopped", "interaction"
EVERY = "all"  # stands for a task, regime or model where several are pooled
CORNERS = ("dense_trained", "pruned_trained", "dense_stopped", "pruned_stopped")
ESTIMATED = ("gain_trained", "gain_stopped", INTERACTION)
ENDS = ("", "_low", "_high", "_p")
COLUMNS = (
    "scope", *SETTING, "method", "sparsity", "compression_ratio", "stopped_sparsity",
    "stopped_compression_ratio", *(f"{name}{end}" for name in CORNERS for end in ENDS[:3]),
    *(f"{name}{end}" for name in ESTIMATED for end in ENDS),
    "trained_pairs", "stopped_pairs", "pairs", "seeds", "settings", "units",
    "trained_left_out", "trained_why", "stopped_left_out", "stopped_why",
)  # fmt: skip


@dataclass(frozen=True)
class State:
    """Which state of a training is looked at: the columns it stands in, and the cells that count.

    ``why`` tells per row why a cell does not count, in words; "" where it does.
    """

    name: str
    prefix: str
    why: Callable[[pd.DataFrame], pd.Series]


def _why_not_stopped(cells: pd.DataFrame) -> pd.Series:
    failed = failed_cells(cells)
    absent = column(cells, f"{PREFIX}test_error").isna()
    said = pd.Series("", cells.index, dtype=object).mask(absent, "without a stopped state")
    return said.mask(failed, "failed")


STATES = (State(TRAINED, "", why_not_trained_out), State(STOPPED, PREFIX, _why_not_stopped))


def two_by_two(
    cells: pd.DataFrame, methods: Sequence[str] | None = None, sparsity: float | None = None
) -> pd.DataFrame:
    """Return {dense, pruned} × {trained, stopped} for each method, with gains and interaction.

    A pair is a pruned cell and the dense baseline of its seed. In the column *trained* both must
    be trained out, in the column *stopped* both must have a stopped state; a pair of which one
    side failed counts in neither, whichever side it is. Without the columns ``training_outcome``
    and ``stopped_test_error`` nothing is derived: every finished cell counts as trained, and
    nothing as stopped.

    Each column has its own sparsity: the one with the lowest mean error on validation labels that
    carry the regime's noise (clean ones where no others were recorded) of the state in question,
    among those with the most pairs; ties go to the sparser.

    Args:
        cells: Checked cells; published results take no part.
        methods: The methods to compare with dense, a family of Holm's; default: all but dense.
        sparsity: A target sparsity in place of the chosen one, for all methods that have one.

    Returns:
        The columns COLUMNS, a row for each method in each setting, and in each *scope* of several
        settings (noisy labels, clean labels; settings weighted equally, axes that differ called
        ``all``). ``dense_…``, ``pruned_…``: mean test errors of the pairs, fractions, each with
        the ends of its own 95 % interval.
        ``gain_…``: their difference in points, positive where pruning is better, ``interaction``:
        the gain trained minus the gain stopped, over the seeds that have both. ``_low``,
        ``_high``: the 95 % interval; ``_p``: the sign-flip test, Holm over the methods of the row's
        scope. ``…_pairs``: how many; ``…_left_out``: cells of the method that make no pair, and
        ``…_why`` the reasons with their counts. ``compression_ratio``: what was achieved at the
        sparsity, the geometric mean over the pairs.

    Raises:
        PrunebenchError: ``check_cells`` refuses the table.
    """
    check_cells(cells)
    cells = own(cells).sort_values([*SETTING, "method", "seed", "sparsity"]).reset_index(drop=True)
    wanted = set(cells["method"]) - {DENSE} if methods is None else set(methods)
    paired = {state.name: _paired(cells, state, wanted) for state in STATES}
    values = _per_seed(paired, sparsity)
    shared = shared_draws(cells)
    rows = []
    for scope, settings in _scopes(cells).items():
        inside = values.merge(settings, on=SETTING)
        reasons = {
            name: _reasons(rows.merge(settings, on=SETTING)) for name, rows in paired.items()
        }
        found = [
            _row(scope, settings, str(method), own_rows, reasons, shared)
            for method, own_rows in inside.groupby("method", sort=True)
        ]
        rows += _adjusted(found)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def of_one_setting(table: pd.DataFrame) -> pd.Series:
    """Return per row of ``two_by_two`` whether its scope is one setting, and not several."""
    names = ["/".join(map(str, key)) for key in table[SETTING].itertuples(index=False)]
    return table["scope"] == pd.Series(names, table.index, dtype=object)


def seed_values(cells: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Return what ``two_by_two`` averages: a row per setting, method and seed.

    Args:
        cells: One's own checked cells.
        methods: The methods to compare with dense.

    Returns:
        SETTING, ``method``, ``seed``; ``sparsity_<state>``, ``ratio_<state>``, ``dense_<state>``,
        ``error_<state>`` (fractions), ``gain_<state>`` and ``sample_error_<state>`` (points) for
        *trained* and *stopped*; ``interaction`` and ``sample_error_interaction``.
    """
    return _per_seed({state.name: _paired(cells, state, set(methods)) for state in STATES}, None)


def _scopes(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return scopes of several settings, then each setting by itself, as frames of SETTING."""
    pooled = label_scopes(cells.assign(noisy=has_noisy_labels(cells)))
    found = {name: settings for name, settings in pooled.items() if len(settings) > 1}
    single = cells[SETTING].drop_duplicates()
    for place in range(len(single)):
        one = single.iloc[[place]]
        found["/".join(map(str, one.iloc[0]))] = one
    return found


def _paired(cells: pd.DataFrame, state: State, wanted: set[str]) -> pd.DataFrame:
    """Return the methods' cells with the baseline of their seed in one state.

    ``error``, ``dense``: test errors, NaN in cells that make no pair; ``why``: the reason.
    """
    rows = cells.assign(
        error=column(cells, f"{state.prefix}test_error"),
        choice=choice_error(cells, state.prefix),
        ratio=column(cells, "compression_ratio"),
        why=state.why(cells),
        **{name: column(cells, name) for name in COUNTED},
    )
    if state.prefix:  # the flips are those of the last state
        rows[list(FLIPS)] = np.nan
    kept = [*SETTING, "method", "seed", "sparsity", "ratio", "choice", "error", "why", *COUNTED]
    dense = rows.loc[rows["method"] == DENSE, [*SETTING, "seed", "error", "why"]]
    dense = dense.rename(columns={"error": "dense", "why": "why_dense"})
    found = rows.loc[rows["method"].isin(wanted), kept].merge(
        dense, on=[*SETTING, "seed"], how="left"
    )
    found["sparsity"] = found["sparsity"].astype(float).round(10)
    of_dense = found["why_dense"].fillna("not recorded")
    reason = found["why"].where(found["why"] != "", ("baseline " + of_dense).where(of_dense != ""))
    found["why"] = reason.fillna("")
    found.loc[found["why"] != "", ["error", "dense"]] = np.nan
    found["sample_error"] = sample_errors(
        found.rename(columns={"error": "test_error", "dense": "reference_error"})
    )
    return found.drop(columns=["why_dense", *COUNTED])


def _per_seed(paired: dict[str, pd.DataFrame], sparsity: float | None) -> pd.DataFrame:
    """Return a row per setting, method and seed with the values of both states at their sparsity.

    ``<value>_<state>`` for ``sparsity``, ``ratio``, ``dense``, ``error``, ``gain``,
    ``sample_error``; that of the interaction is at most the sum of both.
    """
    keys = [*SETTING, "method", "seed"]
    every = pd.concat([rows[keys] for rows in paired.values()]).drop_duplicates()
    for name, rows in paired.items():
        at = _chosen(rows) if sparsity is None else _at_sparsity(rows, sparsity)
        own_rows = rows.merge(at, on=[*SETTING, "method", "sparsity"]).dropna(subset=["error"])
        own_rows["gain"] = 100 * (own_rows["dense"] - own_rows["error"])
        values = own_rows[[*keys, "sparsity", "ratio", "dense", "error", "gain", "sample_error"]]
        renamed = {c: f"{c}_{name}" for c in values.columns if c not in keys}
        every = every.merge(values.rename(columns=renamed), on=keys, how="left")
    every[INTERACTION] = every[f"gain_{TRAINED}"] - every[f"gain_{STOPPED}"]
    errors = [every[f"sample_error_{name}"] for name in (TRAINED, STOPPED)]
    every[f"sample_error_{INTERACTION}"] = errors[0] + errors[1]
    return every.sort_values(keys, ignore_index=True)


def _chosen(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the sparsity of each setting and method that validation chooses."""
    by = [*SETTING, "method"]
    usable = rows.dropna(subset=["error", "choice"])
    means = usable.groupby([*by, "sparsity"])["choice"].agg(["mean", "size"]).reset_index()
    most = means.groupby(by)["size"].transform("max")
    means = means[means["size"] == most].assign(mean=lambda frame: frame["mean"].round(9))
    means = means.sort_values([*by, "mean", "sparsity"], ascending=[True] * 5 + [False])
    return means.groupby(by, sort=True).head(1)[[*by, "sparsity"]]


def _at_sparsity(rows: pd.DataFrame, sparsity: float) -> pd.DataFrame:
    """Return a sparsity for each setting and method; one that has sparsity 0 only stands there."""
    by = [*SETTING, "method"]
    flat = rows.groupby(by)["sparsity"].transform("max") == 0
    there = np.isclose(rows["sparsity"], sparsity)
    return rows.loc[flat | there, [*by, "sparsity"]].drop_duplicates()


def _reasons(rows: pd.DataFrame) -> dict[str, Counter[str]]:
    """Return why cells make no pair, counted, by method."""
    found: dict[str, Counter[str]] = {}
    left_out = rows[rows["why"] != ""]
    for method, why in zip(left_out["method"], left_out["why"], strict=True):
        found.setdefault(str(method), Counter())[why] += 1
    return found


def _row(
    scope: str, settings: pd.DataFrame, method: str, values: pd.DataFrame,
    reasons: dict[str, dict[str, Counter[str]]], shared: Collection[tuple[str, str]],
) -> dict[str, object]:  # fmt: skip
    found = {name: estimate(values, name, shared=shared) for name in ESTIMATED}
    row: dict[str, object] = {"scope": scope, "method": method}
    for axis in SETTING:
        names = settings[axis].unique()
        row[axis] = names[0] if len(names) == 1 else EVERY
    for name, prefix in ((TRAINED, ""), (STOPPED, PREFIX)):
        at = values[f"sparsity_{name}"].dropna().unique()
        row[f"{prefix}sparsity"] = at[0] if len(at) == 1 else np.nan
        ratios = np.log(values[f"ratio_{name}"].dropna())
        row[f"{prefix}compression_ratio"] = np.exp(ratios.mean()) if len(ratios) else np.nan
        for side, error in (("dense", "dense"), ("pruned", "error")):
            mean = estimate(values, f"{error}_{name}")
            row |= dict(_ends(f"{side}_{name}", mean)[:3])
        row[f"{name}_pairs"] = int(values[f"gain_{name}"].notna().sum())
        why = reasons[name].get(method, Counter())
        row[f"{name}_left_out"] = why.total()
        row[f"{name}_why"] = ", ".join(f"{why[reason]} {reason}" for reason in sorted(why))
    row["pairs"] = int(values[INTERACTION].notna().sum())
    row["seeds"] = max(each.seeds for each in found.values())
    row["units"] = max(each.units for each in found.values())
    row["settings"] = max(each.settings for each in found.values())
    return row | {key: value for name, each in found.items() for key, value in _ends(name, each)}


def _ends(name: str, found: Estimate) -> list[tuple[str, float]]:
    values = (found.value, found.low, found.high, found.p)
    return [(f"{name}{end}", value) for end, value in zip(ENDS, values, strict=True)]


def _adjusted(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Adjust the p-values of a scope's methods by Holm, each of the three numbers a family."""
    for name in ESTIMATED:
        raw = np.array([row[f"{name}_p"] for row in rows], dtype=float)
        for row, p in zip(rows, holm(raw), strict=True):
            row[f"{name}_p"] = float(p)
    return rows
