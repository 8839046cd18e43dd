"""The probe of corruptions against the errors of a network counted one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from prunebench.evaluation.image_corruptions import corrupted
from prunebench.evaluation.probes.corruptions import corruptions
from prunebench.evaluation.stored_network import Subject


def test_against_a_loop(subject: Callable[..., Subject]) -> None:
    given = subject(samples=30)
    found = corruptions(given)
    images, labels = given.test
    wrong = 0
    for strength in (1, 2, 3):
        changed = corrupted(images / 255, "contrast", strength, torch.Generator())
        with torch.no_grad():
            inputs = given.normalize((changed * 255).round().to(torch.uint8))
            classes = given.model(inputs).argmax(1)
        wrong += sum(int(a) != int(b) for a, b in zip(classes, labels, strict=True))
    assert 0 < wrong < 90
    assert found["corrupted_contrast_error"] == pytest.approx(wrong / 90)
    assert corruptions(given) == found


def test_it_looks_at_test_images_alone(subject: Callable[..., Subject]) -> None:
    given = subject()
    nothing = torch.zeros(0, 1, 16, 16, dtype=torch.uint8)
    blind = subject(train_inputs=nothing, train_targets=torch.zeros(0, dtype=torch.long))
    assert corruptions(blind) == corruptions(given)
    other = subject(test_targets=(given.test_targets + 1) % 10)
    assert corruptions(other) != corruptions(given)
