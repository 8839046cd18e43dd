"""The integer program against all choices there are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from prunebench.pruning.automatic.exact_choice import choose


def by_brute_force(
    losses: list[list[float]], savings: list[list[float]], needed: float
) -> float | None:
    """The least sum of losses of all choices that save enough; None where there is none."""
    found = [
        sum(own[at] for own, at in zip(losses, levels, strict=True))
        for levels in product(*(range(len(own)) for own in losses))
        if sum(own[at] for own, at in zip(savings, levels, strict=True)) >= needed
    ]
    finite = [loss for loss in found if np.isfinite(loss)]
    return min(finite, default=None)


@pytest.mark.parametrize("seed", range(60))
def test_no_choice_is_better_and_none_overruns(seed: int) -> None:
    draw = np.random.default_rng(seed)
    layers = [int(draw.integers(1, 6)) for _ in range(draw.integers(1, 6))]
    scale = 10.0 ** draw.integers(-6, 7)  # the solver's tolerances are absolute
    losses = [[0.0, *draw.normal(1, 2, n)] for n in layers]
    if seed % 5 == 0:
        losses[0][-1] = np.inf  # a network that gives no finite loss is no choice
    savings = [[0.0, *np.cumsum(draw.integers(1, 1000, n))] for n in layers]
    savings = [[scale * value for value in own] for own in savings]
    needed = float(draw.uniform(0, 1.1)) * sum(own[-1] for own in savings)
    best = by_brute_force(losses, savings, needed)
    chosen = choose(losses, savings, needed)
    assert (chosen is None) == (best is None)
    if chosen is not None:
        assert sum(own[at] for own, at in zip(savings, chosen, strict=True)) >= needed
        loss = sum(own[at] for own, at in zip(losses, chosen, strict=True))
        assert loss == pytest.approx(best, rel=1e-6, abs=1e-6)


def test_what_is_needed_to_the_unit_is_enough() -> None:
    assert choose([[0, 1], [0, 5]], [[0, 3], [0, 4]], 7) == [1, 1]
    assert choose([[0, 1], [0, 5]], [[0, 3], [0, 4]], 7.000001) is None
    assert choose([[0, 1], [0, 5]], [[0, 3], [0, 4]], 3.000001) == [0, 1]
