"""Judge whether rewinding the weights and continuing from the trained ones differ."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from prunebench.statistics.estimate import EQUIVALENT, HIGHER, LOWER
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.comparisons import Comparison, judge_family
from prunebench.statistics.hypotheses.judgements import Judgement, hypothesis, verdict_for_all
from prunebench.statistics.hypotheses.paired_cells import (
    MissingRecords,
    PairedCells,
    in_settings,
)
from prunebench.statistics.hypotheses.paired_methods import (
    Pair,
    nearest_partner,
    paired_areas,
    require_parts,
)
from prunebench.statistics.label_scopes import NOISY

REWINDING = ("weight-rewinding", "learning-rate-rewinding")
CONTINUING = "fine-tuning"
WEIGHTS, RATE = REWINDING
UNTRAINED = ("dense", "at-initialization")  # nothing trained to go on from
MORE = "integrated gain of rewinding the weights minus that of continuing"
ALIKE = ("criterion", "pattern", "allocation", "recovery_length")


@hypothesis(
    7, "rewinding",
    "Rewinding and continuing from the trained weights differ, at equal length and rate.",
    "recovery",
)  # fmt: skip
def rewinding(table: PairedCells) -> Judgement:
    """Compare going back to early weights with keeping the trained ones, in noisy settings.

    Both are trained again for the same length. Learning-rate rewinding keeps the weights under the
    same learning rates as weight rewinding; fine-tuning has rates of its own, and stands beside.
    """
    require_parts(table)
    settings = table.settings_with(NOISY)
    alike = [pair for pair in _pairs(table, RATE) if not pair.differs]
    unlike = [pair for pair in _pairs(table, RATE) if pair.differs]
    items = _compared(table, alike, settings)
    beside = _compared(table, [*unlike, *_pairs(table, CONTINUING)], settings)
    if not items:
        raise MissingRecords(
            "the records hold no two methods of one criterion, pattern, allocation, schedule and"
            " length of recovery, one with weight rewinding and one with learning-rate rewinding,"
            " at least one of them of the family, in a noisy setting",
            beside,
        )
    alpha = table.analysis.alpha
    differ = [item.decision in (HIGHER, LOWER) for item in items]
    same = [item.decision == EQUIVALENT for item in items]
    sentence = (
        "With noisy labels, at equal length and learning rates, rewinding the weights and"
        " continuing from the trained ones differ for"
        f" {phrases.of(sum(differ), len(differ), 'pair')} of methods ({phrases.seeds(items)})."
        f" Rewinding minus continuing: {phrases.by_decision(items, alpha, labels=_labels(items))}."
    )
    if beside:
        said = phrases.by_decision(beside, alpha, labels=_labels(beside))
        sentence += f" Beside the verdict, since schedules or learning rates differ: {said}."
    return Judgement(verdict_for_all(differ, same), sentence, [*items, *beside])


def _pairs(table: PairedCells, continuing: str) -> list[Pair]:
    """Pair each method that rewinds weights with the nearest that continues from trained ones.

    Pairs of different schedules count only where there are no others.
    """
    family = table.family
    parts = table.parts[~table.parts["schedule"].isin(UNTRAINED)]
    rewound = parts.index[parts["recovery"] == WEIGHTS]
    going_on = parts.index[parts["recovery"] == continuing]
    found = []
    for method in rewound:
        others = [other for other in going_on if method in family or other in family]
        if pair := nearest_partner(table, method, others, ALIKE, ("schedule",)):
            found.append(pair)
    return [pair for pair in found if not pair.differs] or found


def _compared(table: PairedCells, pairs: list[Pair], settings: pd.DataFrame) -> list[Comparison]:
    items = []
    for pair in pairs:
        values = in_settings(paired_areas(table, pair.method, pair.other), settings)
        made = table.compare(
            values.assign(method=pair.method), MORE, NOISY, pair.other,
            margin=table.analysis.equivalence,
        )  # fmt: skip
        items += [replace(item, note=pair.note(table.parts)) for item in made]
    return judge_family(items, table.analysis.alpha)


def _labels(items: list[Comparison]) -> list[str]:
    return [
        f"{item.method} against {item.against}" + (f" ({item.note})" if item.note else "")
        for item in items
    ]
