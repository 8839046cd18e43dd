"""Simulate the size of the sign-flip test and the coverage of the intervals, as Markdown tables.

    PYTHONPATH=. python benchmarks/size_and_coverage.py --trials 4000

Run by hand; docs/statistics.md holds what it printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from prunebench.statistics import bootstrap
from prunebench.statistics.significance import sign_flip, unit_shares

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
ALPHA = 0.05
DRAWS = 2000
FAILURES = 1 / 16  # share of trainings that fail
CHANCE = 50.0  # points by which a failed cell is worse, if it is counted as a constant predictor

# what one difference of a seed looks like: mean 0, in points
NOISE: dict[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "heavy tails (t, 3 degrees)": lambda generator, shape: generator.standard_t(3, size=shape),
    "lognormal (skewed)": lambda generator, shape: generator.lognormal(size=shape) - np.exp(0.5),
}


def size(
    trials: int, seeds: int, models: int, correlation: float, merged: bool, seed: int = 0
) -> float:
    """Return how often the test calls a gain that is zero on average significant.

    One task, two regimes of which one has wrong labels, ``models`` networks. The gain of a model
    and seed is normal; its part ``correlation`` is one of the draw of the wrong labels, which
    depends on task and seed alone, so that all models share it.

    Args:
        trials: How many experiments.
        seeds: Of each.
        models: Of each.
        correlation: Of the gains of two models with the same draw.
        merged: Whether the models of a seed are one unit, as the statistics have it where draws
            are shared; else each is a unit of its own.
        seed: Of the generator.
    """
    generator = np.random.default_rng(seed)
    settings = [("t", regime, f"m{m}") for m in range(models) for regime in ("clean", "noisy")]
    names = [np.arange(seeds)] * len(settings)
    shared = {("t", "noisy")} if merged else set()
    columns = []
    for _ in range(trials):
        of_draw = np.sqrt(correlation) * generator.normal(size=seeds)
        values = []
        for _, regime, _ in settings:
            own = generator.normal(size=seeds)
            noisy = regime == "noisy"
            values.append(of_draw + np.sqrt(1 - correlation) * own if noisy else 0.1 * own)
        columns.append(unit_shares(settings, names, values, shared))
    # of 16 units there are 65,536 sign patterns: all trials at once would fill the memory
    parts = np.array_split(np.array(columns).T, 1 + trials // 100, axis=1)
    return float(np.mean(np.concatenate([sign_flip(part) for part in parts]) <= ALPHA))


def coverage(trials: int, seeds: int, draw: Draw, failures: float, apart: bool) -> float:
    """Return how often the 95 % interval holds the true mean.

    Args:
        trials: How many experiments of one setting.
        seeds: Of each.
        draw: The differences of the seeds that trained; their mean is 0.
        failures: The share of seeds that fail.
        apart: Whether these are left out, and the mean is that of those that trained; else each
            counts as a constant predictor, CHANCE points worse, and the mean is that of both.
    """
    generator = np.random.default_rng(1)
    values = draw(generator, (trials, seeds))
    failed = generator.random(values.shape) < failures
    values[failed] = np.nan if apart else CHANCE
    true = 0.0 if apart else failures * CHANCE
    weights = bootstrap.resampling_weights("t/r/m", seeds, DRAWS)
    moved = bootstrap.deviations(weights, values)
    low, high = bootstrap.mean_over_settings([("t", "r", "m")], [values], [moved]).ends
    return float(((low <= true) & (true <= high)).mean())


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=4000)
    trials = parser.parse_args().trials
    print(f"Size at the level {ALPHA:g}, {trials:,} trials:\n")
    print("| seeds × models | correlation of gains | a model is a unit | models together |")
    print("| --- | --- | --- | --- |")
    grid = (
        (8, 1, 0.0), (6, 2, 0.0), (6, 2, 0.1), (6, 2, 0.3), (6, 2, 0.6), (4, 3, 0.3), (8, 2, 0.3),
    )  # fmt: skip
    for seeds, models, correlation in grid:
        found = [size(trials, seeds, models, correlation, merged) for merged in (False, True)]
        shown = " | ".join(f"{100 * each:.1f} %" for each in found)
        print(f"| {seeds} × {models} | {correlation:g} | {shown} |")
    print(f"\nCoverage of the 95 % interval, {trials:,} trials:\n")
    print("| differences | 3 seeds | 5 seeds | 8 seeds | 16 seeds |")
    print("| --- | --- | --- | --- | --- |")
    rows = [(name, draw, 0.0, True) for name, draw in NOISE.items()]
    normal = NOISE["normal"]
    rows.append(("normal, 1 in 16 fails, failures apart", normal, FAILURES, True))
    rows.append(("normal, 1 in 16 fails, counted as chance", normal, FAILURES, False))
    for name, draw, failures, apart in rows:
        found = [coverage(trials, seeds, draw, failures, apart) for seeds in (3, 5, 8, 16)]
        print(f"| {name} | {' | '.join(f'{100 * each:.1f} %' for each in found)} |")


if __name__ == "__main__":
    main()
