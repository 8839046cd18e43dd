"""SET and RigL against naive rewrites of their papers."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.pruning.curve import Curve
from prunebench.pruning.schedules.dynamic import drop_and_grow, drop_share
from prunebench.training.loop import Enforcer, Hooks
from prunebench.training.optimizers import optimizer_of
from tests.pruning.in_memory import build_from, cells, curve_of, remember, same

RIGL = {"criterion": "random", "allocation": "uniform", "schedule": {"name": "dynamic", "every": 2}}
SET = {**RIGL, "schedule": {**RIGL["schedule"], "grow": "random"}}


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_drop_share_is_half_a_cosine() -> None:
    assert drop_share(0.3, 0.0) == pytest.approx(0.3)
    assert drop_share(0.3, 0.5) == pytest.approx(0.15)
    assert drop_share(0.3, 1.0) == pytest.approx(0.0)
    assert drop_share(0.4, 0.25) == pytest.approx(0.2 * (1 + math.sqrt(0.5)))


def tensors(seed: int, size: int, kept: int) -> tuple[Tensor, Tensor, Tensor]:
    """A weight that is zero where its mask is False, the mask, a dense gradient."""
    weight, gradient = torch.randn(2, size, generator=draw(seed))
    mask = torch.zeros(size, dtype=torch.bool)
    mask[torch.randperm(size, generator=draw(seed + 1))[:kept]] = True
    return weight * mask, mask, gradient


@settings(deadline=None)
@given(data=st.data(), size=st.integers(1, 40), seed=st.integers(0, 999), ties=st.booleans())
def test_rigl_by_brute_force(data: st.DataObject, size: int, seed: int, ties: bool) -> None:
    kept = data.draw(st.integers(0, size))
    count = data.draw(st.integers(0, kept))
    weight, mask, gradient = tensors(seed, size, kept)
    if ties:
        weight, gradient = weight.round(), gradient.round()
    new = drop_and_grow(weight.view(1, -1), mask.view(1, -1), count, gradient.view(1, -1), draw())
    new = new.flatten()
    assert int(new.sum()) == kept
    stay = {i for i in range(size) if mask[i]}
    if not ties:  # one weight after another, by the definition
        for _ in range(count):
            stay.remove(min(stay, key=lambda i: abs(weight[i])))
        for _ in range(count):
            open_to = [i for i in range(size) if i not in stay]
            stay.add(max(open_to, key=lambda i: abs(gradient[i])))
        assert {i for i in range(size) if new[i]} == stay
        return
    # with ties: nothing that went was larger, nothing that came was smaller, than what might have
    gone, come = mask & ~new, ~mask & new
    if gone.any():
        assert weight[gone].abs().max() <= weight[mask].abs().sort().values[count - 1]
    rest = ~new & ~mask
    if come.any() and rest.any():
        assert gradient[come].abs().min() >= gradient[rest].abs().max()


@settings(deadline=None)
@given(data=st.data(), size=st.integers(1, 40), seed=st.integers(0, 999))
def test_set_grows_only_what_was_not_there(data: st.DataObject, size: int, seed: int) -> None:
    kept = data.draw(st.integers(0, size))
    count = data.draw(st.integers(0, kept))
    weight, mask, _ = tensors(seed, size, kept)
    new = drop_and_grow(weight, mask, count, None, draw())
    assert int(new.sum()) == kept
    moved = min(count, size - kept)
    assert int((mask & ~new).sum()) == int((~mask & new).sum()) == moved
    smallest = weight[mask].abs().sort().values[:moved]
    assert torch.equal(weight[mask & ~new].abs().sort().values, smallest)


def test_set_grows_uniformly() -> None:
    mask = torch.arange(10) < 4
    grown = torch.zeros(10)
    for seed in range(600):
        grown += drop_and_grow(torch.arange(10.0), mask, 2, None, draw(seed)) & ~mask
    # each of six is grown in a third of the draws: 200, standard deviation 11.5
    assert grown[4:].sum() == 1200
    assert (grown[4:] - 200).abs().max() < 50


def trace(curve: Curve, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What each step saw and did: dense gradients, weights before and after, masks."""
    steps: list[dict] = []
    run = curve.train

    def spy(model, masks, *, hooks, **rest):
        names = list(masks)
        current = {name: mask.clone() for name, mask in masks.items()}

        def look(step, network):
            named = dict(network.named_parameters())
            for name in names:  # held at zero, up to here
                assert not named[name][~current[name]].any()
            steps.append({"gradients": {name: named[name].grad.clone() for name in names}})
            if hooks.after_backward:
                hooks.after_backward(step, network)

        def act(step, network):
            named = dict(network.named_parameters())
            steps[-1]["weights"] = {name: named[name].detach().clone() for name in names}
            steps[-1]["before"] = {name: mask.clone() for name, mask in current.items()}
            found = hooks.after_step(step, network)
            steps[-1]["acted"] = found is not None
            for name, mask in (found or {}).items():
                current[name] = mask.clone()
            steps[-1]["after"] = {name: mask.clone() for name, mask in current.items()}
            return found

        return run(model, masks, hooks=Hooks(after_backward=look, after_step=act), **rest)

    monkeypatch.setattr(curve, "train", spy)
    return steps


