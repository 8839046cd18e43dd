"""Cells as the hypotheses use them: pairs, gains, parts of methods, noisy regimes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import PARTS, Analysis
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, pair_cells
from tests.statistics.hypotheses.planted import (
    CLEAN,
    METHODS,
    NOISY,
    SPARSITIES,
    Plan,
    Regime,
    cells,
    descent,
    none,
)

ALL = Plan(dict.fromkeys(METHODS, none), seeds=2)


def by_hand(table: pd.DataFrame, regime: str, method: str) -> dict[str, list[float]]:
    """The gains of one curve by plain loops over seeds and sparsities."""
    own = table[(table["regime"] == regime) & (table["method"] == method)]
    dense = table[(table["regime"] == regime) & (table["method"] == "dense")]
    start = dict(zip(dense["seed"], dense["test_error"], strict=True))
    val = {(r.seed, r.sparsity): r.val_error for r in own.itertuples()}
    gain = {(r.seed, r.sparsity): 100 * (start[r.seed] - r.test_error) for r in own.itertuples()}
    seeds = sorted(start)

    def lowest(among: list[int]) -> float:
        means = {s: round(sum(val[i, s] for i in among) / len(among), 9) for s in SPARSITIES}
        return max(s for s in SPARSITIES if means[s] == min(means.values()))

    at = lowest(seeds)
    octaves = [-np.log2(1 - s) for s in SPARSITIES]
    span = octaves[-1] - octaves[0]
    return {
        "sparsity": [at for _ in seeds],
        "gain": [gain[i, at] for i in seeds],
        "gain_left_out": [gain[i, lowest([j for j in seeds if j != i])] for i in seeds],
        "integrated": [
            sum(
                (gain[i, a] + gain[i, b]) / 2 * (v - u)
                for a, b, u, v in zip(
                    SPARSITIES, SPARSITIES[1:], octaves, octaves[1:], strict=False
                )
            )
            / span
            for i in seeds
        ],
    }


@pytest.mark.parametrize("noise", [0.1, 5.0])
def test_gains_are_those_of_plain_loops(noise: float) -> None:
    plan = Plan({"magnitude": none, "rewind": descent}, seeds=4, noise=noise)
    table = cells(plan)
    gains = pair_cells(table, Analysis()).gains
    for regime in (CLEAN, NOISY):
        for method in plan.truths:
            expected = by_hand(table, regime.name, method)
            own = gains[(gains["regime"] == regime.name) & (gains["method"] == method)]
            own = own.sort_values("seed")
            for column, values in expected.items():
                assert own[column].tolist() == pytest.approx(values), (regime.name, column)


def test_equal_validation_errors_choose_the_sparser() -> None:
    table = cells(Plan({"rewind": descent}, regimes=(NOISY,), seeds=3))
    table.loc[table["method"] == "rewind", "val_error"] = 0.2
    gains = pair_cells(table, Analysis()).gains
    assert set(gains["sparsity"]) == {max(SPARSITIES)}


def test_the_test_error_chooses_nothing() -> None:
    table = cells(Plan({"rewind": descent}, regimes=(NOISY,), seeds=3))
    there = pair_cells(table, Analysis()).gains
    shuffled = table.copy()
    pruned = shuffled["method"] == "rewind"
    shuffled.loc[pruned, "test_error"] = shuffled.loc[pruned, "test_error"].to_numpy()[::-1]
    assert pair_cells(shuffled, Analysis()).gains["sparsity"].equals(there["sparsity"])


def test_a_sparsity_that_one_seed_alone_reached_is_not_chosen() -> None:
    table = cells(Plan({"rewind": descent}, regimes=(NOISY,), seeds=3))
    best = (table["method"] == "rewind") & (table["sparsity"] == 0.9375)
    gains = pair_cells(table[~(best & (table["seed"] > 0))], Analysis()).gains
    assert set(gains["sparsity"]) == {0.875}


def test_a_failed_cell_leaves_with_its_pair_and_is_counted() -> None:
    table = cells(Plan({"rewind": descent}, regimes=(NOISY,), seeds=3))
    at = (table["method"] == "rewind") & (table["sparsity"] == 0.9375) & (table["seed"] == 1)
    table.loc[at, ["status", "test_error", "val_error"]] = ["failed", np.nan, np.nan]
    found = pair_cells(table, Analysis())
    kept = found.rows[(found.rows["method"] == "rewind") & (found.rows["sparsity"] == 0.9375)]
    assert set(kept["seed"]) == {0, 2}
    assert found.why == "1 of 18 cells (1 failed)"


@pytest.mark.parametrize("said", [True, False])
def test_controls_are_known_by_their_parts(said: bool) -> None:
    table = cells(ALL)
    if not said:
        table["control"] = None
    found = pair_cells(table, Analysis())
    assert found.primary == ("back", "magnitude", "rewind")
    assert found.controls_of_kind("dense-long") == ["long"]
    assert found.controls_of_kind("early-stopping") == ["stopped"]
    assert found.controls_of_kind("tuned-weight-decay") == ["decayed"]
    assert found.controls_of_kind("small-dense") == ["narrow"]
    assert found.controls_of_kind("random") == ["at-random", "random-rewind"]
    assert found.controls_of_kind("shuffled") == ["mixed", "mixed-rewind"]


def test_text_and_truth_values_of_control_are_read_alike() -> None:
    table = cells(ALL)
    as_text = table.assign(control=table["control"].map({True: "True", False: "false"}))
    as_flags = table.assign(control=table["control"].astype("boolean"))
    for other in (as_text, as_flags):
        assert pair_cells(other, Analysis()).primary == ("back", "magnitude", "rewind")


def test_dynamic_schedules_start_at_random_without_being_controls() -> None:
    table = cells(Plan({"at-random": none}, seeds=1))
    pruned = table["method"] == "at-random"
    table.loc[pruned, "schedule"] = "dynamic"
    table["control"] = None
    assert pair_cells(table, Analysis()).primary == ("at-random",)


def test_without_parts_only_a_declared_family_stands() -> None:
    table = cells(ALL).drop(columns=[*PARTS, "control"])
    with pytest.raises(MissingRecords, match=r"analysis\.primary"):
        _ = pair_cells(table, Analysis()).family
    declared = pair_cells(table, Analysis(primary=["rewind", "gone"]))
    assert declared.family == ("rewind",)
    assert declared.absent_note().endswith("not recorded: gone.")
    with pytest.raises(MissingRecords, match="no method of the declared family"):
        _ = pair_cells(table, Analysis(primary=["gone"])).family


def test_noisy_regimes_are_known_by_their_noise_or_by_what_was_memorized() -> None:
    table = cells(Plan({"rewind": descent}, seeds=1))
    for known in (table, table.drop(columns="label_noise")):
        scopes = pair_cells(known, Analysis()).scopes()
        assert {name: [*rows["regime"]] for name, rows in scopes.items()} == {
            "noisy labels": ["noisy-40"], "clean labels": ["clean"],
        }  # fmt: skip
    unknown = pair_cells(table.drop(columns=["label_noise", "memorized"]), Analysis())
    assert [*unknown.scopes()] == ["all settings"]


def test_under_trained_baselines_take_no_part_and_are_named() -> None:
    late = Regime("late", 0.4, memorized_all=False)
    plan = Plan({"rewind": descent}, regimes=(CLEAN, NOISY, late), seeds=2)
    found = pair_cells(cells(plan), Analysis())
    assert set(found.rows["regime"]) == {"clean", "noisy-40"}
    assert "t/late/m seeds 0, 1" in found.left_out_note()


def test_a_table_that_cannot_be_right_is_refused() -> None:
    table = cells(Plan({"rewind": descent}, seeds=1))
    with pytest.raises(PrunebenchError, match="more than once"):
        pair_cells(pd.concat([table, table]), Analysis())
