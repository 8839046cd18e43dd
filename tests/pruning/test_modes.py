"""Modes within a block, and what is left behind it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunebench.pruning.modes import differentiable, evaluating


@pytest.mark.parametrize("batch_norm", ["eval", "train"])
def test_evaluating_leaves_every_module_and_statistic_as_it_was(batch_norm: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    model[1].eval()  # held by its owner, in a network that trains
    statistics = model[1].running_mean.clone()
    inputs = torch.arange(15.0).view(5, 3)
    with evaluating(model, batch_norm):
        assert model[1].training == (batch_norm == "train")
        assert not model[2].training
        found = model(inputs)
    assert [part.training for part in model] == [True, False, True]
    assert model[1].track_running_stats
    assert torch.equal(model[1].running_mean, statistics)
    linear = model[0](inputs)
    if batch_norm == "train":  # mean 0 and deviation 1 over this batch
        linear = (linear - linear.mean(0)) / (linear.var(0, unbiased=False) + 1e-5).sqrt()
    else:  # statistics of no batch: mean 0, variance 1
        linear = linear / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(found, linear)


def test_modes_come_back_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    with pytest.raises(RuntimeError), evaluating(model, "train"):
        model(torch.zeros(2, 7))
    assert all(part.training for part in model)
    assert model[1].track_running_stats


def test_cudnn_is_left_alone_where_nothing_is_recurrent() -> None:
    before = torch.backends.cudnn.enabled
    with differentiable(nn.Linear(2, 2)):
        assert torch.backends.cudnn.enabled == before
    with differentiable(nn.GRU(2, 2)):
        assert not torch.backends.cudnn.enabled
    assert torch.backends.cudnn.enabled == before
