"""Regimes: exactly as many wrong labels as asked, none of them right by chance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.settings import Regime
from prunebench.tasks.regimes import Regimen, apply


def _apply(labels: torch.Tensor, classes: int, seed: int = 0, **settings: Any) -> Regimen:
    regime = Regime(name="mine", **settings)
    return apply(regime, labels, classes, torch.Generator().manual_seed(seed))


@given(
    classes=st.integers(2, 6),
    each=st.integers(2, 30),
    noise=st.floats(0, 0.99),
    seed=st.integers(0, 2**32),
)
def test_exactly_the_share_is_flipped_always_to_another_class(
    classes: int, each: int, noise: float, seed: int
) -> None:
    labels = torch.arange(classes).repeat(each)
    before = labels.clone()
    regimen = _apply(labels, classes, seed, label_noise=noise)
    assert int(regimen.flipped.sum()) == round(noise * len(labels))
    assert torch.equal(regimen.flipped, regimen.given != regimen.clean)
    assert torch.equal(regimen.clean, before)
    assert torch.equal(labels, before)
    assert 0 <= int(regimen.given.min()) <= int(regimen.given.max()) < classes


@given(
    sizes=st.lists(st.integers(8, 40), min_size=2, max_size=6),
    fraction=st.floats(0.3, 1),
    seed=st.integers(0, 2**32),
)
def test_a_fraction_is_stratified_to_within_one(
    sizes: list[int], fraction: float, seed: int
) -> None:
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    regimen = _apply(labels, len(sizes), seed, train_fraction=fraction)
    count = round(fraction * len(labels))
    assert len(regimen.indices) == count
    assert regimen.indices.tolist() == sorted(set(regimen.indices.tolist()))
    assert torch.equal(labels[regimen.indices], regimen.clean)
    for label, size in enumerate(sizes):
        share = size * count / len(labels)
        assert abs(int((regimen.clean == label).sum()) - share) < 1


@given(st.integers(0, 2**32))
def test_one_seed_gives_one_regimen(seed: int) -> None:
    labels = torch.arange(4).repeat(10)
    first, again = (_apply(labels, 4, seed, label_noise=0.4, train_fraction=0.5) for _ in range(2))
    assert torch.equal(first.indices, again.indices)
    assert torch.equal(first.given, again.given)
    assert first.label_hash == again.label_hash


def test_seeds_and_noise_show_in_the_hash() -> None:
    labels = torch.arange(10).repeat(20)
    hashes = {
        _apply(labels, 10, seed, label_noise=noise).label_hash
        for seed in range(5)
        for noise in (0.2, 0.4)
    }
    assert len(hashes) == 10
    clean = {_apply(labels, 10, seed).label_hash for seed in range(5)}
    assert len(clean) == 1


def test_less_noise_is_a_part_of_more() -> None:
    labels = torch.arange(10).repeat(20)
    low, high = (_apply(labels, 10, label_noise=noise) for noise in (0.2, 0.4))
    assert bool(high.flipped[low.flipped].all())
    assert torch.equal(low.given[low.flipped], high.given[low.flipped])


def test_wrong_labels_spread_over_all_other_classes() -> None:
    labels = torch.zeros(4000, dtype=torch.int64)
    labels[:5] = torch.arange(5)
    regimen = _apply(labels, 5, label_noise=0.99)
    counts = torch.bincount(regimen.given[regimen.flipped & (regimen.clean == 0)], minlength=5)
    assert counts[0] == 0
    # 990 expected of each, with a deviation of 27
    assert int((counts[1:] - 990).abs().max()) < 110


def test_a_class_left_without_samples() -> None:
    labels = torch.tensor([0] * 100 + [1])
    with pytest.raises(PrunebenchError, match="keeps 10 samples and none of class 1"):
        _apply(labels, 2, train_fraction=0.1)
