"""Regimes: exactly as many wrong labels as asked, none of them right by chance."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.experiment.registry import builtin
from prunebench.experiment.settings import Regime
from prunebench.tasks.kinds.classification import NOISES
from prunebench.tasks.regimes import AppliedRegime, _hash, apply
from tests.kinds import classes as classes_of

KINDS = ("symmetric", "asymmetric", "pair-flip")
SIZES = st.lists(st.integers(2, 30), min_size=2, max_size=6)
SEEDS = st.integers(0, 2**32)


def _apply(labels: torch.Tensor, classes: int, seed: int = 0, **settings: Any) -> AppliedRegime:
    regime = Regime(name="mine", **settings)
    val = torch.arange(classes).repeat(10)
    return apply(regime, labels, val, classes_of(classes), torch.Generator().manual_seed(seed))


def _of(sizes: list[int]) -> torch.Tensor:
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))


def _kind(kind: str, classes: int) -> dict[str, Any]:
    """Settings of a kind of noise; the asymmetric one leaves class 0 alone."""
    mapped = {c: (c + 1) % classes for c in range(1, classes)}
    return {"noise": kind, "class_map": mapped if kind == "asymmetric" else {}}


def test_every_kind_that_the_configuration_knows_is_there() -> None:
    assert set(NOISES) == set(KINDS)
    of_kinds = (kind.traits.noises for kind in builtin(TaskKindTraits).values())
    assert {*chain(*of_kinds)} == set(get_args(Regime.model_fields["noise"].annotation))


@given(kind=st.sampled_from(KINDS), sizes=SIZES, noise=st.floats(0, 0.99), seed=SEEDS)
def test_exactly_the_share_is_flipped_always_to_another_class(
    kind: str, sizes: list[int], noise: float, seed: int
) -> None:
    classes, labels = len(sizes), _of(sizes)
    if kind == "asymmetric":
        noise *= sum(sizes[1:]) / sum(sizes)
    before = labels.clone()
    applied = _apply(labels, classes, seed, label_noise=noise, **_kind(kind, classes))
    assert int(applied.flipped.sum()) == round(noise * len(labels))
    assert torch.equal(applied.flipped, applied.given != applied.clean)
    assert torch.equal(applied.clean, before)
    assert torch.equal(labels, before)
    assert 0 <= int(applied.given.min()) <= int(applied.given.max()) < classes
    old, new = applied.clean[applied.flipped], applied.given[applied.flipped]
    if kind != "symmetric":
        assert new.tolist() == [(label + 1) % classes for label in old.tolist()]
    if kind == "asymmetric":
        assert 0 not in old.tolist()


@given(
    kind=st.sampled_from(KINDS),
    sizes=SIZES,
    shares=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
    seed=SEEDS,
)
def test_less_noise_is_a_part_of_more(
    kind: str, sizes: list[int], shares: tuple[float, float], seed: int
) -> None:
    classes, labels = len(sizes), _of(sizes)
    reach = sum(sizes[1:]) / sum(sizes) if kind == "asymmetric" else 1.0
    low, high = (
        _apply(labels, classes, seed, label_noise=reach * share, **_kind(kind, classes))
        for share in sorted(shares)
    )
    assert bool(high.flipped[low.flipped].all())
    assert torch.equal(low.given[low.flipped], high.given[low.flipped])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "f041bf0d71a42a52d58680eaf1aebd700b343c8fbac52bda28f8b117c884e787"),
        ({"label_noise": 0.2}, "3fb6b9bddb055009eb7b52be9c05e5a52e099b301a4b97b9d205aff3b65d29b6"),
        ({"label_noise": 0.4}, "e134ef3b6bc424759b91726e0bfd1f10f08570fa254caf583875434dd7b59886"),
        (
            {"label_noise": 0.3, "train_fraction": 0.5},
            "c59b99f7e124295ed0ae90628c2c59654727ddf9d27c10a31f41474a2ae1eb46",
        ),
    ],
)
def test_symmetric_draws_never_change(settings: dict[str, Any], expected: str) -> None:
    """Hashes of the first release: published labels must be drawn again by later ones."""
    labels = torch.arange(700) * 7919 % 10
    assert _apply(labels, 10, 3, **settings).label_hash == expected


def test_pair_flip_is_the_naive_loop() -> None:
    labels = torch.tensor([2, 0, 1, 2, 2, 0, 1, 1, 0, 2])
    expected = labels.tolist()
    order = torch.randperm(10, generator=torch.Generator().manual_seed(4)).tolist()
    for position in order[:4]:
        expected[position] = {0: 1, 1: 2, 2: 0}[expected[position]]
    applied = _apply(labels, 3, 4, label_noise=0.4, noise="pair-flip")
    assert applied.given.tolist() == expected


def test_asymmetric_noise_takes_the_map_and_nothing_else() -> None:
    labels = torch.arange(5).repeat(40)
    applied = _apply(labels, 5, label_noise=0.3, noise="asymmetric", class_map={4: 0, 1: 3, 3: 1})
    pairs = Counter(zip(applied.clean.tolist(), applied.given.tolist(), strict=True))
    flips = {pair: count for pair, count in pairs.items() if pair[0] != pair[1]}
    assert set(flips) == {(4, 0), (1, 3), (3, 1)}
    assert sum(flips.values()) == 60


def test_asymmetric_noise_names_the_largest_that_is_possible() -> None:
    labels = _of([10, 7, 13])
    settings: dict[str, Any] = {"noise": "asymmetric", "class_map": {1: 0}}
    with pytest.raises(PrunebenchError, match="change 7 of them: the largest possible") as caught:
        _apply(labels, 3, label_noise=0.4, **settings)
    largest = float(re.findall(r"[\d.]+$", str(caught.value))[0])
    assert int(_apply(labels, 3, label_noise=largest, **settings).flipped.sum()) == 7
    with pytest.raises(PrunebenchError, match="class_map names class 3: the task's are 0 to 2"):
        _apply(labels, 3, label_noise=0.1, noise="asymmetric", class_map={1: 3})


@given(
    sizes=st.lists(st.integers(8, 40), min_size=2, max_size=6),
    fraction=st.floats(0.3, 1),
    counted=st.booleans(),
    seed=SEEDS,
)
def test_a_smaller_training_set_is_stratified_to_within_one(
    sizes: list[int], fraction: float, counted: bool, seed: int
) -> None:
    labels = _of(sizes)
    count = round(fraction * len(labels))
    asked = {"train_samples": count} if counted else {"train_fraction": fraction}
    applied = _apply(labels, len(sizes), seed, **asked)
    assert len(applied.indices) == count
    assert applied.indices.tolist() == sorted(set(applied.indices.tolist()))
    assert torch.equal(labels[applied.indices], applied.clean)
    for label, size in enumerate(sizes):
        share = size * count / len(labels)
        assert abs(int((applied.clean == label).sum()) - share) < 1


def test_a_number_of_samples_is_the_fraction_that_it_makes() -> None:
    labels = torch.arange(4).repeat(25)
    number, share = _apply(labels, 4, train_samples=30), _apply(labels, 4, train_fraction=0.3)
    assert number.label_hash == share.label_hash
    assert len(_apply(labels, 4, train_samples=100).indices) == 100
    with pytest.raises(PrunebenchError, match="train_samples 101: the training split has 100"):
        _apply(labels, 4, train_samples=101)


@given(kind=st.sampled_from(KINDS), seed=SEEDS)
def test_one_seed_gives_one_set_of_labels(kind: str, seed: int) -> None:
    labels = torch.arange(4).repeat(10)
    settings = _kind(kind, 4) | {"label_noise": 0.4, "train_fraction": 0.5, "noisy_val": True}
    first, again = (_apply(labels, 4, seed, **settings) for _ in range(2))
    assert torch.equal(first.indices, again.indices)
    assert torch.equal(first.given, again.given)
    assert first.label_hash == again.label_hash
    assert first.noisy_val is not None
    assert again.noisy_val is not None
    assert torch.equal(first.noisy_val, again.noisy_val)


@given(kind=st.sampled_from(KINDS), noise=st.floats(0.01, 0.7), seed=SEEDS)
def test_a_noisy_validation_split_stands_beside_the_clean_one(
    kind: str, noise: float, seed: int
) -> None:
    labels, val = torch.arange(5).repeat(20), torch.arange(5).repeat(9)
    before = val.clone()
    settings = {"name": "mine", "label_noise": noise, **_kind(kind, 5)}
    plain, asked = (
        apply(
            Regime(**settings, noisy_val=noisy),
            labels, val, classes_of(5), torch.Generator().manual_seed(seed),
        )
        for noisy in (False, True)
    )  # fmt: skip
    assert torch.equal(val, before)
    assert plain.noisy_val is None
    assert plain.label_hash == asked.label_hash
    assert asked.noisy_val is not None
    wrong = asked.noisy_val != val
    assert int(wrong.sum()) == round(noise * 45)
    if kind != "symmetric":
        assert torch.equal(asked.noisy_val[wrong], (val[wrong] + 1) % 5)


def test_the_noisy_validation_split_has_a_generator_of_its_own() -> None:
    labels = torch.arange(5).repeat(20)
    regime = Regime(name="mine", label_noise=0.5, noisy_val=True)
    applied = apply(regime, labels, labels, classes_of(5), torch.Generator().manual_seed(0))
    assert applied.noisy_val is not None
    # the same labels, drawn as those of training would be the same flips
    assert not torch.equal(applied.noisy_val, applied.given)


def test_seeds_kinds_and_noise_show_in_the_hash() -> None:
    labels = torch.arange(10).repeat(20)
    hashes = {
        _apply(labels, 10, seed, label_noise=noise, **_kind(kind, 10)).label_hash
        for seed in range(5)
        for noise in (0.2, 0.4)
        for kind in KINDS
    }
    assert len(hashes) == 30
    clean = {_apply(labels, 10, seed).label_hash for seed in range(5)}
    assert len(clean) == 1


@given(kind=st.sampled_from(KINDS), position=st.integers(0, 39), seed=SEEDS)
def test_the_hash_changes_with_any_flip(kind: str, position: int, seed: int) -> None:
    labels = torch.arange(4).repeat(10)
    applied = _apply(labels, 4, seed, label_noise=0.4, **_kind(kind, 4))
    for shift in (1, 2, 3):  # a label that was right, or another wrong one, or the right one
        altered = applied.given.clone()
        altered[position] = (altered[position] + shift) % 4
        flipped = altered != applied.clean
        assert _hash(applied.indices, flipped, altered) != applied.label_hash


def test_wrong_labels_spread_over_all_otherclasses_of() -> None:
    labels = torch.zeros(4000, dtype=torch.int64)
    labels[:5] = torch.arange(5)
    applied = _apply(labels, 5, label_noise=0.99)
    counts = torch.bincount(applied.given[applied.flipped & (applied.clean == 0)], minlength=5)
    assert counts[0] == 0
    # 990 expected of each, with a deviation of 27
    assert int((counts[1:] - 990).abs().max()) < 110


@pytest.mark.parametrize("asked", [{"train_fraction": 0.1}, {"train_samples": 10}])
def test_a_class_left_without_samples(asked: dict[str, Any]) -> None:
    labels = torch.tensor([0] * 100 + [1])
    told = " ".join(map(str, *asked.items()))
    with pytest.raises(PrunebenchError, match=f"{told} keeps 10 samples and none of class 1"):
        _apply(labels, 2, **asked)


def test_calibration_has_the_noise_of_the_training_it_is_taken_from() -> None:
    labels, held_out = _of([30, 30]), torch.arange(2).repeat(20)

    def applied(**settings: Any) -> AppliedRegime:
        regime = Regime(name="mine", **settings)
        draw = torch.Generator().manual_seed(0)
        return apply(regime, labels, labels[:2], classes_of(2), draw, held_out)

    assert torch.equal(applied().calibration, held_out)
    noisy = applied(label_noise=0.25)
    assert int((noisy.calibration != held_out).sum()) == 10
    # asking for it changes nothing else
    plain = _apply(labels, 2, label_noise=0.25)
    assert torch.equal(noisy.given, plain.given)
    assert plain.calibration is None
