from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from prunebench.statistics import (
    bands,
    best_on_validation,
    bootstrap,
    estimate,
    score,
    score_subsets,
)
from prunebench.statistics.setting_scores import score_settings


def of(cells: pd.DataFrame, method: str, **options: str | int) -> pd.Series:
    return score(cells, **options).set_index("method").loc[method]


def test_score_by_hand(small: pd.DataFrame) -> None:
    row = of(small, "a")
    # seed 0: 0, −10, +20 at 1, 2, 4 octaves: (−5·1 + 5·2)/3; seed 1: −2, −10, 0: (−6 − 10)/3
    assert row["score"] == pytest.approx((5 / 3 - 16 / 3) / 2)
    # validation (which is the test error here) chooses 0.75 in both seeds
    assert row["chosen"] == pytest.approx(-10)
    assert (row["wins"], row["ties"], row["losses"], row["missing"]) == (3, 2, 1, 0)
    assert (row["best_regime"], row["best_sparsity"]) == ("r", 0.75)
    assert row["best_difference"] == pytest.approx(-10)
    assert of(small, "random")["score"] == pytest.approx(2.5)


def test_dense_is_the_reference_row(small: pd.DataFrame) -> None:
    row = of(small, "dense")
    assert row["score"] == 0
    assert np.isnan(row["low"])
    assert row["against_baseline"] == "reference"
    assert (row["wins"], row["ties"], row["losses"]) == (0, 0, 0)
    assert of(small, "random")["against_reference"] == "reference"


def test_the_table_is_ranked_best_first(small: pd.DataFrame) -> None:
    assert [*score(small)["method"]] == ["a", "dense", "random"]


def test_settings_weigh_the_same_whatever_their_seeds(table: Callable, small: pd.DataFrame) -> None:
    points = {
        "dense": {(seed, 0.0): 0.2 for seed in range(5)},
        "a": {(seed, 0.5): 0.3 for seed in range(5)},
    }
    both = pd.concat([small, table(points, regime="other")])
    alone = of(small, "a")["score"]
    assert of(both, "a")["score"] == pytest.approx((alone + 10) / 2)
    subsets = score_subsets(both)
    assert next(iter(subsets)) == ("all", "all", "all")
    for key, value in ((("all", "r", "all"), alone), (("t", "other", "m"), 10)):
        rows = subsets[key].set_index("method")
        assert rows.loc["a", "score"] == pytest.approx(value)
    # a method that a setting lacks is no row of that setting
    assert "random" not in set(subsets["all", "other", "all"]["method"])


def test_choices_of_the_same_cells_have_tables_of_their_own(small: pd.DataFrame) -> None:
    subsets = score_subsets(small)
    assert len(subsets) == 8
    subsets["all", "all", "all"]["score"] = 7.0
    alone = score(small)
    for key in (("t", "all", "all"), ("t", "r", "m")):
        pd.testing.assert_frame_equal(subsets[key], alone)


def test_a_setting_alone_has_the_interval_it_has_in_company(
    table: Callable, small: pd.DataFrame
) -> None:
    other = table({"dense": {(0, 0.0): 0.2, (1, 0.0): 0.3}, "b": {(0, 0.5): 0.3}}, regime="x")
    joined = score_subsets(pd.concat([small, other]))["all", "r", "all"].set_index("method")
    assert joined.loc["a", "low"] == of(small, "a")["low"]
    assert joined.loc["a", "high"] == of(small, "a")["high"]


def test_one_seed_gives_a_score_and_no_interval(small: pd.DataFrame) -> None:
    row = of(small[small["seed"] == 0], "a")
    assert row["score"] == pytest.approx(5 / 3)
    assert np.isnan(row["low"])
    assert np.isnan(row["chosen_high"])
    assert row["against_baseline"] == "cannot be significant with 1 seed"


def test_missing_cells_leave_their_point_and_are_counted(small: pd.DataFrame) -> None:
    gone = (small["method"] == "a") & (small["seed"] == 0) & (small["sparsity"] == 0.75)
    row = of(small[~gone], "a")
    # means over seeds: −1, −10 (of seed 1 alone), 10 at 1, 2, 4 octaves
    assert row["score"] == pytest.approx((-5.5 * 1 + 0 * 2) / 3)
    assert (row["missing"], row["complete"], row["failed"], row["left_out"]) == (1, False, 0, 0)


