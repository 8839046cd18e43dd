"""Learning rates against torch's own schedulers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from prunebench.experiment.settings import Training
from prunebench.training.loop import constant, learning_rate


def settings(**changes: Any) -> Training:
    return Training(**{"epochs": 8, "learning_rate": 0.4, **changes})


def stepped(schedule: Callable, steps: int) -> list[float]:
    """The learning rates of one of torch's schedulers, stepped after every batch."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    scheduler, found = schedule(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def rates(training: Training, per_epoch: int = 5) -> list[float]:
    rate = learning_rate(training)
    return [rate(step / per_epoch) for step in range(training.epochs * per_epoch)]


def test_learning_rates_are_torchs() -> None:
    cosine = rates(settings())
    torchs = stepped(lambda o: lr_scheduler.CosineAnnealingLR(o, 40), 40)
    assert cosine == pytest.approx(torchs)
    step = rates(settings(schedule="step", gamma=0.2))
    torchs = stepped(lambda o: lr_scheduler.MultiStepLR(o, [20, 30], gamma=0.2), 40)
    assert step == pytest.approx(torchs)
    flat = settings(schedule="constant")
    assert rates(flat) == [0.4] * 40
    assert constant(flat)(3.3) == 0.4


def test_warmup_is_linear() -> None:
    found = rates(settings(warmup_epochs=2))
    assert found[:10] == pytest.approx([0.4 * step / 10 for step in range(10)])
    assert found[10:] == pytest.approx(
        stepped(lambda o: lr_scheduler.CosineAnnealingLR(o, 30), 30)
    )  # the cosine begins where the warm-up ends
