"""All ten together: always there, honest about what is lacking, and blind to what is unrelated."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunebench.experiment.settings import Analysis
from prunebench.statistics import estimate
from prunebench.statistics.hypotheses import (
    EVIDENCE,
    SHOWN,
    UNTESTED,
    VERDICTS,
    Finding,
    comparisons,
    curve_shape,
    findings,
)
from tests.statistics.hypotheses.planted import (
    CLEAN,
    METHODS,
    NOISY,
    PARTS,
    Plan,
    Regime,
    cells,
    descent,
    none,
)

FIGURES = [
    "forest", "error-compression", "memorized-recovered", "controls", "controls", "criterion",
    "recovery", "harm", "gain-noise-size", "predictors", "two-by-two",
]  # fmt: skip
REGIMES = (Regime("clean"), Regime("noisy-20", 0.2), Regime("noisy-40", 0.4))


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = partial(estimate, draws=200)
    monkeypatch.setattr(comparisons, "estimate", quick)
    monkeypatch.setattr(curve_shape, "estimate", quick)


def same(one: list[Finding], other: list[Finding]) -> None:
    for a, b in zip(one, other, strict=True):
        assert (a.number, a.verdict, a.sentence) == (b.number, b.verdict, b.sentence)
        pd.testing.assert_frame_equal(a.evidence, b.evidence)


@pytest.mark.parametrize("seeds", [1, 3])
def test_all_are_always_there(seeds: int) -> None:
    found = findings(cells(Plan(dict.fromkeys(METHODS, none), seeds=seeds)), Analysis())
    assert [each.number for each in found] == [*range(1, 12)]
    assert [each.figure for each in found] == FIGURES
    for each in found:
        assert [*each.evidence.columns] == [*EVIDENCE]
        assert each.verdict in VERDICTS
        assert each.sentence.endswith((".", "spurious."))
        assert "nan" not in each.sentence.lower().replace("nand", "")
        assert (each.verdict == UNTESTED) == each.sentence.startswith("Not tested")


@pytest.mark.parametrize("seeds", [3])
def test_few_seeds_show_nothing(seeds: int) -> None:
    plan = Plan(dict.fromkeys(METHODS, descent), regimes=REGIMES, seeds=seeds)
    for each in findings(cells(plan), Analysis()):
        assert each.verdict != SHOWN, each.sentence
        assert (
            not each.evidence.loc[each.evidence["note"] == "", "decision"]
            .isin(["higher", "lower"])
            .any()
        )


@pytest.mark.parametrize(
    "columns",
    [
        PARTS, (*PARTS, "control"), ("memorized",), ("label_noise",),
        ("label_noise", "memorized"), ("val_error",), ("train_samples",),
    ],
)  # fmt: skip
def test_missing_columns_are_told_not_guessed(columns: tuple[str, ...]) -> None:
    few = dict.fromkeys(("magnitude", "rewind", "at-random", "long", "stopped"), none)
    table = cells(Plan(few, seeds=2)).drop(columns=[*columns])
    found = {each.number: each for each in findings(table, Analysis(primary=["rewind"]))}
    assert len(found) == 11
    needs = {
        "criterion": (4, 5, 6, 7), "memorized": (3,), "val_error": (1, 2, 3, 4, 5, 7, 9),
    }  # fmt: skip
    for number in needs.get(columns[0], ()):
        assert found[number].verdict == UNTESTED, found[number].sentence
    if columns == ("label_noise", "memorized"):
        for number in (1, 2, 3, 7):
            assert found[number].verdict == UNTESTED, found[number].sentence
            assert "do not say" in found[number].sentence


def test_clean_records_alone_test_nothing_about_noise() -> None:
    table = cells(Plan(dict.fromkeys(METHODS, none), regimes=REGIMES[:1], seeds=2))
    found = {each.number: each for each in findings(table, Analysis())}
    for number in (2, 3, 7):
        assert "no regime has noisy labels" in found[number].sentence


def test_only_under_trained_baselines_are_named() -> None:
    late = Regime("late", 0.4, memorized_all=False)
    table = cells(Plan(dict.fromkeys(METHODS, descent), regimes=(REGIMES[0], late), seeds=2))
    found = {each.number: each for each in findings(table, Analysis())}
    for number in (2, 3, 7):
        assert "under-trained (t/late/m seeds 0, 1)" in found[number].sentence
    assert "Left out as under-trained: t/late/m seeds 0, 1" in found[4].sentence
    assert "under-trained" not in found[1].sentence


def test_without_baselines_nothing_is_tested() -> None:
    table = cells(Plan({"rewind": none}, seeds=2))
    lost = table["method"] == "dense"
    table.loc[lost, ["status", "test_error"]] = ["failed", np.nan]
    assert {each.verdict for each in findings(table, Analysis())} == {UNTESTED}


TRUTHS = dict.fromkeys(("magnitude", "at-random", "mixed", "narrow", "long"), none)
BASE = cells(Plan(TRUTHS | {"rewind": descent}, regimes=REGIMES[::2], seeds=2))
FAMILY = Analysis(primary=["magnitude", "rewind"])


@cache
def _of_base() -> list[Finding]:
    return findings(BASE, FAMILY)


@settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_row_order_and_unrelated_methods_change_nothing(random: object, extra: int) -> None:
    order = [*range(len(BASE))]
    random.shuffle(order)  # type: ignore[attr-defined]
    own = BASE[BASE["method"] == "rewind"]
    foreign = [
        own.assign(method=f"other-{i}", criterion="other", pattern="block", test_error=0.01 * i)
        for i in range(extra)
    ]
    changed = pd.concat([BASE.iloc[order], *foreign], ignore_index=True)
    same(_of_base(), findings(changed, FAMILY))


def test_the_table_is_left_as_it_was() -> None:
    before = BASE.copy(deep=True)
    findings(BASE, FAMILY)
    pd.testing.assert_frame_equal(BASE, before)


@pytest.mark.parametrize(
    ("regimes", "late", "said"),
    [
        # without a noisy regime nothing is said of one, whatever became of the baselines
        ((CLEAN,), "clean", {1: "every baseline with clean labels is under-trained (t/clean/m",
                             2: "no regime has noisy labels", 3: "no regime has noisy labels",
                             7: "no regime has noisy labels"}),
        ((CLEAN, NOISY), "clean", {1: "every baseline with clean labels is under-trained"}),
        ((NOISY,), "noisy-40", {1: "no regime has clean labels",
                                2: "every baseline with noisy labels is under-trained",
                                7: "every baseline with noisy labels is under-trained"}),
    ],
)  # fmt: skip
def test_what_is_said_of_labels_is_true_of_the_grid(
    regimes: tuple[Regime, ...], late: str, said: dict[int, str]
) -> None:
    table = cells(Plan(dict.fromkeys(METHODS, none), regimes=regimes, seeds=2))
    dense = (table["method"] == "dense") & (table["regime"] == late)
    table["training_outcome"] = np.where(dense, "under-trained", "trained-out")
    found = {each.number: each for each in findings(table, Analysis())}
    for number, words in said.items():
        assert found[number].verdict == UNTESTED
        assert words in found[number].sentence
    others = [each.sentence for number, each in found.items() if number not in said]
    if NOISY not in regimes:
        assert not any("noisy" in sentence for sentence in others)
    if CLEAN not in regimes:
        assert not any("clean labels" in sentence.lower() for sentence in others)


def test_what_failed_is_not_called_absent() -> None:
    table = cells(Plan({"rewind": none}, regimes=(CLEAN, NOISY), seeds=2))
    lost = (table["method"] == "dense") & (table["regime"] == NOISY.name)
    table.loc[lost, ["status", "test_error"]] = ["failed", np.nan]
    found = {each.number: each for each in findings(table, Analysis())}
    assert "no cell with noisy labels has a finished and trained baseline" in found[2].sentence
