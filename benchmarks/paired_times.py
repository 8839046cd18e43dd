"""Times of two ways that were taken in turn, compared pair by pair."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Collection, Iterable

import torch


def ratio(times: Iterable[float], of: Iterable[float]) -> str:
    """Return the median of the pairs' ratios, with the least and the largest."""
    found = sorted(one / other for one, other in zip(times, of, strict=True))
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def measure_each(
    measure: Callable[[str, int, int], None], networks: Collection[str], about: str,
    pairs: int, steps: int,
) -> None:  # fmt: skip
    """Measure the networks that the command line names, on one thread.

    Args:
        measure: prints what it finds of a network by its name, with that many pairs and steps.
        networks: those that there are; all by default.
        about: the first line of the program's help.
        pairs: how many, by default.
        steps: of training in each, by default.
    """
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=networks, default=list(networks))
    parser.add_argument("--pairs", type=int, default=pairs)
    parser.add_argument("--steps", type=int, default=steps)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.networks:
        measure(name, given.pairs, given.steps)
