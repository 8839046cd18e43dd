"""The simulations of benchmarks/size_and_coverage.py, with few trials."""

from __future__ import annotations

import pytest

from benchmarks.size_and_coverage import FAILURES, NOISE, coverage, size


@pytest.mark.parametrize(("seeds", "models", "correlation"), [(6, 2, 0.0), (6, 2, 0.6)])
def test_the_size_stays_at_its_level_with_shared_draws(
    seeds: int, models: int, correlation: float
) -> None:
    # four standard errors of 600 trials are 3.6 points
    assert size(600, seeds, models, correlation, merged=True) <= 0.05 + 0.036


def test_a_model_is_no_unit_of_its_own_where_draws_are_shared() -> None:
    assert size(600, 6, 2, 0.6, merged=False) > 0.09


def test_failures_apart_keep_the_coverage_that_chance_in_their_place_loses() -> None:
    normal = NOISE["normal"]
    assert coverage(2000, 8, normal, 0.0, apart=True) == pytest.approx(0.95, abs=0.02)
    assert coverage(2000, 8, normal, FAILURES, apart=True) == pytest.approx(0.95, abs=0.02)
    assert coverage(2000, 8, normal, FAILURES, apart=False) < 0.5
