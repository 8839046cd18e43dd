"""Sharpness by hand, and against a naive version that moves a copy of the network."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.evaluation.probes import sharpness as module
from prunebench.evaluation.probes.sharpness import sharpness, sharpness_of
from prunebench.evaluation.stored_network import Subject
from tests.evaluation.probes.conftest import Logistic


def as_is(images: Tensor) -> Tensor:
    return images


def logistic(score: float) -> float:
    """The loss −log(1 / (1 + exp(−score))) of one sample of class 0."""
    return math.log1p(math.exp(-score))


def test_by_hand() -> None:
    """One image x of class 0: the gradient is −x / (1 + exp(w · x)), so the step goes along −x."""
    image, label = torch.tensor([3.0, 4.0]).view(1, 1, 1, 2), torch.tensor([0])
    model = Logistic([0.2, -0.1])
    score, length = 0.2 * 3 - 0.1 * 4, 5.0
    for rho in (0.05, 1.0):
        expected = logistic(score - rho * length) - logistic(score)
        found = sharpness_of(model, {}, image, label, functional.cross_entropy, as_is, rho)
        assert found == pytest.approx(expected, rel=1e-5)
    # where the first weight is pruned the step goes along the second alone
    mask = {"weight": torch.tensor([False, True])}
    pruned = Logistic([0.0, -0.1])
    expected = logistic(-0.4 - 0.05 * 4) - logistic(-0.4)
    assert sharpness_of(
        pruned, mask, image, label, functional.cross_entropy, as_is
    ) == pytest.approx(expected, rel=1e-5)


def test_no_gradient_is_no_sharpness() -> None:
    model = Logistic([0.2, -0.1])
    dark, label = torch.zeros(1, 1, 1, 2), torch.tensor([0])
    assert sharpness_of(model, {}, dark, label, functional.cross_entropy, as_is) == 0
    nothing = {"weight": torch.zeros(2, dtype=torch.bool)}
    assert sharpness_of(model, nothing, dark + 1, label, functional.cross_entropy, as_is) == 0


def naive(given: Subject, rho: float) -> tuple[float, nn.Module]:
    """In double precision: a copy of the network is moved, all images at once."""
    images, labels = given.train
    model = deepcopy(given.model).double().eval()
    before = functional.cross_entropy(model(given.normalize(images).double()), labels)
    before.backward()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in given.masks:
                parameter.grad[~given.masks[name]] = 0
        norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
        for parameter in model.parameters():
            parameter += rho * parameter.grad / norm
        after = functional.cross_entropy(model(given.normalize(images).double()), labels)
    return (after - before).item(), model


@pytest.mark.parametrize("architecture", ["seed-cnn", "test_resnet"])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("batch", [7, 500])
def test_against_a_naive_version(
    subject: Callable[..., Subject], architecture: str, dense: bool, batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "BATCH", batch)
    given = subject(architecture, dense=dense)
    expected, _ = naive(given, 0.05)
    assert expected > 0
    assert sharpness(given) == {"sharpness": pytest.approx(expected, rel=1e-3, abs=1e-6)}
    assert sharpness(given, rho=0.5)["sharpness"] > expected


def test_pruned_weights_are_never_moved(subject: Callable[..., Subject]) -> None:
    given = subject()
    moved: list[dict[str, Tensor]] = []

    def spy(model: nn.Module, weights: dict[str, Tensor], inputs: tuple[Tensor]) -> Tensor:
        moved.append({name: value.detach().clone() for name, value in weights.items()})
        return torch.func.functional_call(model, weights, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "functional_call", spy)
        found = sharpness(given)["sharpness"]
    assert found != 0
    before, after = moved  # the loss, and the loss after the step
    for name, mask in given.masks.items():
        assert torch.equal(after[name][~mask], torch.zeros(int((~mask).sum())))
        assert not torch.equal(after[name][mask], before[name][mask])
    step = torch.cat([(after[n] - before[n]).flatten() for n in before]).double()
    assert step.norm().item() == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_the_network_stays_as_it_is(subject: Callable[..., Subject], training: bool) -> None:
    given = subject("test_resnet")
    given.model.train(training)
    next(given.model.parameters()).requires_grad_(False)
    before = {name: value.clone() for name, value in given.model.state_dict().items()}
    found = sharpness(given)
    after = given.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert given.model.training is training
    assert all(parameter.grad is None for parameter in given.model.parameters())
    assert [p.requires_grad for p in given.model.parameters()].count(False) == 1
    assert sharpness(given) == found


def test_what_is_no_number_is_left_out(subject: Callable[..., Subject]) -> None:
    given = subject()
    with torch.no_grad():
        next(given.model.parameters()).fill_(torch.nan)
    assert sharpness(given) == {}
