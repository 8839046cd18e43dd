"""One place at a time, pruned to given sparsities: against networks that are pruned by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunebench.errors import Refused
from prunebench.experiment import config
from prunebench.pruning.automatic.one_at_a_time import Alone, one_at_a_time
from prunebench.pruning.view import View
from tests.kinds import classes
from tests.pruning.automatic.networks import CLASSES, loss_of, residual, view_of

SPARSITIES = [0.5, 0.9, 0.99]


def found(view: View, **method: str) -> list[Alone]:
    chosen = config.method({"name": "alone", "criterion": "magnitude", **method})
    return one_at_a_time(chosen, view, SPARSITIES)


def error_of(view: View, masks: dict[str, torch.Tensor]) -> float:
    """The share of wrong answers over all calibration samples, of a copy with masked weights."""
    values = {
        name: value * masks.get(name, torch.ones(()))
        for name, value in view.model.named_parameters()
    }
    wrong = samples = 0
    for inputs, targets in view.batches:
        with torch.no_grad():
            outputs = torch.func.functional_call(view.model, values, (inputs,))
        wrong += int((outputs.argmax(1) != targets).sum())
        samples += len(targets)
    return wrong / samples


def test_each_layer_alone_at_each_sparsity() -> None:
    view = view_of()
    points = found(view)
    sizes = {"0.weight": 48, "2.weight": 80, "4.weight": 60}
    assert [(point.layer, point.sparsity) for point in points] == [
        (layer, sparsity) for layer in sizes for sparsity in SPARSITIES
    ]
    for point in points:
        weight = view.weights[point.layer]
        count = min(round(point.sparsity * weight.numel()), weight.numel() - 1)
        keep = torch.ones(weight.numel())
        keep[weight.abs().flatten().argsort()[:count]] = 0
        masks = {point.layer: keep.view(weight.shape)}
        assert point.removed == count / weight.numel()
        assert point.loss == pytest.approx(loss_of(view, masks), rel=1e-5)
        assert point.error == pytest.approx(error_of(view, masks), abs=1e-9)
        assert point.dense_loss == pytest.approx(loss_of(view, {}), rel=1e-5)
        assert point.dense_error == pytest.approx(error_of(view, {}), abs=1e-9)
        # of a linear layer each weight is used once
        assert point.weights == point.macs == sizes[point.layer]
        assert point.samples == 40
    assert len({point.loss for point in points}) == len(points)


def test_filters_go_with_what_reads_them() -> None:
    view = view_of()
    points = found(view, criterion="l1-norm")
    norms = view.weights["2.weight"].abs().mean(1)
    [half] = [point for point in points if point.place == 1 and point.sparsity == 0.5]
    keep = torch.ones(10)
    keep[norms.argsort()[:5]] = 0
    masks = {"2.weight": keep[:, None], "2.bias": keep, "4.weight": keep[None]}
    assert half.layer == "2.weight"
    assert half.removed == 0.5
    assert half.loss == pytest.approx(loss_of(view, masks), rel=1e-5)
    # its 8 inputs and the 6 outputs of the next layer, of each of the 10
    assert half.weights == half.macs == 10 * (8 + 6)
    # of ten filters one stays, however much is asked
    assert max(point.removed for point in points if point.place == 1) == 0.9


def test_coupled_filters_are_one_place() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(5, CLASSES)
            self.one, self.two = nn.Linear(6, 5), nn.Linear(6, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.relu(self.one(x) + self.two(x)))

    [first, *_] = found(view_of(Sum), criterion="l1-norm")
    assert first.layer == "one.weight + two.weight"
    assert first.modules == ("one", "two")
    assert first.weights == 2 * 30  # the last layer is the classifier, which is not pruned
    assert first.macs == 2 * 30 + 15


def test_a_block_is_there_or_gone() -> None:
    view = view_of(residual)
    points = found(view, criterion="random", pattern="block")
    assert [(point.layer, point.sparsity, point.removed) for point in points] == [
        (str(number), 1.0, 1.0) for number in range(1, 5)
    ]
    for point in points:
        prefix = f"{point.layer}.branch"
        masks = {f"{prefix}.weight": torch.zeros(()), f"{prefix}.bias": torch.zeros(())}
        assert point.loss == pytest.approx(loss_of(view, masks), rel=1e-5)
        assert (point.weights, point.modules) == (36, (point.layer,))


def test_what_is_not_finite_is_missing() -> None:
    view = view_of()
    with torch.no_grad():
        view.model[0].weight[0, 0] = torch.inf
    points = found(view)
    assert all(point.dense_loss is None for point in points)


def test_a_network_without_blocks_is_refused() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, CLASSES))
    batches = [(torch.randn(4, 6), torch.zeros(4, dtype=torch.long))]
    view = View(model.eval(), batches=batches, kind=classes(CLASSES))
    with pytest.raises(Refused, match="no residual block"):
        found(view, criterion="random", pattern="block")