def test_a_method_without_some_cells_is_ranked_on_those_that_it_shares(table: Callable) -> None:
    """On the easy regime alone ``half`` looks better than ``good``; there ``good`` beats it."""
    points = {"dense": {(s, 0.0): 0.3 for s in (0, 1)}, "bad": {(s, 0.5): 0.4 for s in (0, 1)}}
    there = {"good": 0.1, "half": 0.15}
    added = {name: {(s, 0.5): error for s in (0, 1)} for name, error in there.items()}
    easy = table(points | added, regime="easy")
    hard = table(points | {"good": {(s, 0.5): 0.3 for s in (0, 1)}}, regime="hard")
    found = score(pd.concat([easy, hard]))
    scores = found.set_index("method")["score"]
    assert (scores["half"], scores["good"]) == (pytest.approx(-15), pytest.approx(-10))
    assert [*found["method"]] == ["good", "half", "dense", "bad"]
    assert [*found["rank"]] == [1, 2, 3, 4]


def test_a_seed_without_baseline_takes_no_part(small: pd.DataFrame) -> None:
    lost = (small["method"] == "dense") & (small["seed"] == 1)
    assert of(small[~lost], "a")["score"] == pytest.approx(5 / 3)
    small.loc[lost, ["status", "test_error"]] = ["diverged", np.nan]
    assert of(small, "a")["score"] == pytest.approx(5 / 3)


def test_failed_cells_leave_the_mean_and_are_counted(small: pd.DataFrame) -> None:
    lost = (small["method"] == "a") & (small["sparsity"] == 0.9375) & (small["seed"] == 0)
    small.loc[lost, ["status", "test_error", "val_error"]] = ["failed", np.nan, np.nan]
    row = of(small, "a")
    # means over seeds: −1, −10, 0 (of seed 1 alone)
    assert row["score"] == pytest.approx((-5.5 * 1 - 5 * 2) / 3)
    assert (row["failed"], row["left_out"], row["missing"], row["collapsed"]) == (1, 1, 0, 1)
    wanted = stats.binomtest(1, 6).proportion_ci(method="exact")
    assert row["failed_share"] == pytest.approx(1 / 6)
    assert (row["failed_low"], row["failed_high"]) == pytest.approx((wanted.low, wanted.high))


@pytest.mark.parametrize("status", ["diverged", "collapsed", "failed-to-train"])
@pytest.mark.parametrize("method", ["a", "random", "dense"])
def test_pairs_leave_whichever_side_failed(small: pd.DataFrame, method: str, status: str) -> None:
    """A control or a baseline that failed would flatter what is compared with it."""
    small["training_outcome"] = "trained-out"
    lost = (small["method"] == method) & (small["seed"] == 1)
    small.loc[lost, "training_outcome" if status == "failed-to-train" else "status"] = status
    small.loc[lost, "test_error"] = 0.9
    [found] = score_settings(small, "dense", "random", 100)
    against = found.to_baseline if method != "random" else found.to_reference
    a = found.grid.methods.index("a")
    assert len(against.own[a][~np.isnan(against.own[a])]) == 1  # seed 0 alone
    wanted = 5 / 3 if method != "random" else 5 / 3 - 5
    assert bootstrap.mean_or_nan(against.own[a], 0) == pytest.approx(wanted)
    row = of(small, "a")
    assert row["left_out"] == (0 if method == "random" else 3)
    assert row["failed"] == (3 if method == "a" else 0)


def test_a_method_that_collapses_has_no_rank_above_one_that_does_not(small: pd.DataFrame) -> None:
    at_last = (small["method"] == "a") & (small["sparsity"] == 0.9375)
    small.loc[at_last, "status"] = "collapsed"
    found = score(small).set_index("method")
    assert found.loc["a", "score"] < found.loc["random", "score"]
    assert found["rank"].to_dict() == {"dense": 1, "random": 2, "a": 3}
    assert found.loc["a", "collapsed"] == 1


def test_an_error_at_chance_is_a_collapse_too(small: pd.DataFrame) -> None:
    at_last = (small["method"] == "random") & (small["sparsity"] == 0.9375)
    small.loc[at_last, "test_error"] = [0.89, 0.9]
    assert score(small)["collapsed"].sum() == 0  # the number of classes is not known
    found = score(small.assign(classes=10)).set_index("method")
    assert found["collapsed"].to_dict() == {"dense": 0, "a": 0, "random": 1}


def test_the_achieved_compression_is_integrated_over_what_all_reach(table: Callable) -> None:
    points = {"dense": {(0, 0.0): 0.3, (1, 0.0): 0.3}}
    for name, errors in {"a": (0.2, 0.3, 0.4), "filters": (0.2, 0.3, 0.4)}.items():
        places = dict(zip((0.5, 0.75, 0.875), errors, strict=True))
        points[name] = {(s, p): e for s in (0, 1) for p, e in places.items()}
    cells = table(points)
    cells["compression_ratio"] = 1 / (1 - cells["sparsity"])
    filters = cells["method"] == "filters"
    cells.loc[filters, "compression_ratio"] **= 2  # 2, 4, 6 octaves where the target says 1, 2, 3
    found = score(cells).set_index("method")["score"]
    # all reach 2 to 3 octaves: there a goes from 0 to +10, filters from −10 to −5
    assert (found["a"], found["filters"]) == (pytest.approx(5), pytest.approx(-7.5))
    # a control does not decide over the range of the others
    control = score(cells.assign(control=filters)).set_index("method")["score"]
    assert control["a"] == pytest.approx(0)


