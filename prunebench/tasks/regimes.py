"""What provokes overfitting: fewer training samples, wrong labels. Validation and test stay."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.tasks.strata import stratified

if TYPE_CHECKING:
    from prunebench.settings import Regime


@dataclass(frozen=True, eq=False)
class Regimen:
    """A regime applied to a training split: n samples of it, some mislabelled.

    ``label_hash`` is the SHA-256 of the indices, the flipped positions and their new labels.
    """

    indices: Tensor  # int64 [n], sorted positions in the training split
    given: Tensor  # int64 [n], the labels to train on
    clean: Tensor  # int64 [n], the source's labels
    flipped: Tensor  # bool [n], given != clean
    label_hash: str


def apply(regime: Regime, labels: Tensor, classes: int, generator: torch.Generator) -> Regimen:
    """Choose round(train_fraction · N) samples, stratified, and mislabel round(label_noise · n).

    ``labels`` int64 [N] on the CPU, ``generator`` a CPU generator. The noise is symmetric: which
    samples is uniform, and so is which of the other classes. With one seed the samples mislabelled
    at a lower noise are among those at a higher one, with the same wrong labels. Raises
    PrunebenchError where a class is left without samples.
    """
    indices = _subset(labels, regime, generator)
    clean = labels[indices].clone()
    count = len(clean)
    present = torch.zeros(classes, dtype=torch.bool)
    present[clean] = True
    if not present.all():
        raise PrunebenchError(
            f"regime {regime.name!r}: train_fraction {regime.train_fraction} keeps {count} samples "
            f"and none of class {int((~present).nonzero()[0])}"
        )
    order = torch.randperm(count, generator=generator)
    shifts = torch.randint(1, classes, (count,), generator=generator)
    chosen = order[: round(regime.label_noise * count)]
    given = clean.clone()
    given[chosen] = (clean[chosen] + shifts[: len(chosen)]) % classes
    flipped = torch.zeros(count, dtype=torch.bool)
    flipped[chosen] = True
    return Regimen(indices, given, clean, flipped, _hash(indices, flipped, given))


def _subset(labels: Tensor, regime: Regime, generator: torch.Generator) -> Tensor:
    """Sorted positions of the samples kept; draws nothing where all are."""
    count = round(regime.train_fraction * len(labels))
    if count >= len(labels):
        return torch.arange(len(labels))

    def permute(n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        order: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
        order = torch.randperm(n, generator=generator).numpy()
        return order

    return torch.from_numpy(stratified(labels.numpy(), count, permute))


def _hash(indices: Tensor, flipped: Tensor, given: Tensor) -> str:
    """Hex SHA-256 over three lists of numbers (little-endian int64), each after its length."""
    positions = flipped.nonzero().flatten()
    digest = hashlib.sha256()
    for numbers in (indices, positions, given[positions]):
        digest.update(len(numbers).to_bytes(8, "little"))
        digest.update(numbers.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
