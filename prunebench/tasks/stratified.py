"""Stratified choice: every class keeps its share, to within one sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Permute = Callable[[int], Integers]  # n -> a random order of 0..n-1


def permuter(*seed: int) -> Permute:
    """Return a function n -> random order of 0..n-1, with a generator of its own.

    Orders sort the bit generator's raw stream, which numpy guarantees never to change. The stream
    of ``Generator.permutation`` may change between versions, and with it every split would.

    Args:
        seed: numbers of at least 0.
    """
    bits = np.random.PCG64(np.random.SeedSequence(seed))
    return lambda n: np.argsort(bits.random_raw(n), kind="stable").astype(np.int64)


def quotas(sizes: Integers, count: int) -> Integers:
    """Return how many of each class to take for ``count`` in all (largest remainders).

    Each quota is less than one away from its class's exact share, and never above its size.

    Args:
        sizes: [K], of the classes.
        count: from 0 to the sum of the sizes.
    """
    total = max(int(sizes.sum()), 1)
    shares, remainders = np.divmod(sizes * count, total)
    missing = count - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return shares


def stratified(labels: Integers, count: int, permute: Permute) -> Integers:
    """Return sorted positions of ``count`` samples, each class in its share.

    Args:
        labels: [N].
        count: from 0 to N.
        permute: random orders.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    chosen = [
        np.flatnonzero(labels == label)[permute(int(size))[:quota]]
        for label, size, quota in zip(classes, sizes, quotas(sizes, count), strict=True)
    ]
    return np.sort(np.concatenate([np.empty(0, np.int64), *chosen]))
