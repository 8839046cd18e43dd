"""Judge whether the gain grows with more label noise and with fewer training samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import HIGHER, LOWER, UNRESOLVED
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.comparisons import (
    Comparison,
    judge_family,
)
from prunebench.statistics.hypotheses.correlation import slope
from prunebench.statistics.hypotheses.judgements import Judgement, hypothesis, verdict_for_all
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells
from prunebench.statistics.label_scopes import CLEAN, NOISY

REGIME = ("label_noise", "noise", "train_samples", "augmentation", "width")
UNITS = {  # one step of each axis: a tenth of the labels, half the samples
    "label_noise": lambda rates: 10 * rates,
    "train_samples": lambda counts: -np.log2(counts),
}
MEASURES = {
    "label_noise": "gain per 10 percentage points of label noise",
    "train_samples": "gain per halving of the training set",
}
CLAIMS = {"label_noise": "with the noise rate", "train_samples": "with fewer training samples"}


@hypothesis(
    9, "noise-and-size", "The gain grows with the noise rate and with fewer training samples.",
    "gain-noise-size",
)  # fmt: skip
def noise_and_size(table: PairedCells) -> Judgement:
    """Estimate slopes of the gain within a seed, over regimes that are equal in everything else."""
    family = table.family
    gains = table.gains[table.gains["method"].isin(family)]
    rows: list[Comparison] = []
    said: list[str] = []
    hold: list[bool] = []
    falls: list[bool] = []
    for axis, measure in MEASURES.items():
        scopes = _judged_slopes(table, gains, axis, measure)
        rows += [item for items in scopes.values() for item in items]
        if not scopes:
            said.append(f"Not tested {CLAIMS[axis]}: no regimes differ in {axis} alone.")
            continue
        # the gain is that with noisy labels, where there are any
        scope, items = next(iter(scopes.items()))
        items = [item for item in items if item.measure == measure]
        each = [item.decision == HIGHER for item in items]
        hold.append(all(each))
        falls.append(bool(items) and all(item.decision == LOWER for item in items))
        where = f", {scope}" if axis == "train_samples" else ""
        said.append(
            f"The gain grows {CLAIMS[axis]} for {phrases.of(sum(each), len(each))} ({measure}"
            f"{where}, {phrases.seeds(items)}). {phrases.by_decision(items, table.analysis.alpha)}."
        )
    if not hold:
        raise MissingRecords(
            "no regimes differ in their noise rate alone, or in their number of training samples"
            " alone (columns label_noise, train_samples)"
        )
    verdict = UNRESOLVED  # a claim about both stands on both
    if len(hold) == len(MEASURES):
        verdict = verdict_for_all(hold, opposite=falls)
    return Judgement(verdict, " ".join(said), rows)


def _judged_slopes(
    table: PairedCells, gains: pd.DataFrame, axis: str, measure: str
) -> dict[str, list[Comparison]]:
    """Judge slopes by scope: noise rates together, training-set sizes by noisy and clean labels."""
    values, found = slopes(table, gains, axis), {}
    for scope, rows in values.groupby("scope", sort=False):
        items = []
        for column, prefix in (("value", ""), ("integrated", "integrated ")):
            made = table.compare(rows, f"{prefix}{measure}", str(scope), "", column)
            items += judge_family(made, table.analysis.alpha)
        if any(item.measure == measure for item in items):
            found[str(scope)] = items
    return {scope: found[scope] for scope in sorted(found, key=[*ORDER].index)}


ORDER = ("noise rates", NOISY, CLEAN)


def slopes(table: PairedCells, gains: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Return the slope of the gain over one axis for each method and seed.

    Only regimes that are equal in noise, samples, augmentation and width but for the axis are
    compared; each such set is one setting, named in ``regime``.

    Args:
        table: The cells.
        gains: Of ``table``, those of some methods.
        axis: A key of UNITS.

    Returns:
        SETTING, ``scope``, ``method``, ``seed``, ``value`` and ``integrated`` (of the integrated
        gain), in points per unit of UNITS; NaN for a seed that lacks one of the regimes.
    """
    known = regimes(table).dropna(subset=[axis])
    found = []
    for setting, scope, members in _sets(known, axis):
        group = gains.merge(members[[*SETTING, axis]], on=SETTING)
        group["at"] = UNITS[axis](group[axis])
        for (method, seed), own in group.groupby(["method", "seed"], sort=True):
            at = own["at"].to_numpy(float)
            whole = set(own["regime"]) == set(members["regime"])
            found.append(
                {
                    **setting, "scope": scope, "method": method, "seed": seed,
                    **{
                        name: slope(at, own[column].to_numpy(float)) if whole else np.nan
                        for name, column in (("value", "gain"), ("integrated", "integrated"))
                    },
                }
            )  # fmt: skip
    columns = [*SETTING, "scope", "method", "seed", "value", "integrated"]
    return pd.DataFrame(found, columns=columns)


def regimes(table: PairedCells) -> pd.DataFrame:
    """Return the regime of each setting as its baselines record it: SETTING and REGIME."""
    rows = table.dense.reindex(columns=[*SETTING, *REGIME])
    for column in ("noise", "augmentation", "width"):
        rows[column] = rows[column].astype(object).where(rows[column].notna(), "").astype(str)
    rows.loc[rows["label_noise"] == 0, "noise"] = ""  # no labels to flip in any way
    return rows.groupby(SETTING, sort=True).first().reset_index()


def _sets(known: pd.DataFrame, axis: str) -> Iterator[tuple[dict[str, str], str, pd.DataFrame]]:
    """Yield sets of settings that differ in ``axis`` alone: common name, scope, and settings."""
    if axis == "label_noise":
        shared, kinds = ["train_samples", "augmentation", "width"], sorted(set(known["noise"]))
    else:
        shared, kinds = ["label_noise", "noise", "augmentation", "width"], [""]
    for (task, model, *same), members in known.groupby(
        ["task", "model", *shared], sort=True, dropna=False
    ):
        for kind in kinds:
            own = members
            if axis == "label_noise":  # every kind of noise starts at no noise
                own = members[(members["label_noise"] == 0) | (members["noise"] == kind)]
            if own[axis].nunique() < 2 or len(own) != own[axis].nunique():
                continue
            named = ", ".join(f"{c} {v}" for c, v in zip(shared, same, strict=True) if v != "")
            label = f"{named}, noise {kind}" if kind else named
            scope = ORDER[0]
            if axis == "train_samples":
                scope = NOISY if (own["label_noise"] > 0).all() else CLEAN
            yield {"task": str(task), "regime": label, "model": str(model)}, scope, own
