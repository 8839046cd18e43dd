"""Distillation: the loss by hand, and whole recoveries."""

from __future__ import annotations

import math

import pytest
import torch

from prunebench.errors import PrunebenchError
from prunebench.pruning.curve import Curve
from prunebench.training.loop import Hooks
from tests.kinds import classes
from tests.pruning.in_memory import cells, curve_of, same


def softmax(values: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergence_by_hand(temperature: float) -> None:
    student, teacher = [[1.0, 2.0, -1.0], [0.0, 0.5, 0.2]], [[3.0, 0.0, 1.0], [0.1, 0.1, 0.1]]
    total = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        q, p = softmax(ours, temperature), softmax(theirs, temperature)
        total += sum(b * (math.log(b) - math.log(a)) for a, b in zip(q, p, strict=True))
    found = classes(3).divergence(torch.tensor(student), torch.tensor(teacher), temperature)
    assert found.item() == pytest.approx(temperature**2 * total / 2, rel=1e-5)
    assert classes(3).divergence(
        torch.tensor(teacher), torch.tensor(teacher), temperature
    ).item() == (pytest.approx(0.0, abs=1e-6))


def distilled(**parameters: object) -> dict:
    return {"criterion": "magnitude", "recovery": {"name": "distillation", **parameters}}


def test_the_loss_of_a_step_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    curve = curve_of(distilled(temperature=2.0, weight=0.7, epochs=1))
    hooks: list[Hooks] = []
    run = Curve.train

    def spy(self, model, masks, *, hooks: Hooks, **rest):
        seen.append(hooks)
        return run(self, model, masks, hooks=hooks, **rest)

    seen = hooks
    monkeypatch.setattr(Curve, "train", spy)
    cells(curve, [0.5])
    inputs = curve.samples.normalize(curve.samples.inputs[:5])
    labels = curve.samples.targets[:5]
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    dense = curve.model_at(4).eval()
    total = 0.0
    for mine, theirs, label in zip(
        logits.tolist(), dense(inputs).detach().tolist(), labels.tolist(), strict=True
    ):
        q, p = softmax(mine, 2.0), softmax(theirs, 2.0)
        kl = sum(b * math.log(b / a) for a, b in zip(q, p, strict=True))
        total += 0.7 * 4.0 * kl - 0.3 * math.log(softmax(mine, 1.0)[label])
    assert hooks[0].loss is not None
    assert hooks[0].loss(logits, labels, inputs).item() == pytest.approx(total / 5, rel=1e-5)


def test_without_weight_it_is_fine_tuning_or_rewinding() -> None:
    for weightless, plain in (
        (distilled(weight=0.0, epochs=2), {"name": "fine-tuning", "epochs": 2}),
        (distilled(weight=0.0, rewind=True), {"name": "learning-rate-rewinding"}),
    ):
        (one,) = cells(curve_of(weightless, dropout=0.2), [0.5])
        (other,) = cells(
            curve_of({"criterion": "magnitude", "recovery": plain}, dropout=0.2), [0.5]
        )
        assert same(one.model, other.model)
        assert one.spent.epochs == other.spent.epochs


def test_comes_nearer_to_the_dense_network_and_keeps_the_mask() -> None:
    curve = curve_of(distilled(weight=1.0, epochs=20, rate_share=1.0), norm=False, epochs=12)
    (cell,) = cells(curve, [0.7])
    inputs = curve.samples.normalize(curve.samples.inputs)
    dense = curve.model_at(12).eval()(inputs)
    pruned = curve.model_at(12)
    with torch.no_grad():
        for name, mask in cell.masks.items():
            pruned.get_parameter(name).mul_(mask)
    before = classes(3).divergence(pruned.eval()(inputs), dense, 4.0).item()
    assert classes(3).divergence(cell.model.eval()(inputs), dense, 4.0).item() < 0.5 * before
    for name, mask in cell.masks.items():
        assert not cell.model.get_parameter(name)[~mask].any()
    assert cell.spent.epochs == 32
    assert not any(value.requires_grad is False for value in cell.model.parameters())


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"weight": 1.5}])
def test_refuses_what_is_no_loss(wrong: dict) -> None:
    with pytest.raises(PrunebenchError, match="distillation"):
        cells(curve_of(distilled(**wrong), epochs=1), [0.5])
