"""Judge pruning against controls without it: training longer, stopping early, smaller models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.estimate import EQUIVALENT, HIGHER, LOWER, UNRESOLVED
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.comparisons import (
    Comparison,
    judge_family,
    largest_p,
)
from prunebench.statistics.hypotheses.judgements import Judgement, hypothesis, verdict_of
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells, in_settings
from prunebench.statistics.hypotheses.paired_methods import paired_areas, require_parts
from prunebench.statistics.label_scopes import ALL, CLEAN, NOISY
from prunebench.statistics.significance import holm, p_text

EPOCH = 0.5  # epochs: means over cells of a grid are not whole numbers
ADVANTAGE = "gain minus that of the control"
BEST = "the best of them on validation"
SIMPLE = ("early-stopping", "tuned-weight-decay", "small-dense")
WORDS = {NOISY: "With noisy labels", CLEAN: "With clean labels", ALL: "Over all settings"}


def controls_of(table: PairedCells, kinds: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the methods of each kind of control that the records hold.

    Raises:
        MissingRecords: They hold none of these kinds.
    """
    require_parts(table)
    found = {kind: names for kind in kinds if (names := table.controls_of_kind(kind))}
    if not found:
        raise MissingRecords(f"the records hold no control of the kind {' or '.join(kinds)}")
    return found


@hypothesis(
    4, "equal-budget",
    "The gain exceeds training the dense model as long (equal epochs).", "controls",
)  # fmt: skip
def equal_budget(table: PairedCells) -> Judgement:
    """Compare the gain, per seed, with that of dense-long; in noisy settings, if there are any.

    Each method is compared with the control of the fewest epochs that are at least its own.
    """
    family, controls = table.family, controls_of(table, ("dense-long",))
    as_long = _as_long(table, family, controls["dense-long"])
    if not as_long:
        raise MissingRecords(
            "no dense model was trained for as many epochs as a method of the family"
            " (column train_epochs)"
        )
    rows: list[Comparison] = []
    said: list[str] = []
    verdicts = []
    for scope, settings in table.scopes().items():
        items: list[Comparison] = []
        beside: list[Comparison] = []
        for control, methods in as_long.items():
            own, others = _against(table, methods, [control], scope, settings)
            items, beside = [*items, *own], [*beside, *others]
        items = judge_family(items, table.analysis.alpha)
        rows += [*items, *beside]
        if not items:
            continue
        hold = [item.decision == HIGHER for item in items]
        verdicts.append(verdict_of([item.decision for item in items]))
        against = phrases.names(sorted({item.against for item in items}))
        what = f" the gain exceeds that of training the dense model as long ({against})"
        said.append(
            f"{WORDS[scope]}{what if len(verdicts) == 1 else ''} for"
            f" {phrases.of(sum(hold), len(hold))} ({phrases.seeds(items)})."
            f" {phrases.by_decision(items, table.analysis.alpha)}."
        )
    if not said:
        raise MissingRecords(
            "no setting has a method of the family and the control with the same seeds"
        )
    short = [name for name in family if not any(name in own for own in as_long.values())]
    verdict = verdicts[0]
    if short:
        said.append(f"No dense model was trained as long as {phrases.names(short)}.")
        verdict = UNRESOLVED  # a claim about every method stands on every one
    return Judgement(verdict, " ".join(said), rows)


def _as_long(
    table: PairedCells, family: tuple[str, ...], controls: list[str]
) -> dict[str, tuple[str, ...]]:
    """Return the methods that each control is trained at least as long as.

    Epochs are means over cells; where they were not recorded the first control stands for all.
    """
    epochs = table.rows.groupby("method")["train_epochs"].mean()
    found: dict[str, list[str]] = {}
    for method in family:
        needed = epochs.get(method, np.nan)
        spent = [(epochs.get(name, np.nan), name) for name in controls]
        enough = [(each, name) for each, name in spent if each >= needed - EPOCH]
        if np.isnan(needed) or all(np.isnan(each) for each, _ in spent):
            found.setdefault(controls[0], []).append(method)
        elif enough:
            found.setdefault(min(enough)[1], []).append(method)
    return {control: tuple(found[control]) for control in sorted(found)}


@hypothesis(
    5, "simple-controls",
    "The gain exceeds early stopping, weight decay, and a small dense model, each at its best.",
    "controls",
)  # fmt: skip
def simple_controls(table: PairedCells) -> Judgement:
    """Compare the gain, per seed, with that of each control, and of the best on validation."""
    family, controls = table.family, controls_of(table, SIMPLE)
    rows: list[Comparison] = []
    said: list[str] = []
    verdicts = []
    for scope, settings in table.scopes().items():
        items = []
        for kind, names in controls.items():
            own, beside = _against(table, family, names, scope, settings, kind)
            items += own
            rows += [*own, *beside]
        best = [name for names in controls.values() for name in names]
        if len(controls) > 1:
            own, _ = _against(table, family, best, scope, settings, BEST)
            items += own
            rows += own
        if not items:
            continue
        claims = _claims(items, {item.against for item in items}, table.analysis.alpha)
        verdicts.append(verdict_of([claim.decision for claim in claims]))
        rows += claims
        if len(verdicts) == 1:
            said.append(_simple_words(scope, items, claims, table.analysis.alpha))
        else:
            said.append(f"{WORDS[scope]}: for {_count(claims)} (see the evidence).")
    if not said:
        raise MissingRecords(
            "no setting has a method of the family and a control with the same seeds"
        )
    missing = [kind for kind in SIMPLE if kind not in controls]
    verdict = verdicts[0]
    if missing:
        said.append(f"Not compared, since the records lack it: {', '.join(missing)}.")
        verdict = UNRESOLVED  # a claim about all three stands on all three
    return Judgement(verdict, " ".join(said), rows)


