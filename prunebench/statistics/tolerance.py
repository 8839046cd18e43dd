"""Find the largest sparsity whose error is at most τ points above dense, with confidence 1 − α.

Fixed-sequence testing (Learn then Test, Angelopoulos 2021, section 2.2; Pareto Testing,
Laufer-Goldshtein 2023): from low to high sparsity, each by a test of "the error has risen by τ or
more", up to the first that this test does not reject. Every test has level α, and the sequence
needs no correction. So "error − dense ≤ τ" is wrong with probability α at most, however noisy or
bent the curve is. It is a statement on new samples of the same source, about these networks.

The tests are valid for any number of samples:

- errors of 0 and 1: the exact unconditional test of a paired difference of shares (Sidik 2003), its
  nuisance parameter bounded by a confidence interval (Berger and Boos 1994);
- other errors in [0, 1]: betting against the differences (Waudby-Smith and Ramdas 2023), each bet
  bounded from below by its first two moments (Fan 2015, equation 4.12).

Hoeffding's and Bentkus' bounds are valid as well, but know nothing of how few samples change: a
network that errs on 5 % of other samples than dense would need about twenty times as many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, gammaln

from prunebench.errors import PrunebenchError
from prunebench.statistics.bootstrap import Floats
from prunebench.statistics.significance import ALPHA

TAU = 1.0  # points
SHOWN, EXCEEDED, UNRESOLVED, FAILED = "shown", "exceeded", "unresolved", "failed"
MOST_SAMPLES = 10_000_000
# of α, for the event that the share of changed samples is not in its interval
NUISANCE = 0.1
PLACES = 9  # in that interval, at which the p-value is computed
# shares of the capital that are bet, all with equal weight: fixed before the data are seen
BETS = np.geomspace(0.005, 0.95, 30)


@dataclass(frozen=True)
class PairedErrors:
    """What the tests need of the differences d = error − dense's error of the same sample."""

    samples: int
    rise: float  # mean of d, in [-1, 1]
    square: float  # mean of d², in [0, 1]
    binary: bool  # every error is 0 or 1

    def mirrored(self) -> PairedErrors:
        """Return the differences with the opposite sign."""
        return replace(self, rise=-self.rise)


def paired_errors(dense: Floats, pruned: Floats) -> PairedErrors:
    """Return what the tests need of the errors of single samples.

    Args:
        dense: Errors of the dense network, in [0, 1], (samples,).
        pruned: Those of the pruned network on the same samples in the same order.

    Raises:
        PrunebenchError: no samples, of another number or not in [0, 1].
    """
    dense, pruned = np.asarray(dense, dtype=float), np.asarray(pruned, dtype=float)
    if dense.shape != pruned.shape or dense.ndim != 1 or not len(dense):
        raise PrunebenchError(
            "tolerance: errors of the same samples are compared, found"
            f" {list(dense.shape)} of the dense network and {list(pruned.shape)} of the pruned one"
        )
    both = np.concatenate([dense, pruned])
    if not ((both >= 0) & (both <= 1)).all():
        raise PrunebenchError("tolerance: errors of single samples must be in [0, 1]")
    differences = pruned - dense
    binary = bool(np.isin(both, (0, 1)).all())
    return PairedErrors(
        len(dense), float(differences.mean()), float((differences**2).mean()), binary
    )


def p_value(found: PairedErrors, tau: float = TAU, alpha: float = ALPHA) -> float:
    """Return the p-value of "the error has risen by ``tau`` or more".

    Args:
        found: The paired errors.
        tau: In percentage points of error; below 0 it is a fall.
        alpha: The level that p will be compared with. The exact test gives its tenth to the
            confidence interval, so that p is never below that.
    """
    share = tau / 100
    if share >= 1:
        return 0.0
    if found.binary:
        wrong = found.samples * (found.square + found.rise) / 2  # turned wrong
        right = found.samples * (found.square - found.rise) / 2
        return _exact(found.samples, round(wrong), round(right), share, NUISANCE * alpha)
    return _betting(found, share)


@lru_cache(maxsize=100_000)
def _exact(samples: int, wrong: int, right: int, tau: float, nuisance: float) -> float:
    """Return the p of shares: the largest over the share of changed samples' interval.

    With q the share of samples that change and a rise of exactly τ, (q + τ)/2 turn wrong and
    (q − τ)/2 right. p is the probability of a rise as small as the observed one.
    """
    changed, rise = wrong + right, wrong - right
    low, high = _interval(changed, samples, nuisance)
    low = max(low, abs(tau))  # what rises by τ changes at least as often
    if high < low:  # so few change that the error cannot have risen by τ
        return nuisance
    largest = _tails(samples, rise, np.linspace(low, high, PLACES), tau).max()
    return min(1.0, float(largest) + nuisance)


def _interval(count: int, samples: int, outside: float) -> tuple[float, float]:
    """Return the interval of a share (Clopper and Pearson 1934)."""
    low = betaincinv(count, samples - count + 1, outside / 2) if count else 0.0
    high = betaincinv(count + 1, samples - count, 1 - outside / 2) if count < samples else 1.0
    return float(low), float(high)


