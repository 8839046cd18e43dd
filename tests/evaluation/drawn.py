"""Predictions drawn at random, and the softmax of a row by a loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from prunebench.tasks.predictions import Predictions
from tests.kinds import classes

SPLITS = ("train", "val", "test")


def of_classes(
    logits: dict[str, Any], labels: dict[str, Any], clean: Any, baseline: Any, **more: Any
) -> Predictions:
    """Predictions of classes; ``baseline`` are the classes that the dense network predicts."""
    count = logits["test"].shape[1]
    return Predictions(classes(count), logits, labels, clean, np.eye(count)[baseline], **more)


def predictions(
    seed: int = 0, classes: int = 5, count: int = 200, scale: float = 2.0
) -> Predictions:
    """With wrong labels, noisy validation labels, and logits around the moment of pruning."""
    draw = np.random.default_rng(seed)
    logits = {s: draw.normal(0, scale, (count, classes)) for s in SPLITS}
    labels = {s: draw.integers(0, classes, count) for s in SPLITS}
    clean = labels["train"].copy()
    flipped = draw.random(count) < 0.3
    clean[flipped] = (clean[flipped] + 1) % classes
    return of_classes(
        logits, labels, clean, draw.integers(0, classes, count),
        noisy_val=draw.integers(0, classes, count),
        val_before=draw.normal(0, scale, (count, classes)),
        val_after=draw.normal(0, scale, (count, classes)),
        stopped={s: draw.normal(0, scale, (count, classes)) for s in SPLITS},
        baseline_val=draw.normal(0, scale, (count, classes)),
    )  # fmt: skip


def softmax(row: np.ndarray) -> list[float]:
    powers = [math.exp(value - max(row)) for value in row]
    return [power / sum(powers) for power in powers]


def top(row: np.ndarray) -> int:
    """The most probable class."""
    return list(row).index(max(row))