def _count(claims: list[Comparison]) -> str:
    hold = [claim.method for claim in claims if claim.decision == HIGHER]
    for_whom = f": {phrases.names(hold)}" if hold and len(hold) < len(claims) else ""
    return f"{phrases.of(len(hold), len(claims))}{for_whom}"


def _simple_words(
    scope: str, items: list[Comparison], claims: list[Comparison], alpha: float
) -> str:
    each = []
    for against in dict.fromkeys(item.against for item in items):
        own = [item for item in items if item.against == against]
        above = [item.decision == HIGHER for item in own]
        text = phrases.by_decision(own, alpha)
        each.append(f"Against {against}: for {phrases.of(sum(above), len(above))}. {text}.")
    return (
        f"{WORDS[scope]} the gain exceeds every one of these controls for {_count(claims)}"
        f" ({phrases.seeds(items)}). {' '.join(each)}"
    )


def _claims(items: list[Comparison], wanted: set[str], alpha: float) -> list[Comparison]:
    """Return for each method the claim that it exceeds every control: its weakest comparison.

    An intersection–union test: the largest p of a method's comparisons, Holm over methods.
    A method that lacks a comparison makes no claim and is left unresolved.
    """
    made = []
    for method in sorted({item.method for item in items}):
        own = [item for item in items if item.method == method]
        weakest = min(own, key=lambda item: (item.found.value, item.against))
        p = largest_p(own) if {item.against for item in own} == wanted else np.nan
        found = replace(weakest.found, p=p)
        note = f"the smallest advantage, over {weakest.against}; {p_text(p)} before Holm"
        made.append((replace(weakest, against="all of them", found=found, note=note), own))
    adjusted = holm(np.array([claim.found.p for claim, _ in made]))
    claims = []
    for (claim, own), p in zip(made, adjusted, strict=True):
        known = not np.isnan(p)
        decision = UNRESOLVED
        if known and p <= alpha and all(item.found.low > 0 for item in own):
            decision = HIGHER
        elif known and all(item.decision == EQUIVALENT for item in own):
            decision = EQUIVALENT
        elif any(item.decision == LOWER for item in own):
            decision = LOWER  # one control that does better refutes the claim
        claims.append(replace(claim, p=float(p), family=len(made), decision=decision))
    return claims


def _against(
    table: PairedCells, family: tuple[str, ...], controls: list[str], scope: str,
    settings: pd.DataFrame, name: str = "",
) -> tuple[list[Comparison], list[Comparison]]:  # fmt: skip
    """Return the advantage of each method over a control, a Holm family; and other views of it."""
    alpha, margin = table.analysis.alpha, table.analysis.equivalence
    values = in_settings(advantage(table, family, controls), settings)
    against = name or phrases.names(controls)
    items = judge_family(table.compare(values, ADVANTAGE, scope, against, "value", margin), alpha)
    beside = []
    if name != BEST:
        for measure, column in (
            ("the same, seed left out of the choice of sparsity", "left_out"),
            ("integrated gain minus that of the control", "integrated"),
        ):
            made = table.compare(values, measure, scope, against, column, margin)
            beside += judge_family(made, alpha)
    return items, beside


def advantage(table: PairedCells, methods: tuple[str, ...], controls: list[str]) -> pd.DataFrame:
    """Return by how many points the gain of each method exceeds that of a control.

    Args:
        table: The cells.
        methods: Those to compare.
        controls: Of several the one with the lowest mean validation error in a setting counts
            (ties: the first by name).

    Returns:
        One row per setting, method and seed. ``value``: at the sparsity that validation chose for
        the method, and for the control too, if it has a choice. ``left_out``, of dense controls
        alone, and ``integrated`` as in ``PairedCells.gains``.
    """
    keys = [*SETTING, "method", "seed"]
    gains = table.gains[table.gains["method"].isin(methods)].dropna(subset=["gain"])
    cells = table.rows_of(controls)[
        [*keys, "sparsity", "difference", "choice_error", "sample_error"]
    ]
    dense = cells["method"].isin(table.parts.index[table.parts["schedule"] == "dense"])
    cells = cells.assign(dense=dense).rename(columns={"method": "control", "sparsity": "at"})
    pairs = gains.merge(cells, on=[*SETTING, "seed"], suffixes=("", "_control"))
    # the two may err on other samples each: at most the sum of both
    pairs["sample_error"] += pairs.pop("sample_error_control")
    group = [*SETTING, "method", "control", "at"]
    means = pairs.groupby(group, sort=True)["choice_error"].mean().round(9).reset_index()
    best = means.sort_values("choice_error", kind="stable").groupby(group[:-2], sort=True).head(1)
    found = pairs.merge(best[group], on=group)
    found["value"] = found["gain"] + found["difference"]
    found["left_out"] = (found["gain_left_out"] + found["difference"]).where(found["dense"])
    # a dense control stands at every sparsity; another at those that both have
    level = found["integrated"] + found["difference"]
    found["integrated"] = level.where(found["dense"], _areas(table, found[~found["dense"]]))
    return found[[*keys, "sparsity", "value", "left_out", "integrated", "sample_error"]]


def _areas(table: PairedCells, found: pd.DataFrame) -> pd.Series:
    """Return the integrated advantage of each row's method, indexed like ``found``."""
    keys = [*SETTING, "seed", "method", "control"]
    made = [
        paired_areas(table, method, control).assign(method=method, control=control)
        for method, control in found[["method", "control"]].drop_duplicates().to_numpy()
    ]
    if not made:
        return pd.Series(dtype=float)
    areas = pd.concat(made).set_index(keys)["value"]
    return found[keys].join(areas, on=keys)["value"]