def _tails(samples: int, rise: int, q: Floats, tau: float) -> Floats:
    """Return P(turned wrong − turned right ≤ rise) for each share q [Q] that changes."""
    q = np.clip(q, 1e-12, 1 - 1e-12)[:, None]
    width = 8 * np.sqrt(samples * q * (1 - q)).max() + 30
    first = max(0, math.floor(samples * q.min() - width))
    last = min(samples, math.ceil(samples * q.max() + width))
    changed = np.arange(first, last + 1)
    others = samples - changed
    ways = gammaln(samples + 1) - gammaln(changed + 1) - gammaln(others + 1)
    shares = np.exp(ways + changed * np.log(q) + others * np.log1p(-q))
    most = (changed + rise) // 2  # of the changed that may turn wrong
    inside = bdtr(np.clip(most, 0, changed), changed, np.clip((1 + tau / q) / 2, 0, 1))
    below = np.where(most >= changed, 1.0, np.where(most < 0, 0.0, inside))
    found: Floats = (shares * below).sum(axis=1)
    return found


def _betting(found: PairedErrors, tau: float) -> float:
    """Return one over the mean of the capitals that bets on a rise below τ have won.

    A bet λ turns a capital of 1 into Π(1 + λ(τ − d)), whose mean is 1 at most where d rises by τ
    or more on average. log(1 + x) ≥ x + x² · (log(1 − ℓ) + ℓ)/ℓ² for x ≥ −ℓ.
    """
    bets = BETS / (1 - tau)
    first = bets * (tau - found.rise)
    second = bets**2 * (tau**2 - 2 * tau * found.rise + found.square)
    gains = found.samples * (first + second * (np.log1p(-BETS) + BETS) / BETS**2)
    largest = gains.max()
    capital = math.log(np.exp(gains - largest).mean()) + largest
    return min(1.0, math.exp(-capital)) if capital > 0 else 1.0


def upper_bound(found: PairedErrors, alpha: float = ALPHA) -> float:
    """Return the smallest rise that the test excludes, in points: an upper bound at 1 − α."""
    low, high = max(100 * found.rise, -99.0), 100.0
    while high - low > 0.005:
        middle = (low + high) / 2
        if p_value(found, middle, alpha) <= alpha:
            high = middle
        else:
            low = middle
    return high


def samples_needed(found: PairedErrors, tau: float = TAU, alpha: float = ALPHA) -> int | None:
    """Return how many samples would show a rise below ``tau``, if the shares stayed as they are.

    As estimates are, the shares of other samples will be better or worse: that many samples show it
    about every second time.

    Returns:
        Rounded up to two digits; None where the rise is too close to ``tau`` or above it.
    """
    if 100 * found.rise >= tau:
        return None

    def shows(samples: int) -> bool:
        return p_value(replace(found, samples=samples), tau, alpha) <= alpha

    low, high = 0, max(16, found.samples)
    while not shows(high):
        low, high = high, 2 * high
        if high > MOST_SAMPLES:
            return None
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    digits = 10 ** max(0, len(str(high)) - 2)
    return -(-high // digits) * digits


@dataclass(frozen=True)
class Tolerated:
    """The largest sparsity that was shown to be within the tolerance, and where testing ended."""

    place: int  # of the largest sparsity shown; -1: not even the lowest
    sparsity: float  # 0: dense
    bound: float  # upper bound of the rise there, in points; 0 for dense
    ended: str  # SHOWN: at the end of the sparsities, else why it stopped at ``next_sparsity``
    next_sparsity: float | None  # the first that was not shown
    next_p: float | None
    needed: int | None  # samples that would show it, if its shares stayed as they are


def largest_tolerated(
    sparsities: Sequence[float],
    found: Sequence[PairedErrors | None],
    tau: float = TAU,
    alpha: float = ALPHA,
) -> Tolerated:
    """Test from low to high sparsity, and stop at the first that is not shown to be within τ.

    Args:
        sparsities: Rising, chosen before the samples are looked at.
        found: The paired errors at each; None where the network failed.
        tau: The tolerance, in percentage points of error.
        alpha: The probability with which the promise may be wrong.

    Returns:
        EXCEEDED where the first that is not shown is shown to be above τ, by a test of the same
        level; UNRESOLVED where neither is shown, for lack of samples.

    Raises:
        PrunebenchError: sparsities that do not rise, or of another number.
    """
    if len(sparsities) != len(found) or (np.diff(sparsities) <= 0).any():
        raise PrunebenchError(
            "tolerance: sparsities must rise, with the errors of one network each"
        )
    place = -1
    p: float | None = None
    for each in found:
        p = None if each is None else p_value(each, tau, alpha)
        if p is None or p > alpha:
            break
        place += 1
    best = found[place] if place >= 0 else None
    sparsity = float(sparsities[place]) if place >= 0 else 0.0
    bound = upper_bound(best, alpha) if best is not None else 0.0
    if place + 1 == len(found):
        return Tolerated(place, sparsity, bound, SHOWN, None, None, None)
    stop, after = found[place + 1], float(sparsities[place + 1])
    if stop is None:
        return Tolerated(place, sparsity, bound, FAILED, after, None, None)
    above = p_value(stop.mirrored(), -tau, alpha) <= alpha
    needed = None if above else samples_needed(stop, tau, alpha)
    ended = EXCEEDED if above else UNRESOLVED
    return Tolerated(place, sparsity, bound, ended, after, p, needed)


def bisected(rises: Sequence[float] | NDArray[np.float64], tau: float = TAU) -> int:
    """Return the place that bisection finds: what is done where curves are taken as they look.

    It halves the range as if the curve rose everywhere and were measured without error.

    Args:
        rises: The error minus dense's on validation, in points, by rising sparsity; NaN is above.
        tau: The tolerance, in points.

    Returns:
        The place of the largest sparsity found within the tolerance; -1: none.
    """
    low, high = -1, len(rises)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if rises[middle] <= tau else (low, middle)
    return low
