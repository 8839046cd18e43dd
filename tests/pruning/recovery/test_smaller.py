"""Recoveries that train the network without its removed units end where masked ones do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from prunebench.compression.shrunk_training import smaller_network
from prunebench.errors import Refused
from prunebench.pruning.curve import Curve, Smaller
from prunebench.pruning.masks import Masks
from prunebench.training.checkpoints import Checkpoints
from tests.pruning.in_memory import cells, curve_of, same

FILTERS: dict[str, Any] = {"criterion": "l1-norm", "pattern": "filter"}
TRAINED = {"epochs": 3, "momentum": 0.9, "weight_decay": 0.01, "gradient_clip": 0.1,
           "validate_every": 1}  # fmt: skip


def with_smaller(curve: Curve) -> Curve:
    def smaller(model: nn.Module, masks: Masks) -> Smaller:
        samples = curve.samples
        inputs = samples.normalize(samples.inputs[:8])
        return smaller_network(model, masks, inputs, samples.targets[:8], samples.kind.loss)

    return replace(curve, smaller=smaller)


@pytest.mark.parametrize(
    "method",
    [
        {"recovery": "fine-tuning"},
        {"recovery": "learning-rate-rewinding", "schedule": "iterative"},
        {"recovery": "weight-rewinding"},
        {"recovery": "re-initialization"},
        {"recovery": "distillation"},
        {"recovery": "fine-tuning", "schedule": "gradual"},
    ],
    ids=lambda method: "-".join(method.values()),
)
def test_ends_where_the_masked_network_does(method: dict[str, Any]) -> None:
    masked = cells(curve_of({**FILTERS, **method}, **TRAINED), [0.5])
    found = cells(with_smaller(curve_of({**FILTERS, **method}, **TRAINED)), [0.5])
    for one, other in zip(masked, found, strict=True):
        assert one.run.shrunk is None
        assert other.run.shrunk
        assert other.run.why_masked == ""
        assert all(torch.equal(other.masks[name], mask) for name, mask in one.masks.items())
        torch.testing.assert_close(
            other.model.state_dict(), one.model.state_dict(), rtol=1e-4, atol=1e-5
        )
        assert one.run.stopped is not None
        assert other.run.stopped is not None
        assert one.run.stopped.epoch == other.run.stopped.epoch
        torch.testing.assert_close(
            other.run.stopped.state, one.run.stopped.state, rtol=1e-4, atol=1e-5
        )
        for mine, theirs in zip(other.run.history, one.run.history, strict=True):
            assert mine == pytest.approx(theirs, rel=1e-4)


def test_a_method_that_prunes_while_it_trains_sees_the_whole_network() -> None:
    method = {**FILTERS, "schedule": "gradual", "recovery": "none"}
    (masked,) = cells(curve_of(method, **TRAINED), [0.5])
    (found,) = cells(with_smaller(curve_of(method, **TRAINED)), [0.5])
    assert same(masked.model, found.model)
    assert found.run.shrunk is False
    assert found.run.why_masked == "the method works on the whole network while it trains"


def test_without_a_smaller_network_masks_are_trained_to_the_same_bits() -> None:
    def refuse(model: nn.Module, masks: Masks) -> Smaller:
        raise Refused("it cannot be traced")

    method = {**FILTERS, "recovery": "fine-tuning"}
    (masked,) = cells(curve_of(method, **TRAINED), [0.5])
    (found,) = cells(replace(curve_of(method, **TRAINED), smaller=refuse), [0.5])
    assert same(masked.model, found.model)
    assert (found.run.shrunk, found.run.why_masked) == (False, "it cannot be traced")


def test_goes_on_from_a_checkpoint_to_the_same_bits(tmp_path: Any) -> None:
    class Killed(Exception):
        pass

    method = {**FILTERS, "recovery": "fine-tuning"}
    (whole,) = cells(with_smaller(curve_of(method, **TRAINED)), [0.5])
    checkpoints = Checkpoints(tmp_path, "here", 0.0)
    curve = replace(with_smaller(curve_of(method, **TRAINED)), checkpoints=checkpoints)
    normalize, calls = curve.samples.normalize, [0]

    def dies(images: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        if calls[0] == 12:
            raise Killed
        return normalize(images)

    dying = replace(curve, samples=replace(curve.samples, normalize=dies))
    with pytest.raises(Killed):
        cells(dying, [0.5])
    assert list(tmp_path.glob("*.pt"))
    (found,) = cells(curve, [0.5])
    assert same(whole.model, found.model)
