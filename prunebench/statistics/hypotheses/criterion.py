"""Judge whether the criterion matters: against random and against shuffled masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import EQUIVALENT, HIGHER, LOWER
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.comparisons import (
    Comparison,
    judge_family,
)
from prunebench.statistics.hypotheses.judgements import (
    UNTESTED,
    Judgement,
    hypothesis,
    verdict_for_all,
)
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells, in_settings
from prunebench.statistics.hypotheses.paired_methods import (
    Pair,
    nearest_partner,
    paired_areas,
    require_parts,
)
from prunebench.statistics.label_scopes import ALL

CHOSEN = "gain minus that of the control, each at its chosen sparsity"
LESS = "integrated gain minus that of the control"
FAIR = (
    "schedule",
    "recovery",
    "recovery_length",
)  # must be alike, that the criterion alone makes the difference


@hypothesis(
    6, "criterion",
    "The criterion matters: against random and shuffled masks, where neither side is at chance.",
    "criterion",
)  # fmt: skip
def criterion(table: PairedCells) -> Judgement:
    """Compare the error with that of random and of shuffled masks, at the sparsities of both."""
    require_parts(table)
    family, alpha = table.family, table.analysis.alpha
    pairs = list(_pairs(table, family))
    if not pairs:
        raise MissingRecords(
            "the records hold no control with a random criterion or a shuffled allocation and the"
            " pattern of a method of the family, at a sparsity that both have"
        )
    fair, unfair = _split(table, pairs, ALL, None)
    beside = []
    for scope, settings in table.scopes().items():
        if scope != ALL:
            beside += [item for items in _split(table, pairs, scope, settings) for item in items]
    own = _own_sparsity(table, [pair for pair, _ in pairs if not pair.differs])
    said = f"{_own_words(own, alpha)}{_unfair_words(unfair, alpha)}"
    rows = [*fair, *unfair, *own, *beside]
    if not fair:
        text = "Not tested: no control shares its schedule and its recovery with a method."
        return Judgement(UNTESTED, f"{text}{said}", rows)
    kinds = {kind for _, kind in pairs}
    above = [item.decision == HIGHER for item in fair]
    same = [item.decision == EQUIVALENT for item in fair]
    below = [_label(item) for item in fair if item.decision == LOWER]
    against = [_label(item) for item in fair]
    sentence = (
        f"Integrated over the sparsities at which neither side is at chance, the chosen weights do"
        f" better than random"
        f" or shuffled ones in {phrases.of(sum(above), len(above), 'comparison')}"
        f" ({phrases.seeds(fair)}; noisy and clean settings weighted equally)."
        f" {phrases.by_decision(fair, alpha, labels=against)}."
        + (f" The criterion harms: {phrases.names(below)}." if below else "")
        + f"{_kinds_missing(kinds)}{said}"
    )
    hold = above if len(kinds) == 2 else [False]  # a claim about both stands on both
    worse = [item.decision == LOWER for item in fair]
    return Judgement(verdict_for_all(hold, same, worse), sentence, rows)


def _label(item: Comparison) -> str:
    return f"{item.method} against {item.against}"


def _pairs(table: PairedCells, family: tuple[str, ...]) -> Iterator[tuple[Pair, str]]:
    """Yield each method with its random and with its shuffled control, and the kind of control."""
    random, shuffled = table.controls_of_kind("random"), table.controls_of_kind("shuffled")
    for method in family:
        if method in random or method in shuffled:
            continue
        for alike in table.parts.loc[random].groupby("allocation", dropna=False).groups.values():
            if pair := nearest_partner(table, method, list(alike), ("pattern",), FAIR):
                yield pair, "random"
        if pair := nearest_partner(table, method, shuffled, ("pattern", "criterion"), FAIR):
            yield pair, "shuffled"


def _split(
    table: PairedCells, pairs: list[tuple[Pair, str]], scope: str, settings: pd.DataFrame | None
) -> tuple[list[Comparison], list[Comparison]]:
    """Compare the fair pairs, one family, and those that differ in more parts, another."""
    made: tuple[list[Comparison], list[Comparison]] = ([], [])
    for pair, _ in pairs:
        values = paired_areas(table, pair.method, pair.other, above_chance=True)
        values = values.assign(method=pair.method)
        values = values if settings is None else in_settings(values, settings)
        note, margin = pair.note(table.parts), table.analysis.equivalence
        items = table.compare(values, LESS, scope, pair.other, margin=margin)
        made[bool(pair.differs)].extend(replace(item, note=note) for item in items)
    alpha = table.analysis.alpha
    return judge_family(made[0], alpha), judge_family(made[1], alpha)


def _own_sparsity(table: PairedCells, pairs: list[Pair]) -> list[Comparison]:
    """Compare the gains of fair pairs, each method at the sparsity that validation chooses for it.

    Random masks fail first, so the integral stands on sparsities that nobody would choose.
    """
    scope, settings = next(iter(table.scopes().items()))
    keys, items = [*SETTING, "seed"], []
    for pair in pairs:
        gains = {
            name: table.gains[table.gains["method"] == name] for name in (pair.method, pair.other)
        }
        values = in_settings(gains[pair.method], settings).merge(
            gains[pair.other][[*keys, "gain", "sample_error"]], on=keys, suffixes=("", "_other")
        )
        values["sample_error"] += values["sample_error_other"]  # at most
        values["value"] = values["gain"] - values["gain_other"]
        margin = table.analysis.equivalence
        items += table.compare(
            values.drop(columns="sparsity"), CHOSEN, scope, pair.other, margin=margin
        )
    return judge_family(items, table.analysis.alpha)


def _own_words(items: list[Comparison], alpha: float) -> str:
    if not items:
        return ""
    said = phrases.by_decision(items, alpha, labels=[_label(item) for item in items])
    return (
        f" The gain minus that of the control, each at its own sparsity chosen on validation"
        f" ({items[0].scope}): {said[0].lower()}{said[1:]}."
    )


def _kinds_missing(kinds: set[str]) -> str:
    missing = [kind for kind in ("random", "shuffled") if kind not in kinds]
    return f" No {missing[0]} masks were recorded to compare with." if missing else ""


def _unfair_words(items: list[Comparison], alpha: float) -> str:
    if not items:
        return ""
    labels = [f"{_label(item)} ({item.note})" for item in items]
    said = phrases.by_decision(items, alpha, labels=labels)
    return (
        f" Beside the verdict, since more than the criterion differs: {said[0].lower()}{said[1:]}."
    )
