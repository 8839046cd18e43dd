"""Batches, against one image after the other."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunebench.experiment.settings import Augmentation
from prunebench.tasks.batches import augment, epoch_batches, steps_per_epoch


def _images(count: int, *shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)


def _naive(image: Tensor, crop: int, flip: bool, draw: list[int]) -> Tensor:
    """One image, one pixel after the other."""
    channels, height, width = image.shape
    down, right, mirrored = draw
    result = torch.zeros_like(image)
    for c, y, x in itertools.product(range(channels), range(height), range(width)):
        from_y, from_x = y + down - crop, x + right - crop
        if 0 <= from_y < height and 0 <= from_x < width:
            at = width - 1 - x if flip and mirrored else x
            result[c, y, at] = image[c, from_y, from_x]
    return result


@pytest.mark.parametrize("crop", [0, 1, 3])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 7)])
def test_augmenting_a_batch_is_augmenting_each_image(
    crop: int, flip: bool, shape: tuple[int, ...]
) -> None:
    images = _images(20, *shape)
    generator = torch.Generator().manual_seed(1)
    offsets = torch.randint(0, 2 * crop + 1, (20, 2), generator=generator)
    draws = torch.cat([offsets, torch.randint(0, 2, (20, 1), generator=generator)], 1)
    augmented = augment(images, Augmentation(crop=crop, flip=flip), draws)
    for image, draw, result in zip(images, draws.tolist(), augmented, strict=True):
        assert torch.equal(result, _naive(image, crop, flip, draw))


@given(st.integers(1, 70), st.integers(1, 20), st.integers(0, 2**32))
def test_an_epoch_shows_every_image_once_with_its_label(
    count: int, batch_size: int, seed: int
) -> None:
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1)
    labels = torch.arange(count) + 1000
    generator = torch.Generator().manual_seed(seed)
    batches = list(epoch_batches(images, labels, batch_size, generator, torch.Tensor.float))
    assert len(batches) == steps_per_epoch(count, batch_size)
    alone = batch_size > 1 and count % batch_size == 1
    shown = [int(value) for batch, _ in batches for value in batch.flatten()]
    assert len(shown) == count - alone
    assert len(set(shown)) == len(shown)
    for position, (batch, given_labels) in enumerate(batches):
        assert batch.dtype == torch.float32
        assert torch.equal(batch.flatten().long() + 1000, given_labels)
        last = position == len(batches) - 1
        assert len(batch) == batch_size or (last and len(batch) >= 2)


def test_a_seed_gives_the_same_epochs_one_unlike_the_next() -> None:
    images, labels = _images(50, 3, 8, 8), torch.arange(50)
    augmentation = Augmentation(crop=2, flip=True)

    def epochs(seed: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return [
            torch.cat(
                [
                    batch
                    for batch, _ in epoch_batches(
                        images, labels, 16, generator, torch.Tensor.float, augmentation
                    )
                ]
            )
            for _ in range(2)
        ]

    first, again, other = epochs(0), epochs(0), epochs(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


def test_augmentation_leaves_the_order_as_it_is() -> None:
    images, labels = _images(40, 1, 4, 4), torch.arange(40)
    orders = []
    for augmentation in (None, Augmentation(crop=1)):
        generator = torch.Generator().manual_seed(3)
        batches = epoch_batches(images, labels, 8, generator, torch.Tensor.float, augmentation)
        orders.append([int(label) for _, part in batches for label in part])
    assert orders[0] == orders[1]


def test_every_offset_and_flip_occurs() -> None:
    image = torch.arange(1, 10, dtype=torch.uint8).view(1, 1, 3, 3)
    images = image.expand(2000, 1, 3, 3)
    generator = torch.Generator().manual_seed(0)
    ((batch, _),) = epoch_batches(
        images,
        torch.zeros(2000),
        2000,
        generator,
        torch.Tensor.float,
        Augmentation(crop=1, flip=True),
    )
    kinds, counts = batch.flatten(1).unique(dim=0, return_counts=True)
    assert len(kinds) == 3 * 3 * 2
    assert int(counts.min()) > 2000 / 18 / 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_device_changes_nothing() -> None:
    images, labels = _images(50, 3, 8, 8), torch.arange(50)
    shown = [
        [
            batch.cpu()
            for batch, _ in epoch_batches(
                images.to(device),
                labels.to(device),
                16,
                torch.Generator().manual_seed(0),
                torch.Tensor.float,
                Augmentation(crop=2, flip=True),
            )
        ]
        for device in ("cpu", "cuda")
    ]
    assert all(torch.equal(a, b) for a, b in zip(*shown, strict=True))
