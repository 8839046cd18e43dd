"""Gradual pruning and network slimming's training, against their definitions."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.settings import Training
from prunebench.pruning.curve import Curve, update_steps
from prunebench.pruning.schedules.gradual import cubic
from prunebench.pruning.schedules.regularized import least_strength
from prunebench.training.loop import Hooks, learning_rate, train
from tests.pruning.in_memory import cells, curve_of, remember, same

GRADUAL = {"criterion": "magnitude", "schedule": {"name": "gradual", "every": 2}}
TOTAL = 36 + 128 + 64


def watch(curve: Curve, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """Every (sparsity asked for, weights kept) as the curve prunes."""
    seen = []
    masks = curve.masks

    def look(view, scored, sparsity):
        found = masks(view, scored, sparsity)
        seen.append((sparsity, sum(int(mask.sum()) for mask in found.values())))
        return found

    monkeypatch.setattr(curve, "masks", look)
    return seen


@given(first=st.floats(0, 0.9), last=st.floats(0, 0.99), t=st.floats(0, 1))
def test_cubic_law(first: float, last: float, t: float) -> None:
    first = min(first, last)
    assert cubic(first, last, 0.0) == pytest.approx(first)
    assert cubic(first, last, 1.0) == last
    assert cubic(first, last, t) == pytest.approx(
        last + (first - last) * (1 - 3 * t + 3 * t**2 - t**3)
    )
    assert first - 1e-9 <= cubic(first, last, t) <= last


@given(
    total=st.integers(4, 2000), every=st.none() | st.integers(1, 500), begin=st.floats(0, 0.4),
    end=st.floats(0.5, 1),
)  # fmt: skip
def test_update_steps(total: int, every: int | None, begin: float, end: float) -> None:
    steps = update_steps(end, every, total, begin)
    assert steps[0] >= round(begin * total) or len(steps) == 1
    assert steps[-1] == round(end * total)
    gaps = {b - a for a, b in pairwise(steps[:-1])}
    assert gaps <= {every or max(total // 100, 10)}


@pytest.mark.parametrize("wrong", [
    {"begin": 0.5, "end": 0.5}, {"end": 1.5}, {"begin": -0.1}, {"every": 0}, {"stretch": 0.0},
    {"start": "middle"},
])  # fmt: skip
def test_refuses_what_is_no_schedule(wrong: dict) -> None:
    with pytest.raises(PrunebenchError):
        cells(curve_of({**GRADUAL, "schedule": {"name": "gradual", **wrong}}, epochs=1), [0.5])


def test_sparsity_follows_the_law_at_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = {"name": "gradual", "begin": 0.25, "end": 0.75, "every": 2, "initial": 0.1}
    curve = curve_of({**GRADUAL, "schedule": schedule})
    seen = watch(curve, monkeypatch)
    (cell,) = cells(curve, [0.9])
    # 12 steps: updates after 3, 5, 7 and, exactly, 9
    law = [0.9 - 0.8 * (1 - t) ** 3 for t in (0, 2 / 6, 4 / 6)] + [0.9]
    assert [s for s, _ in seen] == pytest.approx(law)
    assert [kept for _, kept in seen] == [TOTAL - round(s * TOTAL) for s in law]
    assert sum(int(mask.sum()) for mask in cell.masks.values()) == TOTAL - round(0.9 * TOTAL)


def test_against_a_naive_rewrite() -> None:
    curve = curve_of(GRADUAL)
    (cell,) = cells(curve, [0.8])
    model = curve.model_at(0)
    law = {step: 0.8 - 0.8 * (1 - step / 9) ** 3 for step in (2, 4, 6, 8)} | {9: 0.8}
    names = ["conv.weight", "first.weight", "second.weight"]

    def prune(step, network):
        if step + 1 not in law:
            return None
        named = dict(network.named_parameters())
        ranked = sorted(
            (abs(value), name, place)
            for name in names
            for place, value in enumerate(named[name].detach().flatten().tolist())
        )
        masks = {name: torch.ones(named[name].numel(), dtype=torch.bool) for name in names}
        for _, name, place in ranked[: round(law[step + 1] * TOTAL)]:
            masks[name][place] = False
        return {name: mask.view(named[name].shape) for name, mask in masks.items()}

    train(model, curve.samples, curve.training, seed=3, rate=learning_rate(curve.training),
          stop=4, hooks=Hooks(after_step=prune))  # fmt: skip
    assert same(model, cell.model)


def test_what_is_gone_stays_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    curve = curve_of({**GRADUAL, "schedule": {"name": "gradual", "every": 1}})
    gone: dict[str, torch.Tensor] = {}
    run = curve.train

    def spy(model, masks, *, hooks, **rest):
        def after(step, network):
            found = hooks.after_step(step, network)
            if found is not None:
                for name, mask in found.items():
                    assert not (mask & gone.get(name, torch.zeros_like(mask))).any()
                    gone[name] = ~mask
            return found

        return run(model, masks, hooks=Hooks(after_step=after), **rest)

    monkeypatch.setattr(curve, "train", spy)
    (cell,) = cells(curve, [0.9])
    for name, weight in cell.model.named_parameters():
        if name in gone:
            assert not weight[gone[name]].any()
            assert weight[~gone[name]].all()


def test_its_own_budget_and_the_recoverys() -> None:
    for method, epochs in (
        (GRADUAL, 4),
        ({**GRADUAL, "recovery": {"name": "fine-tuning", "epochs": 3}}, 7),
        ({**GRADUAL, "schedule": {"name": "gradual", "start": "trained"}}, 8),
        ({**GRADUAL, "schedule": {"name": "gradual", "stretch": 1.5}}, 6),
    ):
        (cell,) = cells(curve_of(method), [0.5])
        assert cell.spent.epochs == epochs
        assert [entry["epoch"] for entry in cell.run.history] == [
            *range(1, int(cell.run.epochs) + 1)
        ]
        assert cell.run.seconds >= 0


def test_sparsities_do_not_depend_on_each_other_and_resume() -> None:
    whole = cells(curve_of(GRADUAL), [0.5, 0.9])
    (alone,) = cells(remember(curve_of(GRADUAL), whole[:1]), [0.5, 0.9])
    assert alone.sparsity == 0.9
    assert same(alone.model, whole[1].model)
    assert cells(remember(curve_of(GRADUAL), whole), [0.5, 0.9]) == []


def test_filters_go_gradually() -> None:
    method = {"criterion": "l1-norm", "allocation": "uniform", "schedule": "gradual"}
    (cell,) = cells(curve_of(method), [0.5])
    rows = cell.masks["first.weight"].any(1)
    assert 0 < int(rows.sum()) < 8
    assert not cell.model.get_parameter("first.weight")[~rows].any()


def test_without_noise_of_dropout_sparsity_zero_is_the_baseline() -> None:
    curve = curve_of(GRADUAL, dropout=0.2)
    (cell,) = cells(curve, [0.0])
    assert same(cell.model, curve.model_at(4))


@pytest.mark.filterwarnings("ignore")
def test_diverged_is_said_not_raised() -> None:
    curve = curve_of({**GRADUAL, "recovery": "fine-tuning"})
    curve.training = curve.training.model_copy(update={"learning_rate": 1e30})
    (cell,) = cells(curve, [0.5])
    assert cell.run.diverged
    assert cell.run.epochs == 1


def test_slimming_is_an_l1_of_the_scales() -> None:
    method = {"criterion": "random", "schedule": {"name": "regularized", "strength": 0.05}}
    curve = curve_of(method, optimizer="sgd", momentum=0.0, nesterov=False)
    low, high = cells(curve, [0.0, 0.5])
    assert low.spent.epochs == high.spent.epochs == 4
    # the same by hand: the penalty adds strength · sign(γ) to γ's gradient
    model = curve.model_at(0)
    model.norm.weight.data.fill_(0.5)  # as the authors start

    def subgradient(step, network):
        network.norm.weight.grad += 0.05 * network.norm.weight.detach().sign()

    train(model, curve.samples, curve.training, seed=3, rate=learning_rate(curve.training),
          stop=4, hooks=Hooks(after_backward=subgradient))  # fmt: skip
    for one, other in zip(model.parameters(), low.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    dense = curve.model_at(4)
    assert low.model.norm.weight.abs().sum() < dense.norm.weight.abs().sum()


def test_the_penalty_of_slimming_is_strong_enough_to_act() -> None:
    # the authors' CIFAR run: 160 epochs of 782 steps, 0.1 to half of them, then 0.01, 0.001
    authors = Training(epochs=160, batch_size=64, learning_rate=0.1, schedule="step")
    path = 782 * (80 * 0.1 + 40 * 0.01 + 40 * 0.001)
    assert least_strength(authors, 782, 0.5) == pytest.approx(0.5 * 0.1 / path)
    assert least_strength(authors, 782, 0.5) < 1e-4  # so that theirs is taken
    # a scale that only the penalty moves comes to 0 just at the end
    training = Training(epochs=4, learning_rate=0.05, nesterov=False)
    gamma = torch.nn.Parameter(torch.full((1,), 0.5))
    optimizer, rate = torch.optim.SGD([gamma], lr=1.0, momentum=0.9), learning_rate(training)
    strength = least_strength(training, 100, 0.5)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = rate(step / 100)
        gamma.grad = strength * gamma.detach().sign()
        optimizer.step()
    assert abs(gamma.item()) < 0.05 * 0.5


def test_slimming_starts_at_half_and_is_strengthened_where_training_is_short(monkeypatch) -> None:
    seen = {}

    def watched(model, *args, hooks, **kwargs):
        seen.update(scale=model.norm.weight.detach().clone(), penalty=hooks.penalty(model).item())
        return train(model, *args, hooks=hooks, **kwargs)

    curve = curve_of({"criterion": "random", "schedule": "regularized"})
    monkeypatch.setattr("prunebench.pruning.curve.train", watched)
    cells(curve, [0.5])
    assert seen["scale"].tolist() == [0.5] * 4
    strength = least_strength(curve.training, curve.steps_per_epoch, 0.5)
    assert strength > 1e-4
    assert seen["penalty"] == pytest.approx(4 * 0.5 * strength, rel=1e-4)


def test_slimming_recovers_resumes_and_refuses() -> None:
    method = {"criterion": "magnitude", "schedule": "regularized"}
    method["recovery"] = {"name": "fine-tuning", "epochs": 1}
    whole = cells(curve_of(deepcopy(method)), [0.5, 0.9])
    assert [cell.spent.epochs for cell in whole] == [5, 5]
    (again,) = cells(remember(curve_of(method), whole[:1]), [0.5, 0.9])
    assert same(again.model, whole[1].model)
    with pytest.raises(Refused, match="no batch norm"):
        cells(curve_of(method, norm=False), [0.5])


@pytest.mark.parametrize("schedule", ["gradual", "iterative"])
def test_refuses_a_pattern_of_one_sparsity(schedule: str) -> None:
    with pytest.raises(PrunebenchError, match="passes sparsities"):
        curve_of({"criterion": "wanda", "pattern": "n-m", "schedule": schedule})


@pytest.mark.parametrize("recovery", ["weight-rewinding", "distillation", "re-initialization"])
def test_rounds_go_on_after_a_kill_to_the_same_bits(recovery: str) -> None:
    method = {"criterion": "magnitude", "schedule": {"name": "iterative", "rate": 0.5}}
    method["recovery"] = recovery
    whole = cells(curve_of(method, dropout=0.2, epochs=2), [0.6, 0.75])
    assert [(cell.sparsity, cell.spent.epochs) for cell in whole] == [(0.5, 4), (0.6, 6), (0.75, 6)]
    for done in (1, 2):
        rest = cells(remember(curve_of(method, dropout=0.2, epochs=2), whole[:done]), [0.6, 0.75])
        for again, first in zip(rest, whole[done:], strict=True):
            assert same(again.model, first.model)
            assert again.spent.epochs == first.spent.epochs
