"""The largest sparsity within a tolerance: exact sizes, and the promise over simulated curves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prunebench.errors import PrunebenchError
from prunebench.statistics.tolerance import (
    EXCEEDED,
    FAILED,
    SHOWN,
    UNRESOLVED,
    PairedErrors,
    bisected,
    largest_tolerated,
    p_value,
    paired_errors,
    samples_needed,
    upper_bound,
)

TAU = 5.0  # points, so that few samples do


def of_counts(samples: int, wrong: int, right: int, binary: bool = True) -> PairedErrors:
    return PairedErrors(samples, (wrong - right) / samples, (wrong + right) / samples, binary)


def test_paired_errors_are_counted_by_sample() -> None:
    dense, pruned = np.array([0, 0, 1, 1, 0.0]), np.array([0, 1, 0, 1, 1.0])
    assert paired_errors(dense, pruned) == of_counts(5, 2, 1)
    assert not paired_errors(dense, np.array([0, 0.5, 0, 1, 1])).binary


@pytest.mark.parametrize(
    ("dense", "pruned", "said"),
    [
        ([0, 1], [0], "found \\[2\\] of the dense network and \\[1\\]"),
        ([], [], "same samples"),
        ([0, 1], [0, 1.5], r"in \[0, 1\]"),
        ([0, 1], [0, math.nan], r"in \[0, 1\]"),
    ],
)
def test_what_cannot_be_paired_is_refused(
    dense: list[float], pruned: list[float], said: str
) -> None:
    with pytest.raises(PrunebenchError, match=said):
        paired_errors(np.array(dense), np.array(pruned))


def rejects(samples: int, tau: float, alpha: float) -> np.ndarray:
    """Whether the test rejects, for every (wrong, right)."""
    found = np.zeros((samples + 1, samples + 1), bool)
    for wrong in range(samples + 1):
        for right in range(samples + 1 - wrong):
            found[wrong, right] = p_value(of_counts(samples, wrong, right), tau, alpha) <= alpha
    return found


@pytest.mark.parametrize("tau", [5.0, -5.0])
def test_the_exact_test_keeps_its_level_at_every_share_of_changed_samples(tau: float) -> None:
    samples, alpha = 40, 0.1
    rejected = rejects(samples, tau, alpha)
    assert rejected.any()
    logs = np.array([math.lgamma(n + 1) for n in range(samples + 1)])
    wrong, right = np.nonzero(rejected)
    ways = logs[samples] - logs[wrong] - logs[right] - logs[samples - wrong - right]
    for changed in np.linspace(abs(tau) / 100 + 0.001, 0.999, 150):  # far finer than the test's own
        up, down = (changed + tau / 100) / 2, (changed - tau / 100) / 2
        same = samples - wrong - right
        logs_of = ways + wrong * math.log(up) + right * math.log(down)
        size = np.exp(logs_of + same * math.log(1 - changed)).sum()
        assert size <= alpha


def test_the_exact_p_agrees_with_counting_all_outcomes() -> None:
    """By hand: 2 samples of 2 unchanged; the interval of the share that changes decides alone."""
    samples = 60  # (1 − q)^60 = 0.0025 at q = 0.095 > 0.05: not excluded by that alone
    high = 1 - 0.0025 ** (1 / samples)

    # no sample changes; rise ≤ 0 has the largest probability at one end of the interval
    def tail(changed: float) -> float:
        up, down = (changed + 0.05) / 2, (changed - 0.05) / 2
        step = np.array([down, 1 - changed, up])
        spread = np.array([1.0])
        for _ in range(samples):
            spread = np.convolve(spread, step)
        return float(spread[: samples + 1].sum())

    assert high > 0.05
    places = [tail(q) for q in np.linspace(0.05, high, 9)]
    assert p_value(of_counts(samples, 0, 0), 5.0, 0.05) == pytest.approx(max(places) + 0.005)


def test_betting_keeps_its_level_where_differences_are_skewed() -> None:
    """The worst for a mean: rare large rises, frequent small falls. 5 % may be shown wrongly."""
    generator, shown, runs = np.random.default_rng(0), 0, 2000
    for _ in range(runs):
        large = generator.random(300) < 0.1
        differences = np.where(large, 0.9, -0.04 / 0.9)  # their mean is 0.05
        found = PairedErrors(300, float(differences.mean()), float((differences**2).mean()), False)
        shown += p_value(found, TAU, 0.05) <= 0.05
    assert 0 < shown + 1 <= runs * 0.05 + 3 * math.sqrt(runs * 0.05 * 0.95)


def test_betting_never_claims_more_than_the_capital_that_was_won() -> None:
    from prunebench.statistics.tolerance import BETS

    differences = np.random.default_rng(1).uniform(-0.4, 0.3, 400)
    won = np.prod(1 + np.outer(BETS / 0.95, 0.05 - differences), axis=1).mean()
    found = PairedErrors(400, float(differences.mean()), float((differences**2).mean()), False)
    assert 1 / won <= p_value(found, TAU) < 1e-3


def test_the_bound_is_where_the_test_turns() -> None:
    found = of_counts(400, 12, 8)
    bound = upper_bound(found)
    assert p_value(found, bound) <= 0.05 < p_value(found, bound - 0.02)
    # of a normal distribution 1 + 1.645 · √0.05 / 20 = 2.84; exact for any share, so larger
    assert 2.84 < bound < 3.7


def test_more_samples_are_asked_for_and_would_do() -> None:
    found = of_counts(100, 5, 4)
    needed = samples_needed(found, TAU)
    assert p_value(found, TAU) > 0.05
    assert needed is not None
    assert 100 < needed < 400
    assert p_value(of_counts(needed, round(needed * 0.05), round(needed * 0.04)), TAU) <= 0.05
    assert samples_needed(of_counts(100, 9, 4), TAU) is None


def test_testing_stops_at_the_first_that_is_not_shown() -> None:
    good, bad, unclear = of_counts(500, 5, 5), of_counts(500, 90, 5), of_counts(500, 28, 5)
    sparsities = [0.5, 0.7, 0.9]
    ended = largest_tolerated(sparsities, [good, bad, good], TAU)
    assert (ended.sparsity, ended.ended, ended.next_sparsity) == (0.5, EXCEEDED, 0.7)
    assert ended.needed is None
    assert 0 < ended.bound < TAU
    ended = largest_tolerated(sparsities, [unclear, good, good], TAU)
    assert (ended.place, ended.sparsity, ended.bound, ended.ended) == (-1, 0, 0, UNRESOLVED)
    assert ended.needed is not None
    assert ended.needed > 500
    ended = largest_tolerated(sparsities, [good, None, good], TAU)
    assert (ended.sparsity, ended.ended) == (0.5, FAILED)
    ended = largest_tolerated(sparsities, [good] * 3, TAU)
    assert (ended.sparsity, ended.ended, ended.next_sparsity) == (0.9, SHOWN, None)


def test_sparsities_must_rise() -> None:
    with pytest.raises(PrunebenchError, match="must rise"):
        largest_tolerated([0.5, 0.5], [None, None])


def test_bisection_halves_the_range_as_if_the_curve_rose() -> None:
    assert [bisected(rises, 1.0) for rises in ([0, 0, 2], [2, 2, 2], [0, 0, 0])] == [1, -1, 2]
    assert bisected([0, 5, 0, 0, 0], 1.0) == 4  # it never looked at the second


def simulated(samples: int, curves: int, alpha: float, tau: float) -> tuple[float, float]:
    """Return how often testing and bisection end above the tolerance, over random curves.

    The rise is known: at first within τ, from a random place on just above it, and not monotone.
    """
    generator = np.random.default_rng(samples)
    levels = 7
    above = np.zeros(2)
    for _ in range(curves):
        first = generator.integers(0, levels)
        rise = np.where(np.arange(levels) < first, 0.0, tau / 100 + 1e-9)
        rise[:first] += generator.uniform(-0.4, 0.4, first) * tau / 100
        changed = tau / 100 + 0.01 + np.arange(levels) * 0.01
        shares = np.stack([(changed + rise) / 2, (changed - rise) / 2, 1 - changed], axis=1)
        counts = generator.multinomial(samples, shares)
        found = [of_counts(samples, int(wrong), int(right)) for wrong, right, _ in counts]
        shown = [p_value(each, tau, alpha) <= alpha for each in found]
        tested = shown.index(False) if False in shown else levels
        halved = bisected([100 * each.rise for each in found], tau)
        above += [tested - 1 >= first, halved >= first]
    return float(above[0] / curves), float(above[1] / curves)


def most(alpha: float, curves: int) -> float:
    """Three standard errors above the level."""
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / curves)


def test_the_promise_holds_over_curves_where_bisection_breaks_it() -> None:
    testing, bisection = simulated(300, 400, 0.05, TAU)
    assert testing <= most(0.05, 400)
    assert bisection > 0.3


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "tau"), [(300, 5.0), (2000, 1.0)])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_the_promise_holds_over_2000_curves(samples: int, tau: float, alpha: float) -> None:
    testing, bisection = simulated(samples, 2000, alpha, tau)
    assert testing <= most(alpha, 2000)
    assert bisection > 0.3