def test_stopped_states_are_scored_beside_the_trained_ones(small: pd.DataFrame) -> None:
    cells = small.assign(stopped_val_error=small["val_error"])
    half = cells["test_error"] / 2
    cells["stopped_test_error"] = half.where(cells["method"] != "dense", cells["test_error"])
    row = of(cells, "a")
    assert row["score"] == pytest.approx(of(small, "a")["score"])
    stopped = cells.assign(test_error=cells["stopped_test_error"])
    alone = of(stopped, "a")
    names = ("score", "low", "high", "chosen", "verdict")
    assert [row[f"stopped_{name}"] for name in names] == [alone[name] for name in names]
    assert row["interaction"] == pytest.approx(row["stopped_score"] - row["score"])
    assert np.isnan(of(small, "a")[["stopped_score", "interaction"]].astype(float)).all()


def test_an_equivalence_knows_the_error_of_the_test_samples(table: Callable) -> None:
    noise = np.random.default_rng(1).normal(0, 0.001, 8)
    points = {"dense": {(s, 0.0): 0.3 for s in range(8)}}
    points["a"] = {(s, 0.5): 0.3 + noise[s] for s in range(8)}
    cells = table(points)
    assert of(cells, "a")["verdict"] == "equivalent"
    flips = cells.assign(flips_to_wrong=0.02, flips_to_right=0.02)
    row = of(flips.assign(test_samples=10_000), "a")
    assert row["sample_error"] == pytest.approx(100 * np.sqrt(0.04 / 10_000), rel=0.01)
    assert row["verdict"] == "equivalent"
    # ±1.96 · 1 point reaches beyond ±0.5
    assert of(flips.assign(test_samples=400), "a")["verdict"] == "unresolved"


def test_the_interaction_has_the_test_of_the_difference_of_gains(table: Callable) -> None:
    noise = np.random.default_rng(5).normal(0, 0.01, (2, 8))
    points = {"dense": {(s, 0.0): 0.4 for s in range(8)}}
    points["a"] = {(s, 0.5): 0.3 + noise[0, s] for s in range(8)}
    cells = table(points)
    stopped = np.concatenate([np.full(8, 0.2), 0.19 + noise[1]])
    row = of(cells.assign(stopped_test_error=stopped, stopped_val_error=0.1), "a")
    gains = 100 * np.stack([0.1 - noise[0], 0.01 - noise[1]])
    keys = {"task": "t", "regime": "r", "model": "m"}
    rows = [{**keys, "seed": s, "value": v} for s, v in enumerate(gains[0] - gains[1])]
    wanted = estimate(pd.DataFrame(rows))
    found = [row[f"interaction{end}"] for end in ("", "_low", "_high", "_p")]
    assert found == pytest.approx([wanted.value, wanted.low, wanted.high, wanted.p])


def test_ties_in_validation_go_to_the_sparser(small: pd.DataFrame) -> None:
    small["val_error"] = 0.5
    assert of(small, "a")["best_sparsity"] == 0.9375
    assert of(small, "a")["chosen"] == pytest.approx((20 + 0) / 2)
    best = best_on_validation(small, ["regime"])
    assert best.loc[0, "sparsity"] == 0.9375


def test_networks_that_learned_nothing_are_never_the_best(small: pd.DataFrame) -> None:
    """They win on a validation split whose samples are all of the class that they name."""
    dead = (small["method"] == "a") & (small["sparsity"] == 0.9375)
    small["train_error"] = np.where(dead, 0.88, 0.5)
    small.loc[dead, "val_error"] = 0.0
    for known in (small, small.assign(classes=10)):  # 0.88 is less than 0.9
        assert of(known, "a")["best_sparsity"] == 0.9375
        assert best_on_validation(known, ["regime"]).loc[0, "sparsity"] == 0.9375
    # of 900 samples two standard errors are 0.02
    learned = small.assign(classes=10, train_samples=900)
    learned.loc[dead, "train_error"] = 0.8801
    row, best = of(learned, "a"), best_on_validation(learned, ["regime"]).loc[0]
    assert (row["best_sparsity"], row["best_difference"]) == (0.75, pytest.approx(-10))
    assert (best["method"], best["sparsity"], best["at_chance"]) == ("a", 0.75, False)
    assert row["score"] == of(small, "a")["score"]  # which is no choice
    one_seed = learned.copy()
    one_seed.loc[dead & (one_seed["seed"] == 0), "train_error"] = 0.1
    one_seed.loc[dead & (one_seed["seed"] == 1), "status"] = "collapsed"
    assert of(one_seed, "a")["best_sparsity"] == 0.9375  # that of the network that learned
    alone = learned.assign(train_error=0.95)
    assert np.isnan(of(alone, "a")["best_sparsity"])
    assert best_on_validation(alone, ["regime"])["at_chance"].all()


