"""Integration over the achieved compression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.statistics.cell_grid import integrate, integration_weights

EVERYWHERE = (-np.inf, np.inf)


def test_weights_by_hand() -> None:
    places = np.array([1.0, 2, 4])
    # trapezoids of width 1 and 2, over 3
    assert integration_weights(places, EVERYWHERE) == pytest.approx([1 / 6, 1 / 2, 1 / 3])
    # from the middle of the first stretch to the middle of the last: heights (a+b)/2, b, (b+c)/2
    found = integration_weights(places, (1.5, 3))
    assert found == pytest.approx([1 / 12, 1 / 12 + 1 / 6 + 1 / 3 + 1 / 6, 1 / 6])
    assert integration_weights(np.array([3.0]), (0, 1)) == pytest.approx([1])
    # equal places count as their mean, and the order does not matter
    assert integration_weights(np.array([2.0, 1, 2]), EVERYWHERE) == pytest.approx(
        [1 / 4, 1 / 2, 1 / 4]
    )
    # a range without any of the points: theirs is taken
    assert integration_weights(np.array([1.0, 2]), (5, 6)) == pytest.approx([1 / 2, 1 / 2])


@given(
    st.lists(st.floats(0, 8), min_size=2, max_size=7, unique_by=lambda x: round(x, 3)),
    st.floats(0, 8), st.floats(0, 8), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_weights_are_those_of_a_fine_sum(
    places: list[float], one: float, other: float, seed: int
) -> None:
    octaves = np.array(places)
    values = np.random.default_rng(seed).normal(size=len(places))
    low, high = max(min(one, other), octaves.min()), min(max(one, other), octaves.max())
    weights = integration_weights(octaves, (min(one, other), max(one, other)))
    assert weights.sum() == pytest.approx(1)
    if high - low > 1e-3:
        order = np.argsort(octaves)
        nodes = np.linspace(low, high, 20_001)
        fine = np.interp(nodes, octaves[order], values[order])
        assert weights @ values == pytest.approx(np.trapezoid(fine, nodes) / (high - low), abs=1e-3)


def test_seeds_are_averaged_at_each_point_first() -> None:
    nan = np.nan
    values = np.array([[1.0, 3.0], [5.0, nan], [nan, nan]])
    influence, own = integrate(values, np.array([1.0, 2.0]), EVERYWHERE)
    # the mean at the points is 3 and 3
    assert np.nanmean(influence) == pytest.approx(3)
    assert np.nanmean(own) == pytest.approx(3)
    # seed 0: half of 1, and half of twice 3, since it alone has the second point
    assert own == pytest.approx([3.5, 2.5, nan], nan_ok=True)
    # at the second point seed 1 adds the mean, as it had no part in it
    assert influence == pytest.approx([2.0, 4.0, nan], nan_ok=True)
    whole = np.array([[1.0, 2.0], [3.0, 5.0]])
    for each in integrate(whole, np.array([1.0, 2.0]), EVERYWHERE):
        assert each == pytest.approx([1.5, 4.0])
