"""The hypothesis on the recovery: rewinding against going on from the trained weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.base import Judgement, hypothesis, summed
from prunebench.statistics.hypotheses.comparisons import (
    HIGHER,
    LOWER,
    Comparison,
    compared,
    evidence,
    joint,
    judged,
    largest_p,
)
from prunebench.statistics.hypotheses.paired_cells import NOISY, Lacking, Table, within
from prunebench.statistics.hypotheses.paired_methods import Pair, composed, paired_areas, partner
from prunebench.statistics.hypotheses.shape import noisy_settings
from prunebench.statistics.significance import holm, p_text, unable

REWINDING = ("weight-rewinding", "learning-rate-rewinding")
CONTINUING = "fine-tuning"
UNTRAINED = ("dense", "at-initialization")  # nothing trained to go on from


@hypothesis(
    7, "rewinding", "Rewinding and continuing from the trained weights differ in sign.",
    "recovery",
)  # fmt: skip
def rewinding(table: Table) -> Judgement:
    """The gains of methods that differ in their recovery alone, in noisy settings."""
    composed(table)
    family, settings = table.family, noisy_settings(table)
    pairs = _pairs(table, family)
    if not pairs:
        raise Lacking(
            "the records hold no two methods of one criterion, pattern and allocation, one with"
            " fine-tuning and one with rewinding, at least one of them of the family"
        )
    gains = within(table.gains, settings)
    found = [(pair, own) for pair in pairs if len(own := _gains(table, pair, gains)) == 2]
    if not found:
        raise Lacking("no noisy setting has validation errors of both methods of a pair")
    adjusted = holm(np.array([largest_p(own) for _, own in found]))
    alpha = table.analysis.alpha
    signs = [_opposite(own, p, alpha) for (_, own), p in zip(found, adjusted, strict=True)]
    rows = [
        replace(item, p=float(p), family=len(found), decision=_side(item, float(p), alpha))
        for (_, own), p in zip(found, adjusted, strict=True)
        for item in own
    ]
    beside = _beside(table, [pair for pair, _ in found], settings)
    parts = [
        _words(pair, own, float(p), len(found), table)
        for (pair, own), p in zip(found, adjusted, strict=True)
    ]
    for (pair, _), sign in zip(found, signs, strict=True):
        if sign:
            parts[[p for p, _ in found].index(pair)] += f": {sign}"
    sentence = (
        "With noisy labels the gains of rewinding and of fine-tuning the trained weights have"
        f" opposite signs, both shown, for {phrases.of(sum(map(bool, signs)), len(signs), 'pair')}"
        f" of methods. {phrases.listed(parts)}."
        f" Rewinding minus fine-tuning, integrated: {phrases.by_decision(beside, alpha)}."
    )
    return Judgement(summed([bool(sign) for sign in signs]), sentence, evidence([*rows, *beside]))


def _pairs(table: Table, family: tuple[str, ...]) -> list[Pair]:
    """For each rewinding method the nearest that goes on from the trained weights.

    Pairs of different schedules count only where there are no others.
    """
    made = table.made[~table.made["schedule"].isin(UNTRAINED)]
    rewound = made.index[made["recovery"].isin(REWINDING)]
    going_on = made.index[made["recovery"] == CONTINUING]
    must = ("criterion", "pattern", "allocation")
    found = []
    for method in rewound:
        others = [other for other in going_on if method in family or other in family]
        if pair := partner(table, method, others, must, ("schedule",)):
            found.append(pair)
    return [pair for pair in found if not pair.differs] or found


def _gains(table: Table, pair: Pair, gains: pd.DataFrame) -> list[Comparison]:
    """The gain of the rewinding method, then of the other, in the settings and seeds of both."""
    own = gains[gains["method"] == pair.method].dropna(subset=["gain"])
    other = gains[gains["method"] == pair.other].dropna(subset=["gain"])
    keys = ["task", "regime", "model", "seed"]
    made = []
    for rows, beside in ((own, other), (other, own)):
        shared = rows.merge(beside[keys], on=keys)
        if not shared.empty:
            margin = table.analysis.equivalence
            made += compared(shared, "gain", NOISY, "dense", "gain", margin)
    return [replace(item, note=pair.note(table.made)) for item in made]


def _opposite(own: list[Comparison], p: float, alpha: float) -> str:
    """Which of the two gains, the other loses; empty where that is not shown."""
    if joint(own, (HIGHER, LOWER), p, alpha):
        return "rewinding gains, fine-tuning loses"
    if joint(own, (LOWER, HIGHER), p, alpha):
        return "rewinding loses, fine-tuning gains"
    return ""


def _side(item: Comparison, p: float, alpha: float) -> str:
    return judged([replace(item, found=replace(item.found, p=p))], alpha)[0].decision


def _beside(table: Table, pairs: list[Pair], settings: pd.DataFrame) -> list[Comparison]:
    items = []
    for pair in pairs:
        values = within(paired_areas(table, pair.method, pair.other), settings)
        items += compared(
            values.assign(method=pair.method), "integrated gain minus that of fine-tuning", NOISY,
            pair.other, margin=table.analysis.equivalence,
        )  # fmt: skip
    return judged(items, table.analysis.alpha)


def _words(pair: Pair, own: list[Comparison], p: float, family: int, table: Table) -> str:
    rewound, going_on = own
    never = unable(rewound.found.seeds, family, "pairs", table.analysis.alpha)
    note = f"; {rewound.note}" if rewound.note else ""
    return (
        f"{pair.method} {phrases.number(rewound)}, {pair.other} {phrases.number(going_on)}"
        f" ({never or f'{phrases.seeds(own)}, {p_text(p)}'}{note})"
    )
