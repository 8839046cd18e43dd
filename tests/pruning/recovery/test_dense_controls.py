"""Controls: early stopping, tuned weight decay, dense as long, small dense, another start."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.pruning.curve import Curve, Pruned
from prunebench.training.loop import learning_rate, train
from tests.pruning.in_memory import cells, curve_of, same


def dense(recovery: str, **parameters: object) -> dict:
    return {
        "criterion": "magnitude",
        "schedule": "dense",
        "recovery": {"name": recovery, **parameters},
    }


def predicted_by(model: nn.Module, curve: Curve) -> Tensor:
    """Logits on validation."""
    with torch.no_grad():
        return model.eval()(curve.samples.normalize(curve.samples.val_inputs))


def val_error(curve, model) -> float:
    predicted = predicted_by(model, curve).argmax(1)
    return (predicted != curve.samples.val_targets).float().mean().item()


def test_early_stopping_keeps_the_best_epoch() -> None:
    curve = curve_of(dense("early-stopping"), epochs=8, learning_rate=0.3, wrong=8)
    errors = [val_error(curve, curve.model_at(epoch)) for epoch in range(1, 9)]
    best = errors.index(min(errors)) + 1
    assert min(errors) < errors[-1]  # else it would show nothing
    (cell,) = cells(curve, [0.0])
    assert same(cell.model, curve.model_at(best))
    assert [entry["epoch"] for entry in cell.run.history if entry.get("kept")] == [best]
    assert [entry["val_error"] for entry in cell.run.history] == pytest.approx(errors)
    assert cell.spent.epochs == 8  # all that it took, and no baseline
    assert all(mask.all() for mask in cell.masks.values())


def test_tuned_weight_decay_chooses_on_validation() -> None:
    values = [0.0, 0.1, 1.0]
    curve = curve_of(dense("tuned-weight-decay", values=values), epochs=6, count=40)
    found = []
    for value in values:
        model = curve.model_at(0)
        settings = curve.training.model_copy(update={"weight_decay": value})
        train(model, curve.samples, settings, seed=3, rate=learning_rate(settings), stop=6)
        logits = predicted_by(model, curve)
        nll = nn.functional.cross_entropy(logits, curve.samples.val_targets).item()
        found.append(((val_error(curve, model), nll), value, model))
    _, value, model = min(found, key=lambda item: item[0])
    (cell,) = cells(curve, [0.0])
    assert same(cell.model, model)
    assert {entry["weight_decay"] for entry in cell.run.history} == {value}
    assert len({score for score, _, _ in found}) == 3
    assert cell.spent.epochs == 18
    assert len(cell.run.history) == 6


@pytest.mark.filterwarnings("ignore")
def test_a_weight_decay_that_diverges_is_not_chosen() -> None:
    curve = curve_of(dense("tuned-weight-decay", values=[1e30, 0.0]), epochs=2)
    (cell,) = cells(curve, [0.0])
    assert not cell.run.diverged
    assert {entry["weight_decay"] for entry in cell.run.history} == {0.0}
    curve = curve_of(dense("tuned-weight-decay", values=[1e30]), epochs=2)
    assert cells(curve, [0.0])[0].run.diverged


@pytest.mark.parametrize("values", [[], [-0.1], ["many"], [math.nan]])
def test_refuses_what_is_no_weight_decay(values: list) -> None:
    with pytest.raises(PrunebenchError, match="weight-decay"):
        cells(curve_of(dense("tuned-weight-decay", values=values), epochs=1), [0.0])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_few_values_where_none_are_given(optimizer: str) -> None:
    curve = curve_of(dense("tuned-weight-decay"), epochs=1, optimizer=optimizer)
    assert cells(curve, [0.0])[0].spent.epochs == 5


def test_dense_as_long() -> None:
    curve = curve_of(dense("learning-rate-rewinding", times=3))
    (cell,) = cells(curve, [0.0])
    assert cell.spent.epochs == 16
    rates = [entry["learning_rate"] for entry in cell.run.history]
    assert rates == pytest.approx(3 * [learning_rate(curve.training)(e) for e in range(4)])
    model = curve.model_at(4)
    train(model, curve.samples, curve.training, seed=3, rate=learning_rate(curve.training), stop=4)
    (once,) = cells(curve_of(dense("learning-rate-rewinding")), [0.0])
    assert same(once.model, model)
    assert not same(cell.model, model)
    with pytest.raises(PrunebenchError, match="times"):
        cells(curve_of(dense("learning-rate-rewinding", times=0)), [0.0])


@pytest.mark.parametrize(
    ("recovery", "given"), [("early-stopping", {}), ("tuned-weight-decay", {"values": [0.0, 1.0]})]
)
def test_choices_are_made_on_noisy_validation_unless_clean_is_asked_for(
    recovery: str, given: dict
) -> None:
    def chosen(noise: bool, **more: object) -> Pruned:
        method = dense(recovery, **given, **more)
        curve = curve_of(method, epochs=8, learning_rate=0.3, wrong=8)
        if noise:
            wrong = (curve.samples.val_targets + 1) % 3
            curve = replace(curve, samples=replace(curve.samples, noisy_val_targets=wrong))
        return cells(curve, [0.0])[0]

    plain = chosen(noise=False)
    assert same(chosen(noise=True, clean_validation=True).model, plain.model)
    # every label is wrong: what is best by them is worst
    assert not same(chosen(noise=True).model, plain.model)
