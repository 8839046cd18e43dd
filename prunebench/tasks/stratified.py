"""Stratified choice: every class keeps its share, to within one sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Permute = Callable[[int], Integers]  # n -> a random order of 0..n-1


def permuter(*seed: int) -> Permute:
    """Random orders from a generator of their own, seeded with ``seed`` (numbers >= 0).

    They sort the bit generator's raw stream, which numpy guarantees never to change; the stream
    of ``Generator.permutation`` may change between versions, and with it every split.
    """
    bits = np.random.PCG64(np.random.SeedSequence(seed))
    return lambda n: np.argsort(bits.random_raw(n), kind="stable").astype(np.int64)


def quotas(sizes: Integers, count: int) -> Integers:
    """How many of each class to take so that ``count`` are taken in all (largest remainders).

    ``sizes`` [K] holds the classes' sizes; 0 <= count <= sizes.sum(). Each quota is less than
    one away from its class's exact share and never above its size.
    """
    total = max(int(sizes.sum()), 1)
    shares, remainders = np.divmod(sizes * count, total)
    missing = count - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return shares


def stratified(labels: Integers, count: int, permute: Permute) -> Integers:
    """Sorted positions of ``count`` samples of ``labels`` [N], each class in its share."""
    classes, sizes = np.unique(labels, return_counts=True)
    chosen = [
        np.flatnonzero(labels == label)[permute(int(size))[:quota]]
        for label, size, quota in zip(classes, sizes, quotas(sizes, count), strict=True)
    ]
    return np.sort(np.concatenate([np.empty(0, np.int64), *chosen]))
