"""Recoveries: what they start from, what they see, and that nothing pruned comes back."""

from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from prunebench.experiment import config, registry
from prunebench.experiment.part_kinds import Recovery
from prunebench.experiment.settings import Training
from prunebench.pruning import compose
from prunebench.pruning.masks import apply
from prunebench.pruning.recovery.fine_tuning import last_rate
from prunebench.storage.hashing import derive_seed
from prunebench.training.loop import learning_rate, train
from tests.pruning.in_memory import cells, curve_of

PARTS = [
    "none", "fine-tuning", "last-rate-fine-tuning", "learning-rate-rewinding", "weight-rewinding",
    "re-initialization", "batch-norm-recalibration",
]  # fmt: skip


def method(recovery: str, criterion: str = "magnitude", **parameters: object) -> dict:
    return {"criterion": criterion, "recovery": {"name": recovery, **parameters}}


def same_bits(one: nn.Module, two: nn.Module) -> None:
    torch.testing.assert_close(one.state_dict(), two.state_dict(), rtol=0, atol=0)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in model.named_parameters()}


def started_from(bench, monkeypatch, given: dict) -> dict[str, Tensor]:
    """The weights with which training begins."""
    seen: dict[str, Tensor] = {}

    def first(model: nn.Module, *args: object, **kwargs: object) -> object:
        seen.update(deepcopy(model.state_dict()))
        return train(model, *args, **kwargs)

    monkeypatch.setattr("prunebench.pruning.curve.train", first)
    bench.run(given, 0.7)
    return seen


@pytest.mark.parametrize("criterion", ["magnitude", "l1-norm"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_decay": 0.1, "momentum": 0.99},
        {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.5},
        {"gradient_clip": 0.1, "nesterov": False},
    ],
    ids=["sgd", "strong", "adamw", "clipped"],
)
@pytest.mark.parametrize("recovery", PARTS)
def test_nothing_revives(bench, recovery, changes, criterion) -> None:
    fresh = bench.fresh(epochs=2, recovery_epochs=1, rewind_epochs=[1], **changes)
    fresh.states = {**bench.states, 2: bench.states[4]}
    cell = fresh.run(method(recovery, criterion), 0.7)[0.7]
    for name, mask in cell.masks.items():
        weight = cell.model.get_parameter(name)
        assert not weight[~mask].any()
        assert weight[mask].any()
    length = {"none": 0, "batch-norm-recalibration": 0, "fine-tuning": 1}.get(recovery, 2)
    assert cell.run.epochs == length
    assert cell.spent.epochs == 4 + length
    assert not cell.run.diverged


def test_every_recovery_that_goes_on_is_tried() -> None:
    assert set(PARTS) <= set(registry.builtin(Recovery))


def test_none_changes_nothing_else(bench) -> None:
    cell = bench.run(method("none"), 0.5)[0.5]
    final = bench.states[4]
    for name, value in cell.model.state_dict().items():
        mask = cell.masks.get(name)
        torch.testing.assert_close(value, final[name] if mask is None else final[name] * mask)


def test_fine_tuning_is_plain_training(bench) -> None:
    cell = bench.run(method("fine-tuning", epochs=3, rate_share=0.5), 0.5)[0.5]
    curve = bench.curve(config.method("magnitude"))
    model = curve.model_at(4)
    apply(model, cell.masks)
    train(
        model, bench.samples, bench.training, seed=derive_seed(curve.seed, "recovery"), stop=3,
        rate=lambda epoch: 0.025, masks=cell.masks,
    )  # fmt: skip
    same_bits(cell.model, model)
    assert cell.run.epochs == 3
    assert [entry["learning_rate"] for entry in cell.run.history] == [0.025] * 3


def test_the_rate_of_fine_tuning_falls_at_its_milestones(bench) -> None:
    """As in Fang 2023: at 60 and 80 of 100 epochs to a tenth."""
    tuned = method("fine-tuning", epochs=5, rate_share=0.5, milestones=[0.6, 0.8])
    cell = bench.run(tuned, 0.5)[0.5]
    rates = [entry["learning_rate"] for entry in cell.run.history]
    assert rates == pytest.approx([0.025] * 3 + [0.0025, 0.00025])


def test_fine_tuning_lasts_as_configured(bench) -> None:
    assert bench.run(method("fine-tuning"), 0.5)[0.5].run.epochs == 2
    whole = bench.fresh(recovery_epochs=None)
    assert whole.run(method("fine-tuning"), 0.5)[0.5].run.epochs == 4


@pytest.mark.parametrize("to_epoch", [0, 1])
def test_weight_rewinding_starts_from_the_stored_bits(bench, monkeypatch, to_epoch) -> None:
    seen = started_from(bench, monkeypatch, method("weight-rewinding", to_epoch=to_epoch))
    masks = bench.cells[0.7].masks
    for name, value in bench.states[to_epoch].items():
        expected = value if name not in masks else torch.where(masks[name], value, 0.0)
        torch.testing.assert_close(seen[name], expected, rtol=0, atol=0)


@pytest.mark.parametrize("to_epoch", [0, 1])
@pytest.mark.parametrize("recovery", ["weight-rewinding", "learning-rate-rewinding"])
def test_rewinding_repeats_the_schedule(bench, recovery, to_epoch) -> None:
    cell = bench.run(method(recovery, to_epoch=to_epoch), 0.5)[0.5]
    curve = bench.curve(config.method("magnitude"))
    model = curve.model_at(to_epoch if recovery == "weight-rewinding" else 4)
    apply(model, cell.masks)
    train(
        model, bench.samples, bench.training, seed=7, start=to_epoch, stop=4,
        rate=learning_rate(bench.training), masks=cell.masks,
    )  # fmt: skip
    same_bits(cell.model, model)
    rates = [entry["learning_rate"] for entry in cell.run.history]
    expected = [learning_rate(bench.training)(epoch) for epoch in range(to_epoch, 4)]
    assert rates == pytest.approx(expected)