@pytest.mark.parametrize("method", [RIGL, SET])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_every_update_of_a_training(
    method: dict, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    curve = curve_of(method, optimizer=optimizer, epochs=5)
    steps = trace(curve, monkeypatch)
    (cell,) = cells(curve, [0.5])
    counts = {name: int(mask.sum()) for name, mask in steps[0]["before"].items()}
    assert counts == {"conv.weight": 18, "first.weight": 64, "second.weight": 32}
    # 15 steps, updates at 2, 4, … up to round(0.75 · 15) = 11, where the cosine is over
    assert [n for n, step in enumerate(steps, 1) if step["acted"]] == [2, 4, 6, 8, 10, 11]
    exact = 0
    for number, step in enumerate(steps, 1):
        for name, mask in step["after"].items():
            before, weight = step["before"][name], step["weights"][name]
            assert int(mask.sum()) == counts[name]
            if not step["acted"]:
                assert torch.equal(mask, before)
                continue
            count = int(0.3 / 2 * (1 + math.cos(math.pi * number / 11)) * counts[name])
            size = weight[before].abs().sort().values
            assert (mask | ~before | (weight.abs() <= (size[count - 1] if count else 0))).all()
            if method is SET:  # as many as were dropped, none of them
                assert int((mask & ~before).sum()) == count
                continue
            stay = before.clone()
            stay.view(-1)[(weight.abs() + 9 * ~before).flatten().argsort()[:count]] = False
            gradient = step["gradients"][name].abs().masked_fill(stay, -1).flatten()
            grown = torch.zeros_like(mask)
            grown.view(-1)[gradient.argsort(descending=True)[:count]] = True
            if len(size.unique()) == len(size) and gradient[grown.flatten()].all():
                assert torch.equal(mask, stay | grown)
                exact += 1
    assert method is SET or exact > 5
    assert cell.spent.epochs == 5
    moved = sum(
        not torch.equal(step["before"][n], step["after"][n]) for step in steps for n in counts
    )
    assert moved > 5


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_what_is_pruned_is_forgotten_by_the_optimizer(name: str) -> None:
    curve = curve_of(RIGL, optimizer=name, epochs=1)
    model = build_from(0)
    optimizer = optimizer_of(model, curve.training)
    weight = model.first.weight
    for value in model.parameters():
        value.grad = torch.ones_like(value)
    optimizer.step()
    mask = torch.rand(weight.shape, generator=draw()) < 0.5
    Enforcer(model, {"first.weight": mask}).momentum(optimizer)
    held = [v for v in optimizer.state[weight].values() if v.shape == weight.shape]
    assert held
    for value in held:
        assert not value[~mask].any()
        assert value[mask].all()
    assert all(v.all() for v in optimizer.state[model.second.weight].values())


def test_grown_weights_start_at_zero_without_momentum(monkeypatch: pytest.MonkeyPatch) -> None:
    method = {**SET, "schedule": {**SET["schedule"], "share": 1.0}}
    curve = curve_of(method, weight_decay=0.0, momentum=0.9, nesterov=False, schedule="constant")
    steps = trace(curve, monkeypatch)
    cells(curve, [0.5])
    checked = 0
    for one, two in pairwise(steps):
        for name in one["after"]:
            grown = one["after"][name] & ~one["before"][name]
            # plain gradient descent in their first step: no momentum of their own
            wanted = -0.05 * two["gradients"][name][grown]
            torch.testing.assert_close(two["weights"][name][grown], wanted, rtol=1e-5, atol=1e-7)
            checked += int(grown.sum())
    assert checked > 50


def test_same_bits_resume_and_independence() -> None:
    for method in (RIGL, SET):
        whole = cells(curve_of(method, dropout=0.3), [0.5, 0.9])
        (alone,) = cells(remember(curve_of(method, dropout=0.3), whole[:1]), [0.5, 0.9])
        assert same(alone.model, whole[1].model)
        other = cells(curve_of(method, dropout=0.3, seed=8), [0.9])[0]
        assert not same(other.model, alone.model)


def test_without_a_share_the_mask_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    curve = curve_of({**SET, "schedule": {**SET["schedule"], "share": 0.0}})
    steps = trace(curve, monkeypatch)
    (cell,) = cells(curve, [0.9])
    for name, mask in cell.masks.items():
        assert torch.equal(mask, steps[0]["before"][name])
        assert not cell.model.get_parameter(name)[~mask].any()


def test_sparsity_zero_is_the_baseline() -> None:
    for method in (RIGL, SET):
        curve = curve_of(method)
        assert same(cells(curve, [0.0])[0].model, curve.model_at(4))


@pytest.mark.parametrize("wrong", [{"grow": "up"}, {"share": 1.5}, {"end": 0.0}, {"every": -1}])
def test_refuses_what_is_no_schedule(wrong: dict) -> None:
    with pytest.raises(PrunebenchError):
        cells(curve_of({**RIGL, "schedule": {"name": "dynamic", **wrong}}, epochs=1), [0.5])


def test_refuses_filters_and_rewinding() -> None:
    for wrong in ({"criterion": "l1-norm"}, {"recovery": "weight-rewinding"}):
        with pytest.raises(PrunebenchError, match="goes with"):
            curve_of({**RIGL, **wrong})
