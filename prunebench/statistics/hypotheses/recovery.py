"""Judge whether rewinding and fine-tuning the trained weights differ in the sign of their gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from prunebench.statistics.estimate import HIGHER, LOWER, decide
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.comparisons import (
    Comparison,
    all_shown,
    judge_family,
    largest_p,
)
from prunebench.statistics.hypotheses.curve_shape import noisy_settings
from prunebench.statistics.hypotheses.judgements import Judgement, hypothesis, verdict_for_all
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells, in_settings
from prunebench.statistics.hypotheses.paired_methods import (
    Pair,
    nearest_partner,
    paired_areas,
    require_parts,
)
from prunebench.statistics.label_scopes import NOISY
from prunebench.statistics.significance import holm, p_text, unable

REWINDING = ("weight-rewinding", "learning-rate-rewinding")
CONTINUING = "fine-tuning"
UNTRAINED = ("dense", "at-initialization")  # nothing trained to go on from


@hypothesis(
    7, "rewinding", "Rewinding and continuing from the trained weights differ in sign.",
    "recovery",
)  # fmt: skip
def rewinding(table: PairedCells) -> Judgement:
    """Compare the gains of methods that differ in their recovery alone, in noisy settings."""
    require_parts(table)
    family, settings = table.family, noisy_settings(table)
    pairs = _pairs(table, family)
    if not pairs:
        raise MissingRecords(
            "the records hold no two methods of one criterion, pattern and allocation, one with"
            " fine-tuning and one with rewinding, at least one of them of the family"
        )
    gains = in_settings(table.gains, settings)
    found = [(pair, own) for pair in pairs if len(own := _gains(table, pair, gains)) == 2]
    if not found:
        raise MissingRecords("no noisy setting has validation errors of both methods of a pair")
    adjusted = holm(np.array([largest_p(own) for _, own in found]))
    alpha = table.analysis.alpha
    signs = [_opposite(own, p, alpha) for (_, own), p in zip(found, adjusted, strict=True)]
    rows = [
        replace(
            item, p=float(p), family=len(found),
            decision=decide(item.found, item.margin, float(p), alpha),
        )
        for (_, own), p in zip(found, adjusted, strict=True)
        for item in own
    ]  # fmt: skip
    beside = _beside(table, [pair for pair, _ in found], settings)
    parts = [
        _words(pair, own, float(p), len(found), table) + (f": {sign}" if sign else "")
        for (pair, own), p, sign in zip(found, adjusted, signs, strict=True)
    ]
    sentence = (
        "With noisy labels the gains of rewinding and of fine-tuning the trained weights have"
        f" opposite signs, both shown, for {phrases.of(sum(map(bool, signs)), len(signs), 'pair')}"
        f" of methods. {phrases.listed(parts)}."
        f" Rewinding minus fine-tuning, integrated: {phrases.by_decision(beside, alpha)}."
    )
    return Judgement(verdict_for_all([bool(sign) for sign in signs]), sentence, [*rows, *beside])


def _pairs(table: PairedCells, family: tuple[str, ...]) -> list[Pair]:
    """Pair each rewinding method with the nearest that fine-tunes the trained weights.

    Pairs of different schedules count only where there are no others.
    """
    parts = table.parts[~table.parts["schedule"].isin(UNTRAINED)]
    rewound = parts.index[parts["recovery"].isin(REWINDING)]
    going_on = parts.index[parts["recovery"] == CONTINUING]
    must = ("criterion", "pattern", "allocation")
    found = []
    for method in rewound:
        others = [other for other in going_on if method in family or other in family]
        if pair := nearest_partner(table, method, others, must, ("schedule",)):
            found.append(pair)
    return [pair for pair in found if not pair.differs] or found


def _gains(table: PairedCells, pair: Pair, gains: pd.DataFrame) -> list[Comparison]:
    """Estimate the gain of the rewinding method, then of the other, where both have seeds."""
    own = gains[gains["method"] == pair.method].dropna(subset=["gain"])
    other = gains[gains["method"] == pair.other].dropna(subset=["gain"])
    keys = ["task", "regime", "model", "seed"]
    made = []
    for rows, beside in ((own, other), (other, own)):
        shared = rows.merge(beside[keys], on=keys)
        if not shared.empty:
            margin = table.analysis.equivalence
            made += table.compare(shared, "gain", NOISY, "dense", "gain", margin)
    return [replace(item, note=pair.note(table.parts)) for item in made]


def _opposite(own: list[Comparison], p: float, alpha: float) -> str:
    """Return which of the two gains while the other loses; empty where that is not shown."""
    if all_shown(own, (HIGHER, LOWER), p, alpha):
        return "rewinding gains, fine-tuning loses"
    if all_shown(own, (LOWER, HIGHER), p, alpha):
        return "rewinding loses, fine-tuning gains"
    return ""


def _beside(table: PairedCells, pairs: list[Pair], settings: pd.DataFrame) -> list[Comparison]:
    items = []
    for pair in pairs:
        values = in_settings(paired_areas(table, pair.method, pair.other), settings)
        items += table.compare(
            values.assign(method=pair.method), "integrated gain minus that of fine-tuning", NOISY,
            pair.other, margin=table.analysis.equivalence,
        )  # fmt: skip
    return judge_family(items, table.analysis.alpha)


def _words(pair: Pair, own: list[Comparison], p: float, family: int, table: PairedCells) -> str:
    rewound, going_on = own
    never = unable(rewound.found.units, family, "pairs", table.analysis.alpha, rewound.found.unit)
    note = f"; {rewound.note}" if rewound.note else ""
    return (
        f"{pair.method} {phrases.number(rewound)}, {pair.other} {phrases.number(going_on)}"
        f" ({never or f'{phrases.seeds(own)}, {p_text(p)}'}{note})"
    )