def test_rewinding_without_pruning_is_the_baseline(bench) -> None:
    """From initialization, in the baseline's order: the control of the whole machinery."""
    curve = bench.curve(config.method({"name": "x", **method("weight-rewinding")}))
    model = curve.model_at(4)
    recovery, parameters = compose.part(curve.method, "recovery")
    recovery(curve, model, {}, **parameters)
    torch.testing.assert_close(model.state_dict(), dict(bench.states[4]), rtol=0, atol=0)


def test_re_initialization_is_another_start(bench, monkeypatch) -> None:
    seen = started_from(bench, monkeypatch, method("re-initialization"))
    masks = bench.cells[0.7].masks
    initial = bench.states[0]
    for name, mask in masks.items():
        assert not seen[name][~mask].any()
        assert not torch.equal(seen[name][mask], initial[name][mask])
        # drawn alike: the same deviation, of what is kept at random from uniform draws
        kept = seen[name][mask]
        assert float(kept.abs().max()) <= float(initial[name].abs().max()) * 1.1
    assert float(seen["features.1.running_mean"].abs().max()) == 0
    again = started_from(bench.fresh(), monkeypatch, method("re-initialization"))
    torch.testing.assert_close(seen, again, rtol=0, atol=0)


def test_batch_norm_recalibration_measures(bench) -> None:
    cell = bench.run(method("batch-norm-recalibration"), 0.7)[0.7]
    final = bench.states[4]
    for name, value in weights_of(cell.model).items():
        mask = cell.masks.get(name)
        torch.testing.assert_close(value, final[name] if mask is None else final[name] * mask)
    model, norms = cell.model, (cell.model.features[1], cell.model.features[4])
    assert [norm.momentum for norm in norms] == [0.1, 0.1]
    # by hand: the mean over the batches of each batch's mean and unbiased variance
    batches = bench.samples.normalize(bench.samples.inputs).split(20)
    first = [model.features[0](batch) for batch in batches]
    flat = [batch.transpose(0, 1).flatten(1) for batch in first]
    mean = torch.stack([values.mean(1) for values in flat]).mean(0)
    variance = torch.stack([values.var(1) for values in flat]).mean(0)
    torch.testing.assert_close(norms[0].running_mean, mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(norms[0].running_var, variance, atol=1e-5, rtol=1e-5)
    assert not torch.equal(norms[1].running_mean, final["features.4.running_mean"])


def test_the_baseline_is_left_as_it_was(bench) -> None:
    before = deepcopy(dict(bench.states))
    for recovery in PARTS:
        bench.fresh().run(method(recovery), 0.5)
    for epoch, state in before.items():
        torch.testing.assert_close(dict(bench.states[epoch]), dict(state), rtol=0, atol=0)


# ------------------------------------------------------------------------------------- its length


@pytest.mark.parametrize("recovery", PARTS)
@pytest.mark.parametrize("length", [0.5, 3.0])
def test_a_recovery_of_another_length_stretches_its_schedule(recovery: str, length: float) -> None:
    plain = curve_of(method(recovery), epochs=4, recovery_epochs=2, warmup_epochs=1)
    longer = curve_of({**method(recovery), "length": length}, epochs=4, recovery_epochs=2,
                      warmup_epochs=1)  # fmt: skip
    (one,), (other,) = cells(plain, [0.5]), cells(longer, [0.5])
    epochs = one.run.epochs
    assert other.run.epochs == round(length * epochs)
    assert other.spent.epochs == 4 + round(length * epochs)
    rate = learning_rate(plain.training)
    steady = {
        "fine-tuning": 0.1 * plain.training.learning_rate,
        "last-rate-fine-tuning": last_rate(plain.training, 0.01),
    }
    if recovery in steady:
        expected = [steady[recovery]] * round(length * epochs)
    else:
        expected = [rate(n / length) for n in range(round(length * epochs))]
    assert [entry["learning_rate"] for entry in other.run.history] == pytest.approx(expected)
    torch.testing.assert_close(one.masks, other.masks, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # Renda 2020, table 1: from 0.1 by a tenth twice
        ({"schedule": "step", "milestones": [0.5, 0.75], "gamma": 0.1}, 0.001),
        ({"schedule": "constant"}, 0.1),
        # half a cosine over 40 epochs: 0.05 · (1 + cos(37π/40)) is its last above 0.001
        ({"schedule": "cosine"}, 0.05 * (1 + math.cos(37 * math.pi / 40))),
        ({"schedule": "cosine", "warmup_epochs": 5}, 0.05 * (1 + math.cos(32 * math.pi / 35))),
    ],
)
def test_the_last_rate_of_a_schedule(schedule: dict, expected: float) -> None:
    training = Training(epochs=40, learning_rate=0.1, **schedule)
    assert last_rate(training, 0.01) == pytest.approx(expected, rel=1e-9)


def test_fine_tuning_at_the_last_rate_is_as_long_as_the_baseline(bench) -> None:
    found = bench.run(method("last-rate-fine-tuning"), 0.7)[0.7]
    rate = 0.025 * (1 + math.cos(3 * math.pi / 4))  # of 4 epochs the last: 15 % of the largest
    assert [entry["learning_rate"] for entry in found.run.history] == pytest.approx([rate] * 4)
    (twice,) = bench.fresh().run(method("last-rate-fine-tuning", times=2), 0.7).values()
    assert twice.run.epochs == 8
