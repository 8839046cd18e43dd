"""Tables of cells with a truth that was put in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import pandas as pd

SPARSITIES = (0.5, 0.75, 0.875, 0.9375, 0.96875, 0.984375)
PARTS = ("criterion", "pattern", "allocation", "schedule", "recovery")
# method: family, control, parts
METHODS: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "magnitude": ("weight", False, ("magnitude", "weight", "global", "one-shot", "fine-tuning")),
    "rewind": (
        "weight", False,
        ("magnitude", "weight", "global", "one-shot", "learning-rate-rewinding"),
    ),
    "back": ("weight", False, ("magnitude", "weight", "global", "one-shot", "weight-rewinding")),
    "at-random": ("weight", True, ("random", "weight", "global", "one-shot", "fine-tuning")),
    "random-rewind": (
        "weight", True, ("random", "weight", "global", "one-shot", "learning-rate-rewinding"),
    ),
    "mixed": ("weight", True, ("magnitude", "weight", "shuffled", "one-shot", "fine-tuning")),
    "mixed-rewind": (
        "weight", True,
        ("magnitude", "weight", "shuffled", "one-shot", "learning-rate-rewinding"),
    ),
    "narrow": (
        "structure", True,
        ("random", "filter", "uniform", "at-initialization", "re-initialization"),
    ),
    "long": ("weight", True, ("magnitude", "weight", "global", "dense", "learning-rate-rewinding")),
    "stopped": ("weight", True, ("magnitude", "weight", "global", "dense", "early-stopping")),
    "decayed": ("weight", True, ("magnitude", "weight", "global", "dense", "tuned-weight-decay")),
}  # fmt: skip
DENSE_CONTROLS = ("long", "stopped", "decayed")


@dataclass(frozen=True)
class Regime:
    name: str
    label_noise: float = 0.0
    train_samples: int = 1000
    memorized_all: bool = True  # the baseline reached training error 0


CLEAN = Regime("clean")
NOISY = Regime("noisy-40", 0.4)
# points of test error over dense, at sparsity s in regime r
Truth = Callable[[Regime, float], float]


def none(regime: Regime, sparsity: float) -> float:
    """Pruning changes nothing."""
    return 0.0


def descent(regime: Regime, sparsity: float) -> float:
    """Nothing with clean labels; with noisy ones it rises, falls far below dense, collapses."""
    height = {0.5: 2.0, 0.75: 3.0, 0.875: -6.0, 0.9375: -12.0, 0.96875: -4.0, 0.984375: 20.0}
    return 2.5 * regime.label_noise * height.get(sparsity, 0.0)


def only_harm(regime: Regime, sparsity: float) -> float:
    return 5.0 * sparsity * (regime.label_noise > 0)


@dataclass
class Plan:
    truths: dict[str, Truth] = field(default_factory=dict)
    regimes: tuple[Regime, ...] = (CLEAN, NOISY)
    seeds: int = 10
    noise: float = 0.1  # points, standard deviation of each cell
    dense_error: float = 0.30
    extra: dict[str, Callable[[Regime, str, float, int], float]] = field(default_factory=dict)


def cells(plan: Plan) -> pd.DataFrame:
    """The table: dense and every method of ``plan.truths``; errors are fractions.

    Each cell's noise comes from a generator seeded by what the cell is, the same for validation
    and test up to a part of its own, so that other methods change nothing.
    """
    rows = []
    for regime in plan.regimes:
        for seed in range(plan.seeds):
            for method, truth in {"dense": none, **plan.truths}.items():
                flat = method == "dense" or method in DENSE_CONTROLS
                for sparsity in (0.0,) if flat else SPARSITIES:
                    rows.append(_row(plan, regime, seed, method, truth, sparsity))
    return pd.DataFrame(rows)


def _row(
    plan: Plan, regime: Regime, seed: int, method: str, truth: Truth, sparsity: float
) -> dict[str, object]:
    key = crc32(f"{regime.name}/{seed}/{method}/{sparsity}".encode())
    draw = np.random.default_rng(key).normal(size=3) * plan.noise
    shift = 0.0 if method == "dense" else truth(regime, sparsity)
    family, control, parts = METHODS.get(method, ("dense", None, ("",) * 5))
    base = 100 * plan.dense_error + 0.2 * seed
    noisy = regime.label_noise > 0
    return {
        "experiment": "e", "task": "t", "regime": regime.name, "model": "m", "method": method,
        "family": family, "seed": seed, "sparsity": sparsity, "status": "ok", "message": None,
        "classes": 10, "control": control,
        **{part: value or None for part, value in zip(PARTS, parts, strict=True)},
        "label_noise": regime.label_noise, "noise": "symmetric",
        "train_samples": regime.train_samples, "augmentation": "False", "width": 1.0,
        "train_error": 0.0 if regime.memorized_all else 0.2,
        "test_error": (base + shift + draw[0] + draw[1]) / 100,
        "val_error": (base + shift + draw[0] + draw[2]) / 100,
        # falls with sparsity, later than the error rises
        "memorized": (1.0 - sparsity**8 if noisy else np.nan),
        **{name: value(regime, method, sparsity, seed) for name, value in plan.extra.items()},
    }  # fmt: skip
