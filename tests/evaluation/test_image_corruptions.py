"""Corruptions against hand-computed images, scipy, PIL and naive loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage, stats
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.evaluation.image_corruptions import KINDS, STRENGTHS, corrupted, corrupted_errors
from prunebench.storage.records import CORRUPTIONS


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 12, channels: int = 3, height: int = 16, width: int = 16) -> Tensor:
    """Smooth images with edges, in [0, 1]."""
    noise = np.random.default_rng(0).random((count, channels, height, width))
    smooth = ndimage.gaussian_filter(noise, (0, 0, 1.5, 1.5))
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    smooth[:, :, height // 3 : height // 2] = 1
    return torch.tensor(smooth, dtype=torch.float32)


def change(images: Tensor, kind: str, parameter: float, seed: int = 0) -> Tensor:
    return KINDS[kind](images, parameter, drawn(seed))


def test_kinds_are_the_records() -> None:
    assert tuple(KINDS) == tuple(STRENGTHS) == CORRUPTIONS
    assert all(len(values) == 3 for values in STRENGTHS.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 16, 16), (3, 32, 32), (2, 9, 14)])
def test_what_every_kind_keeps(kind: str, strength: int, shape: tuple[int, int, int]) -> None:
    images = pictures(7, *shape)
    before = images.clone()
    found = corrupted(images, kind, strength, drawn())
    assert torch.equal(images, before)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert 0 <= found.min() <= found.max() <= 1
    assert not torch.equal(found, images)
    # the same for a seed
    assert torch.equal(found, corrupted(images, kind, strength, drawn()))
    # in batches of any size: to the value that is stored, one of 256
    draw = drawn()
    parts = [corrupted(part, kind, strength, draw) for part in images.split([1, 3, 2, 1])]
    torch.testing.assert_close(torch.cat(parts), found, atol=1e-6, rtol=0)


def test_noise_depends_on_the_seed_and_on_no_later_image() -> None:
    images = pictures(40, 1, 5, 5)  # 25 numbers an image: no multiple of a vector's length
    found = corrupted(images, "noise", 2, drawn(3))
    assert torch.equal(corrupted(images[:7], "noise", 2, drawn(3)), found[:7])
    assert not torch.equal(corrupted(images, "noise", 2, drawn(4)), found)


@pytest.mark.parametrize("kind", KINDS)
def test_strength_increases_damage(kind: str) -> None:
    images = pictures(20)
    damage = [
        (corrupted(images, kind, strength, drawn()) - images).square().mean().item()
        for strength in (1, 2, 3)
    ]
    assert 0 < damage[0] < damage[1] < damage[2]


def test_noise_is_gaussian() -> None:
    added = change(torch.full((50, 1, 20, 20), 0.5), "noise", 0.2, 7) - 0.5
    values = added.flatten().double().numpy()
    assert stats.kstest(values / 0.2, "norm").pvalue > 0.01
    assert values.std() == pytest.approx(0.2, rel=0.02)
    # of another strength the same noise, longer
    half = change(torch.full((50, 1, 20, 20), 0.5), "noise", 0.1, 7) - 0.5
    torch.testing.assert_close(2 * half, added)


@pytest.mark.parametrize("deviation", [0.5, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("shape", [(8, 8), (16, 16), (32, 32), (11, 20)])
def test_blur_is_scipys(deviation: float, shape: tuple[int, int]) -> None:
    images = pictures(4, 2, *shape).double()
    expected = ndimage.gaussian_filter(
        images.numpy(), (0, 0, deviation, deviation), mode="nearest", truncate=4
    )
    np.testing.assert_allclose(change(images, "blur", deviation).numpy(), expected, atol=1e-12)


def test_blur_leaves_a_flat_image() -> None:
    flat = torch.full((1, 1, 6, 6), 0.3)
    torch.testing.assert_close(change(flat, "blur", 1.5), flat)


def test_contrast_by_hand() -> None:
    """Each channel has a mean of its own: 0.5 and 0.25."""
    images = torch.tensor([[[[0.0, 1.0], [0.5, 0.5]], [[0.0, 0.0], [0.0, 1.0]]]])
    expected = torch.tensor([[[[0.375, 0.625], [0.5, 0.5]], [[0.1875, 0.1875], [0.1875, 0.4375]]]])
    assert torch.equal(change(images, "contrast", 0.25), expected)


def test_pixelation_by_hand() -> None:
    images = torch.arange(16.0).view(1, 1, 4, 4) / 16
    expected = torch.tensor(
        [[2.5, 2.5, 4.5, 4.5], [2.5, 2.5, 4.5, 4.5], [10.5, 10.5, 12.5, 12.5],
         [10.5, 10.5, 12.5, 12.5]]
    ) / 16  # fmt: skip
    assert torch.equal(change(images, "pixelation", 0.5)[0, 0], expected)
    # two blocks on a side of three pixels: the middle one belongs to both by half, and its centre,
    # on the border, to the second
    row = torch.tensor([0.0, 0.3, 0.9]).repeat(3, 1).view(1, 1, 3, 3)
    third = torch.tensor([0.1, 0.7, 0.7]).repeat(3, 1)
    torch.testing.assert_close(change(row, "pixelation", 0.5)[0, 0], third)


@pytest.mark.parametrize("side", [8, 16, 28, 32])
@pytest.mark.parametrize("share", [0.6, 0.4, 0.25])
def test_pixelation_by_loops(side: int, share: float) -> None:
    """Every pixel cut into many, so that blocks end between them."""
    image = pictures(1, 1, side, side).double()
    count = round(share * side)
    fine = np.kron(image[0, 0].numpy(), np.ones((count, count)))  # its sides are side · count
    expected = np.empty((side, side))
    for i in range(side):
        for j in range(side):
            a, b = int((i + 0.5) * count / side), int((j + 0.5) * count / side)
            expected[i, j] = fine[a * side : (a + 1) * side, b * side : (b + 1) * side].mean()
    found = change(image, "pixelation", share)[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_pixelation_is_pils_where_blocks_are_whole() -> None:
    image = np.random.default_rng(1).integers(0, 256, (16, 16), dtype=np.uint8)
    small = Image.fromarray(image.astype(np.float32)).resize((4, 4), Image.Resampling.BOX)
    expected = np.array(small.resize((16, 16), Image.Resampling.BOX))
    found = change(torch.tensor(image / 255.0)[None, None], "pixelation", 0.25)[0, 0] * 255
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(["blur", "contrast", "pixelation"]), strength=st.integers(1, 3),
    side=st.integers(2, 40), seed=st.integers(0, 1000),
)  # fmt: skip
def test_means_never_leave_the_range_of_the_image(
    kind: str, strength: int, side: int, seed: int
) -> None:
    image = torch.rand(1, 1, side, side, generator=drawn(seed))
    found = corrupted(image, kind, strength, drawn())
    assert found.min() >= image.min() - 1e-6
    assert found.max() <= image.max() + 1e-6


@pytest.mark.parametrize(
    ("kind", "strength", "message"),
    [("blurr", 1, "did you mean 'blur'"), ("blur", 0, "1, 2 or 3, not 0"), ("noise", 4, "not 4")],
)
def test_what_is_refused(kind: str, strength: int, message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        corrupted(pictures(1), kind, strength, drawn())


def brightness(images: Tensor) -> Tensor:
    """Logits of two classes: whether the top left pixel is bright."""
    assert images.dtype == torch.uint8
    bright = images[:, 0, 0, 0].float() / 255
    return torch.stack([1 - bright, bright], 1)


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_errors_by_loops(batch: int) -> None:
    images = (pictures(30, 1, 8, 8) * 255).to(torch.uint8)
    labels = torch.arange(30) % 2
    found = corrupted_errors(brightness, images, labels, seed=5, batch=batch)
    whole = []
    for kind in ("blur", "contrast", "pixelation"):
        errors = []
        for strength in (1, 2, 3):
            for image, label in zip(images, labels, strict=True):
                changed = corrupted(image[None] / 255, kind, strength, drawn())
                logits = brightness((changed * 255).round().to(torch.uint8))
                errors.append(int(logits.argmax()) != label)
        whole.append(np.mean(errors))
        assert found[f"corrupted_{kind}_error"] == pytest.approx(whole[-1])
    whole.append(found["corrupted_noise_error"])
    assert found["corrupted_error"] == pytest.approx(np.mean(whole))
    assert list(found) == ["corrupted_error", *(f"corrupted_{k}_error" for k in CORRUPTIONS)]


def test_errors_depend_on_the_seed_alone() -> None:
    images = (pictures(60, 1, 8, 8) * 255).to(torch.uint8)
    labels = torch.arange(60) % 2
    first = corrupted_errors(brightness, images, labels, seed=1)
    torch.rand(3)  # the global generator has no part in it
    assert corrupted_errors(brightness, images, labels, seed=1, batch=11) == first
    others = [corrupted_errors(brightness, images, labels, seed=seed) for seed in range(2, 7)]
    assert len({found["corrupted_noise_error"] for found in [first, *others]}) > 1
    assert len({found["corrupted_blur_error"] for found in [first, *others]}) == 1
