"""Apply a regime, which provokes overfitting: fewer training samples, wrong labels.

Validation and test stay as they are.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.storage.hashing import derive_seed
from prunebench.tasks.stratified import stratified
from prunebench.tasks.task_kind import TaskKind

if TYPE_CHECKING:
    from prunebench.experiment.settings import Regime


@dataclass(frozen=True, eq=False)
class AppliedRegime:
    """A regime applied to a training split: n of its samples, some mislabelled.

    ``label_hash`` is the SHA-256 of the indices, the flipped positions and their new labels.
    """

    indices: Tensor  # int64 [n], sorted positions in the training split
    given: Tensor  # [n, ...], the targets to train on
    clean: Tensor  # [n, ...], the source's targets
    flipped: Tensor  # bool [n, ...], given != clean
    label_hash: str
    noisy_val: Tensor | None = None  # [V, ...], validation targets with the same noise, if any
    # [C, ...], calibration targets with the same noise: they are out of training
    calibration: Tensor | None = None


def apply(
    regime: Regime, targets: Tensor, val: Tensor, kind: TaskKind, generator: torch.Generator,
    calibration: Tensor | None = None,
) -> AppliedRegime:  # fmt: skip
    """Choose n training samples, stratified, and mislabel exactly round(label_noise · n) of them.

    With one seed the samples mislabelled at a lower noise are among those at a higher noise of the
    same kind, with the same wrong labels. Noisy validation and calibration splits come from
    generators of their own, so that asking for them changes nothing else.

    Args:
        regime: how many samples, and which noise.
        targets: [N, ...] of the training split, on the CPU; not changed.
        val: [V, ...] of the validation split, on the CPU; not changed.
        kind: of the task: what wrong targets are, and which samples are alike.
        generator: a CPU generator.
        calibration: [C, ...] of the calibration split, on the CPU; not changed.

    Raises:
        PrunebenchError: a class is left without samples, or the data cannot give what is asked.
    """
    indices = _subset(targets, regime, kind, generator)
    clean = targets[indices].clone()
    if fault := kind.check_subset(clean, regime):
        raise PrunebenchError(f"regime {regime.name!r}: {fault}")
    given = _mislabel(regime, clean, kind, generator)
    flipped = given != clean
    noisy_val = None
    if regime.noisy_val and regime.label_noise:
        own = torch.Generator().manual_seed(derive_seed("noisy_val", generator.initial_seed()))
        noisy_val = _mislabel(regime, val, kind, own, as_far_as=True)
    if calibration is not None and regime.label_noise:
        own = torch.Generator().manual_seed(derive_seed("calibration", generator.initial_seed()))
        calibration = _mislabel(regime, calibration, kind, own, as_far_as=True)
    label_hash = _hash(indices, flipped, given)
    return AppliedRegime(indices, given, clean, flipped, label_hash, noisy_val, calibration)


def _mislabel(
    regime: Regime, clean: Tensor, kind: TaskKind, generator: torch.Generator,
    as_far_as: bool = False,
) -> Tensor:  # fmt: skip
    """Return ``clean`` with exactly round(label_noise · n) wrong targets, n of those that count.

    ``as_far_as`` takes fewer where fewer can be changed: validation has other shares of classes.
    """
    places = kind.places(clean)
    flat = clean[places]
    count = round(regime.label_noise * len(flat))
    if not count:
        return clean.clone()
    order, wrong = kind.noise(flat, regime, generator)
    if count > len(order) and not as_far_as:
        # rounded down, so that the message names a number that is accepted
        largest = math.floor(1e4 * len(order) / len(flat)) / 1e4
        raise PrunebenchError(
            f"regime {regime.name!r}: label_noise {regime.label_noise} of {len(flat)} samples is"
            f" {count}, but noise: {regime.noise} can change {len(order)} of them: the largest"
            f" possible label_noise is {largest:g}"
        )
    flat = flat.clone()
    flat[order[:count]] = wrong[:count]
    given = clean.clone()
    given[places] = flat
    return given


def _subset(targets: Tensor, regime: Regime, kind: TaskKind, generator: torch.Generator) -> Tensor:
    """Return sorted positions of the samples kept; draw nothing where all are kept."""
    count = regime.train_samples
    if count is None:
        count = round(regime.train_fraction * len(targets))
    elif count > len(targets):
        raise PrunebenchError(
            f"regime {regime.name!r}: train_samples {count}: the training split has {len(targets)}"
        )
    if count >= len(targets):
        return torch.arange(len(targets))

    def permute(n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        order: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
        order = torch.randperm(n, generator=generator).numpy()
        return order

    return torch.from_numpy(stratified(kind.strata(targets.numpy()), count, permute))


def _hash(indices: Tensor, flipped: Tensor, given: Tensor) -> str:
    """Return SHA-256 of three lists of numbers, each after its length, little-endian.

    Of targets with several elements these are counted through.
    """
    positions = flipped.flatten().nonzero().flatten()
    digest = hashlib.sha256()
    for numbers in (indices, positions, given.flatten()[positions]):
        digest.update(len(numbers).to_bytes(8, "little"))
        kind = "<f8" if numbers.is_floating_point() else "<i8"
        digest.update(numbers.numpy().astype(kind).tobytes())
    return digest.hexdigest()
