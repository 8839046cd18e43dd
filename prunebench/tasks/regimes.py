"""Apply a regime, which provokes overfitting: fewer training samples, wrong labels.

Validation and test stay as they are.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.storage.hashing import derive_seed
from prunebench.tasks.stratified import stratified

if TYPE_CHECKING:
    from prunebench.experiment.settings import Regime

# labels [n], classes, regime, generator -> positions in the order in which they are mislabelled
# [m <= n], and the wrong label of each [m]. What it draws depends on n and classes alone, never
# on how many are asked for: so less noise is a part of more.
Noise = Callable[[Tensor, int, "Regime", torch.Generator], tuple[Tensor, Tensor]]
NOISES: dict[str, Noise] = {}


def _noise(function: Noise) -> Noise:
    """Register a kind of label noise under its function's name: ``_pair_flip`` is pair-flip."""
    NOISES[function.__name__.strip("_").replace("_", "-")] = function
    return function


@dataclass(frozen=True, eq=False)
class AppliedRegime:
    """A regime applied to a training split: n of its samples, some mislabelled.

    ``label_hash`` is the SHA-256 of the indices, the flipped positions and their new labels.
    """

    indices: Tensor  # int64 [n], sorted positions in the training split
    given: Tensor  # int64 [n], the labels to train on
    clean: Tensor  # int64 [n], the source's labels
    flipped: Tensor  # bool [n], given != clean
    label_hash: str
    noisy_val: Tensor | None = None  # int64 [V], validation labels with the same noise, if any


def apply(
    regime: Regime, labels: Tensor, val: Tensor, classes: int, generator: torch.Generator
) -> AppliedRegime:
    """Choose n training samples, stratified, and mislabel exactly round(label_noise · n) of them.

    With one seed the samples mislabelled at a lower noise are among those at a higher noise of the
    same kind, with the same wrong labels. A noisy validation split comes from a generator of its
    own, so that asking for it changes nothing else.

    Args:
        regime: how many samples, and which noise.
        labels: int64 [N] of the training split, on the CPU; not changed.
        val: int64 [V] of the validation split, on the CPU; not changed.
        classes: how many.
        generator: a CPU generator.

    Raises:
        PrunebenchError: a class is left without samples, or the data cannot give what is asked.
    """
    indices = _subset(labels, regime, generator)
    clean = labels[indices].clone()
    _check(regime, clean, classes)
    given = _mislabel(regime, clean, classes, generator)
    flipped = given != clean
    noisy_val = None
    if regime.noisy_val and regime.label_noise:
        own = torch.Generator().manual_seed(derive_seed("noisy_val", generator.initial_seed()))
        noisy_val = _mislabel(regime, val, classes, own, as_far_as=True)
    return AppliedRegime(indices, given, clean, flipped, _hash(indices, flipped, given), noisy_val)


def _check(regime: Regime, clean: Tensor, classes: int) -> None:
    where = f"regime {regime.name!r}"
    present = torch.zeros(classes, dtype=torch.bool)
    present[clean] = True
    if not present.all():
        asked = f"train_fraction {regime.train_fraction}"
        if regime.train_samples is not None:
            asked = f"train_samples {regime.train_samples}"
        raise PrunebenchError(
            f"{where}: {asked} keeps {len(clean)} samples and none of class"
            f" {int((~present).nonzero()[0])}"
        )
    unknown = sorted({c for pair in regime.class_map.items() for c in pair if c >= classes})
    if unknown:
        raise PrunebenchError(
            f"{where}: class_map names class {unknown[0]}: the task's are 0 to {classes - 1}"
        )


def _mislabel(
    regime: Regime, clean: Tensor, classes: int, generator: torch.Generator,
    as_far_as: bool = False,
) -> Tensor:  # fmt: skip
    """Return ``clean`` [n] with exactly round(label_noise · n) labels of another class.

    ``as_far_as`` takes fewer where fewer can be changed: validation has other shares of classes.
    """
    count = round(regime.label_noise * len(clean))
    order, wrong = NOISES[regime.noise](clean, classes, regime, generator)
    if count > len(order) and not as_far_as:
        # rounded down, so that the message names a number that is accepted
        largest = math.floor(1e4 * len(order) / len(clean)) / 1e4
        raise PrunebenchError(
            f"regime {regime.name!r}: label_noise {regime.label_noise} of {len(clean)} samples is"
            f" {count}, but the classes that class_map changes have {len(order)}: the largest"
            f" possible label_noise is {largest:g}"
        )
    given = clean.clone()
    given[order[:count]] = wrong[:count]
    return given


@_noise
def _symmetric(
    clean: Tensor, classes: int, regime: Regime, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Any sample, to any other class: both uniform (Zhang 2017, without their right labels)."""
    del regime
    order = torch.randperm(len(clean), generator=generator)
    shifts = torch.randint(1, classes, (len(clean),), generator=generator)
    return order, (clean[order] + shifts) % classes


@_noise
def _pair_flip(
    clean: Tensor, classes: int, regime: Regime, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Any sample, uniform, to the next class: c to (c + 1) mod K (Han 2018, Co-teaching)."""
    del regime
    order = torch.randperm(len(clean), generator=generator)
    return order, (clean[order] + 1) % classes


@_noise
def _asymmetric(
    clean: Tensor, classes: int, regime: Regime, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Samples of the classes in ``class_map`` only, uniform, each to its partner (Patrini 2017)."""
    partner = torch.arange(classes)
    partner[list(regime.class_map)] = torch.tensor(list(regime.class_map.values()))
    order = torch.randperm(len(clean), generator=generator)
    wrong = partner[clean[order]]
    changed = wrong != clean[order]
    return order[changed], wrong[changed]


def _subset(labels: Tensor, regime: Regime, generator: torch.Generator) -> Tensor:
    """Return sorted positions of the samples kept; draw nothing where all are kept."""
    count = regime.train_samples
    if count is None:
        count = round(regime.train_fraction * len(labels))
    elif count > len(labels):
        raise PrunebenchError(
            f"regime {regime.name!r}: train_samples {count}: the training split has {len(labels)}"
        )
    if count >= len(labels):
        return torch.arange(len(labels))

    def permute(n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        order: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
        order = torch.randperm(n, generator=generator).numpy()
        return order

    return torch.from_numpy(stratified(labels.numpy(), count, permute))


def _hash(indices: Tensor, flipped: Tensor, given: Tensor) -> str:
    """Return SHA-256 of three lists of numbers (little-endian int64), each after its length."""
    positions = flipped.nonzero().flatten()
    digest = hashlib.sha256()
    for numbers in (indices, positions, given[positions]):
        digest.update(len(numbers).to_bytes(8, "little"))
        digest.update(numbers.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
