"""Dense and pruned, trained and stopped: by hand, and on planted tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from prunebench.statistics import estimate
from prunebench.statistics.two_by_two import COLUMNS, of_one_setting, seed_values, two_by_two

# errors in per cent: (trained, stopped, on noisy validation trained, the same stopped)
Errors = tuple[float, float, float, float]


def table(
    points: dict[tuple[str, float], list[Errors]], regime: str = "noisy", noise: float = 0.4
) -> pd.DataFrame:
    rows = [
        {
            "experiment": "e", "task": "t", "regime": regime, "model": "m", "method": method,
            "family": "dense" if method == "dense" else "weight", "seed": seed,
            "sparsity": sparsity, "status": "ok", "message": None, "label_noise": noise,
            "compression_ratio": 0.9 / (1 - sparsity), "training_outcome": "trained-out",
            "test_error": trained / 100, "stopped_test_error": stopped / 100,
            "val_error": 0.5, "stopped_val_error": 0.5,
            "noisy_val_error": val / 100, "stopped_noisy_val_error": stopped_val / 100,
        }
        for (method, sparsity), seeds in points.items()
        for seed, (trained, stopped, val, stopped_val) in enumerate(seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def small() -> pd.DataFrame:
    """Trained, 0.75 is the best on validation; stopped, 0.5 is."""
    return table(
        {
            ("dense", 0.0): [(40, 20, 60, 52), (44, 22, 60, 52)],
            ("a", 0.5): [(38, 19, 58, 50), (40, 18, 58, 50)],
            ("a", 0.75): [(30, 21, 55, 53), (36, 23, 55, 53)],
        }
    )


def row(cells: pd.DataFrame, method: str = "a", **options: float) -> pd.Series:
    found = two_by_two(cells, **options)
    assert list(found.columns) == list(COLUMNS)
    [one] = found[found["method"] == method].to_dict("records")
    return pd.Series(one)


def test_each_column_by_hand_at_its_own_sparsity() -> None:
    found = row(small())
    assert (found["scope"], found["sparsity"], found["stopped_sparsity"]) == (
        "t/noisy/m",
        0.75,
        0.5,
    )
    assert found["compression_ratio"] == pytest.approx(0.9 * 4)  # what was achieved
    means = [
        found[f"{side}_{state}"] for state in ("trained", "stopped") for side in ("dense", "pruned")
    ]
    assert means == pytest.approx([0.42, 0.33, 0.21, 0.185])
    assert found["gain_trained"] == pytest.approx((10 + 8) / 2)
    assert found["gain_stopped"] == pytest.approx((1 + 4) / 2)
    assert found["interaction"] == pytest.approx((9 + 4) / 2)
    assert (found["pairs"], found["trained_left_out"], found["trained_why"]) == (2, 0, "")


def test_the_interval_and_the_test_are_those_of_the_estimate() -> None:
    found = row(small())
    keys = {"task": "t", "regime": "noisy", "model": "m"}
    wanted = estimate(
        pd.DataFrame([{**keys, "seed": s, "value": v} for s, v in ((0, 9.0), (1, 4.0))])
    )
    ends = ("interaction_low", "interaction_high", "interaction_p")
    assert [found[end] for end in ends] == pytest.approx([wanted.low, wanted.high, wanted.p])


def test_a_declared_sparsity_takes_the_place_of_the_chosen_one() -> None:
    found = row(small(), sparsity=0.5)
    assert (found["sparsity"], found["stopped_sparsity"]) == (0.5, 0.5)
    assert found["gain_trained"] == pytest.approx(3)


def test_clean_validation_chooses_where_nothing_else_was_recorded() -> None:
    cells = small().drop(columns=["noisy_val_error", "stopped_noisy_val_error"])
    assert row(cells)["sparsity"] == 0.75  # all equal: the sparser
    cells.loc[(cells["sparsity"] == 0.5), "val_error"] = 0.1
    assert row(cells)["sparsity"] == 0.5


@pytest.mark.parametrize("method", ["a", "dense"])
def test_a_failure_on_either_side_leaves_both_columns_in_a_pair(method: str) -> None:
    cells = small()
    lost = (cells["method"] == method) & (cells["seed"] == 1)
    cells.loc[lost, "training_outcome"] = "failed-to-train"
    found = row(cells)
    assert (found["trained_pairs"], found["stopped_pairs"], found["pairs"]) == (1, 1, 1)
    reason = "2 failed" if method == "a" else "2 baseline failed"
    assert (found["trained_why"], found["stopped_why"]) == (reason, reason)
    assert found["dense_trained"] == pytest.approx(0.40)  # of the pair that is left


def test_an_under_trained_cell_is_no_trained_one_but_can_be_stopped() -> None:
    cells = small()
    late = (cells["method"] == "a") & (cells["sparsity"] == 0.75)
    cells.loc[late, "training_outcome"] = "under-trained"
    found = row(cells)
    # the gain of 9 points was that of a training that had not come to its end
    assert (found["sparsity"], found["gain_trained"]) == (0.5, pytest.approx(3))
    assert (found["trained_left_out"], found["trained_why"]) == (2, "2 under-trained")
    assert (found["stopped_left_out"], found["stopped_pairs"]) == (0, 2)


def test_a_sparsity_that_fewer_seeds_reached_is_not_chosen() -> None:
    cells = small()
    late = (cells["sparsity"] == 0.75) & (cells["seed"] == 0)
    cells.loc[late, "training_outcome"] = "under-trained"
    assert row(cells)["sparsity"] == 0.5


def test_old_tables_have_no_stopped_column_and_nothing_is_derived() -> None:
    old = [c for c in small().columns if c.startswith("stopped_") or c == "training_outcome"]
    found = row(small().drop(columns=old))
    assert found["gain_trained"] == pytest.approx(9)
    assert np.isnan(found[["gain_stopped", "interaction", "dense_stopped"]].astype(float)).all()
    assert (found["trained_pairs"], found["stopped_pairs"]) == (2, 0)
    assert found["stopped_why"] == "4 without a stopped state"


def test_settings_are_pooled_by_their_labels_and_p_is_adjusted_within_a_scope() -> None:
    generator = np.random.default_rng(0)

    def points(gain: float) -> dict[tuple[str, float], list[Errors]]:
        noise = generator.normal(0, 0.1, (8, 2))
        return {
            ("dense", 0.0): [(40, 20, 60, 52)] * 8,
            ("a", 0.5): [(40 - gain + x, 20 - gain / 2 + y, 58, 50) for x, y in noise],
            ("b", 0.5): [(40 + x, 20 + y, 58, 50) for x, y in noise],
        }

    cells = pd.concat([table(points(8)), table(points(4), "other", 0.2), table(points(0), "c", 0)])
    found = two_by_two(cells).set_index(["scope", "method"])
    assert {scope for scope, _ in found.index} == {
        "noisy labels",
        "t/noisy/m",
        "t/other/m",
        "t/c/m",
    }
    pooled = found.loc[("noisy labels", "a")]
    assert (pooled["regime"], pooled["task"], pooled["settings"]) == ("all", "t", 2)
    assert pooled["gain_trained"] == pytest.approx(6, abs=0.2)
    assert pooled["interaction"] == pytest.approx(3, abs=0.2)
    assert pooled["gain_trained_p"] == pytest.approx(2 * 2 / 2**8)  # Holm over two methods
    alone = two_by_two(cells, methods=["a"]).set_index("scope")
    assert alone.loc["noisy labels", "gain_trained_p"] == pytest.approx(2 / 2**8)


def test_a_table_without_rows_has_no_settings() -> None:
    empty = two_by_two(small()).iloc[:0]
    assert of_one_setting(empty).tolist() == []
    assert of_one_setting(two_by_two(small())).tolist() == [True]


def test_the_error_of_the_test_samples_by_hand() -> None:
    cells = small().assign(test_samples=100, flips_to_wrong=0.03, flips_to_right=0.13)
    found = seed_values(cells, ["a"]).iloc[0]
    # seed 0, trained: 10 points less; 16 of 100 predictions changed
    assert found["sample_error_trained"] == pytest.approx(100 * ((0.16 - 0.1**2) / 100) ** 0.5)
    # stopped, 19 % against 20 %: flips are those of the last state; at most the sum of both errors
    stopped = 100 * ((0.39 - 0.01**2) / 100) ** 0.5
    assert found["sample_error_stopped"] == pytest.approx(stopped)
    both = found["sample_error_trained"] + found["sample_error_stopped"]
    assert found["sample_error_interaction"] == pytest.approx(both)
