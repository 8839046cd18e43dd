"""The error of a difference over draws of test samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from prunebench.statistics import EQUIVALENT, UNRESOLVED, Estimate, decide
from prunebench.statistics.sample_error import over_settings, sample_errors, widened


def test_the_error_of_paired_shares_is_that_of_the_mean_over_samples() -> None:
    generator = np.random.default_rng(0)
    dense, pruned = generator.random((2, 400)) < np.array([[0.3], [0.25]])
    row = {
        "test_error": pruned.mean(), "reference_error": dense.mean(), "test_samples": 400,
        "flips_to_wrong": (pruned & ~dense).mean(), "flips_to_right": (dense & ~pruned).mean(),
    }  # fmt: skip
    per_sample = 100 * (pruned.astype(float) - dense)
    wanted = per_sample.std() / 20
    assert sample_errors(pd.DataFrame([row]))[0] == pytest.approx(wanted)
    # without flips it is bounded from above
    less = pd.DataFrame([row]).drop(columns=["flips_to_wrong", "flips_to_right"])
    assert sample_errors(less)[0] >= wanted
    assert np.isnan(sample_errors(less.drop(columns="test_samples"))[0])


def test_settings_of_a_task_add_their_errors_and_tasks_do_not() -> None:
    assert over_settings(["t", "t"], np.array([3.0, 1.0])) == pytest.approx(2)
    assert over_settings(["t", "u"], np.array([3.0, 4.0])) == pytest.approx(2.5)
    assert over_settings(["t"], np.array([np.nan])) == 0


def test_equivalence_needs_the_samples_too() -> None:
    found = Estimate(0.0, -0.3, 0.3, 1.0, 8, 1, 8)
    assert decide(found, 0.5) == EQUIVALENT
    assert decide(Estimate(*vars(found).values()), 0.5) == EQUIVALENT
    few = Estimate(0.0, -0.3, 0.3, 1.0, 8, 1, 8, sample_error=0.3)
    assert decide(few, 0.5) == UNRESOLVED
    assert widened(0.0, -0.3, 0.4, 0.0) == pytest.approx((-0.3, 0.4))


def test_the_widened_interval_covers_seeds_and_samples() -> None:
    """Seeds and samples both drawn anew: the interval over seeds alone covers too rarely."""
    generator = np.random.default_rng(2)
    seeds, samples, covered = 8, 100, np.zeros(2)
    for _ in range(400):
        # a sample is hard for pruning or not, whatever the seed; seeds differ a little
        tendency = generator.choice([-0.4, 0.0, 0.4], size=samples, p=[0.1, 0.8, 0.1])
        draws = generator.random((seeds, samples))
        difference = np.where(draws < np.abs(tendency), np.sign(tendency), 0.0)
        values = 100 * difference.mean(axis=1)
        low, high = values.mean() + np.array([-1, 1]) * 2.365 * values.std(ddof=1) / np.sqrt(seeds)
        changed = np.abs(difference).mean(axis=1)
        errors = 100 * np.sqrt((changed - difference.mean(axis=1) ** 2) / samples)
        wide = widened(values.mean(), low, high, errors.mean())
        covered += [low <= 0 <= high, wide[0] <= 0 <= wide[1]]
    assert covered[0] / 400 < 0.9
    assert covered[1] / 400 >= 0.95
