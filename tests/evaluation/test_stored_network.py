"""Which images a probe looks at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from prunebench.evaluation.stored_network import Subject
from prunebench.tasks.forms import FORMS
from tests.kinds import classes


@pytest.fixture
def make() -> Callable[..., Subject]:
    def subject(seed: int, samples: int, model: nn.Module | None = None) -> Subject:
        # image i holds the value i
        images = torch.arange(200, dtype=torch.uint8).view(-1, 1, 1, 1)
        labels = torch.arange(200) % 4
        return Subject(
            model or nn.Identity(), {}, {}, images, labels, images, labels,
            classes(4), FORMS["pixels"],
            lambda x: x, (torch.tensor([0.0]), torch.tensor([1.0])), seed, samples,
        )  # fmt: skip

    return subject


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_class_has_its_share(make: Callable[..., Subject], split: str) -> None:
    images, labels = getattr(make(2**63 - 1, 41), split)
    assert (labels == images.flatten() % 4).all()
    assert len(set(images.flatten().tolist())) == 41
    assert sorted(labels.bincount().tolist()) == [10, 10, 10, 11]


def test_the_same_for_all_cells_of_a_seed(make: Callable[..., Subject]) -> None:
    first, second, other = make(1, 20), make(1, 20, nn.Flatten()), make(2, 20)
    assert torch.equal(first.test[0], second.test[0])
    assert not torch.equal(first.test[0], other.test[0])


def test_no_more_than_there_are(make: Callable[..., Subject]) -> None:
    assert torch.equal(make(1, 500).train[0], make(2, 200).train[0])
    assert len(make(1, 500).train[0]) == 200
