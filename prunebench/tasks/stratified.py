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


def quotas(sizes: Integers, count: int, least: int = 0, leave: int = 0) -> Integers:
    """Return how many of each class to take for ``count`` in all (largest remainders).

    Each quota is less than one away from its class's exact share, and never above its size, unless
    ``least`` or ``leave`` asks for another: then the largest classes make up for the tiny ones.
    Where the two cannot be met they are disregarded.

    Args:
        sizes: [K], of the classes.
        count: from 0 to the sum of the sizes.
        least: how many to take of every class.
        leave: how many to leave of every class.
    """
    total = max(int(sizes.sum()), 1)
    shares, remainders = np.divmod(sizes * count, total)
    missing = count - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:missing]] += 1
    low, high = np.full_like(sizes, least), sizes - leave
    if (low > high).any() or not low.sum() <= count <= high.sum():
        return shares
    bounded = np.clip(shares, low, high)
    while difference := count - int(bounded.sum()):
        step, room = (1, high - bounded) if difference > 0 else (-1, bounded - low)
        bounded[np.argmax(room)] += step
    return bounded


def stratified(
    labels: Integers, count: int, permute: Permute, least: int = 0, leave: int = 0
) -> Integers:
    """Return sorted positions of ``count`` samples, each class in its share.

    Args:
        labels: [N].
        count: from 0 to N.
        permute: random orders.
        least: how many to take of every class, and …
        leave: … how many to leave of it, as far as ``quotas`` can.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    taken = quotas(sizes, count, least, leave)
    chosen = [
        np.flatnonzero(labels == label)[permute(int(size))[:quota]]
        for label, size, quota in zip(classes, sizes, taken, strict=True)
    ]
    return np.sort(np.concatenate([np.empty(0, np.int64), *chosen]))