def test_without_validation_errors_nothing_is_chosen(small: pd.DataFrame) -> None:
    small["val_error"] = np.nan
    row = of(small, "a")
    assert np.isnan(row["chosen"])
    assert np.isnan(row["best_sparsity"])
    assert row["score"] == pytest.approx((5 / 3 - 16 / 3) / 2)
    assert best_on_validation(small, ["regime"]).empty


def test_another_baseline_is_paired_at_equal_sparsity(small: pd.DataFrame) -> None:
    mine = of(small, "a", baseline="random")["score"]
    assert mine == pytest.approx(of(small, "a")["score"] - of(small, "random")["score"])


def test_a_control_with_sparsity_zero_stands_at_every_sparsity(
    table: Callable, small: pd.DataFrame
) -> None:
    control = table({"longer": {(0, 0.0): 0.35, (1, 0.0): 0.41}})
    row = of(pd.concat([small, control]), "longer")
    assert row["score"] == pytest.approx((5 + 1) / 2)
    assert row["complete"]


def test_the_level_holds_when_nothing_differs(table: Callable) -> None:
    """Of methods without effect at most 5 % are called better or worse, before Holm."""
    cells = simulated(table, 400, 6)
    rows = score(cells, draws=200, primary=["m0"])
    wrong = rows["verdict"].isin(["better", "worse"])
    # exactly 2/64 of them pass the test; four standard errors above
    assert (wrong & ~rows["primary"]).mean() <= 1 / 32 + 4 * np.sqrt(1 / 32 / 400)


@pytest.mark.parametrize("effect", [0.0, -0.05])
def test_the_words_follow_the_test(table: Callable, effect: float) -> None:
    noise = np.random.default_rng(3).normal(0, 0.01, 8)
    points = {
        "dense": {(s, 0.0): 0.3 for s in range(8)},
        "a": {(s, 0.5): 0.3 + effect + noise[s] for s in range(8)},
        "random": {(s, 0.5): 0.3 for s in range(8)},
    }
    row = of(table(points), "a")
    wanted = "better than {}" if effect else "no difference shown"
    assert row["against_baseline"].startswith(wanted.format("dense"))
    assert row["against_reference"].startswith(wanted.format("random"))
    assert row["low"] < row["score"] < row["high"]
    assert (row["high"] < 0) == bool(effect)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_changes_nothing(small: pd.DataFrame, seed: int) -> None:
    shuffled = small.sample(frac=1, random_state=seed)
    options = {"draws": 200, "primary": ["a"]}
    pd.testing.assert_frame_equal(score(shuffled, **options), score(small, **options))
    pd.testing.assert_frame_equal(bands(shuffled, ["test_error"]), bands(small, ["test_error"]))


def simulated(table: Callable, methods: int, seeds: int) -> pd.DataFrame:
    """Many methods without effect, each with its own noise, in two settings."""
    noise = np.random.default_rng(7).normal(0.5, 0.02, (2, methods, seeds, 2))
    parts = []
    for regime in range(2):
        points = {
            f"m{m}": {
                (s, sparsity): noise[regime, m, s, k]
                for s in range(seeds)
                for k, sparsity in enumerate((0.5, 0.9))
            }
            for m in range(methods)
        }
        points["dense"] = {(s, 0.0): 0.5 for s in range(seeds)}
        parts.append(table(points, regime=str(regime)))
    return pd.concat(parts)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
def test_the_interval_covers_what_it_says(table: Callable, seeds: int) -> None:
    rows = score(simulated(table, 2000, seeds), draws=2000)
    rows = rows[rows["method"] != "dense"]
    covered = ((rows["low"] <= 0) & (rows["high"] >= 0)).mean()
    assert 0.93 <= covered <= 0.97


def test_ten_methods_take_less_than_two_seconds(table: Callable) -> None:
    cells = pd.concat([simulated(table, 10, 3).assign(model=name) for name in "ab"])
    started = time.process_time()  # of this process: other programs do not count
    score(cells)
    assert time.process_time() - started < 2
