"""The training loop against a naive one, torch's own schedules, and itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import lr_scheduler

from prunebench.experiment.settings import Augmentation, Training
from prunebench.storage.hashing import derive_seed
from prunebench.tasks.batches import epoch_batches
from prunebench.training.loop import (
    Hooks,
    Run,
    Samples,
    constant,
    learning_rate,
    predict,
    train,
)
from prunebench.training.optimizers import optimizer_of
from tests.kinds import classes


def normalize(images: Tensor) -> Tensor:
    return images.float().div(255).sub(0.5)


@pytest.fixture(scope="module")
def samples() -> Samples:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 1, 6, 6), generator=draw, dtype=torch.uint8)
    labels = torch.arange(60) % 3
    return Samples(images[:42], labels[:42], images[42:], labels[42:], classes(3), normalize)


def network(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Dropout(dropout), nn.Flatten(), nn.Linear(64, 3),
    )  # fmt: skip


def settings(**changes: Any) -> Training:
    defaults: dict[str, Any] = {"epochs": 3, "batch_size": 16, "learning_rate": 0.05}
    return Training(**{**defaults, **changes})


def trained(model: nn.Module, samples: Samples, training: Training, **more: Any) -> Run:
    given: dict[str, Any] = {"seed": 1, "rate": learning_rate(training), "stop": training.epochs}
    return train(model, samples, training, **{**given, **more})


def same_bits(one: nn.Module, two: nn.Module) -> None:
    torch.testing.assert_close(one.state_dict(), two.state_dict(), rtol=0, atol=0)


# --------------------------------------------------------------------------- against a plain loop


def naive(model: nn.Module, samples: Samples, training: Training, start: int = 0) -> None:
    """Plain SGD with Nesterov momentum, or AdamW, written out; cosine learning rate."""
    memory: dict[str, list[Tensor]] = {}
    per_epoch = math.ceil(len(samples.targets) / training.batch_size)
    step = 0
    for epoch in range(start, training.epochs):
        model.train()
        draw = torch.Generator().manual_seed(derive_seed(1, "batches", epoch))
        order = torch.randperm(len(samples.targets), generator=draw)
        for number in range(per_epoch):
            chosen = order[number * training.batch_size : (number + 1) * training.batch_size]
            share = (epoch + number / per_epoch) / training.epochs
            rate = training.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
            model.zero_grad()
            logits = model(normalize(samples.inputs[chosen]))
            functional.cross_entropy(logits, samples.targets[chosen]).backward()
            if training.gradient_clip is not None:
                norm = sum(p.grad.square().sum() for p in model.parameters()).sqrt()
                for parameter in model.parameters():
                    parameter.grad *= min(1.0, training.gradient_clip / (float(norm) + 1e-6))
            step += 1
            for name, parameter in model.named_parameters():
                decay = training.weight_decay if parameter.ndim > 1 else 0.0
                weight, slope = parameter.data, parameter.grad
                if training.optimizer == "sgd":
                    slope = slope + decay * weight
                    if name not in memory:
                        memory[name] = [slope.clone()]
                    else:
                        memory[name][0] = training.momentum * memory[name][0] + slope
                    past = memory[name][0]
                    weight -= rate * (slope + training.momentum * past)
                else:
                    weight *= 1 - rate * decay
                    zero = torch.zeros_like(weight)
                    first, second = memory.get(name, [zero, zero])
                    first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
                    memory[name] = [first, second]
                    size = (second / (1 - 0.999**step)).sqrt() + 1e-8
                    weight -= rate * first / (1 - 0.9**step) / size


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_decay": 0.1, "gradient_clip": 0.2},
        {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.2},
    ],
    ids=["sgd", "clipped", "adamw"],
)
def test_a_naive_loop_gives_the_same(samples, changes) -> None:
    model, training = network(), settings(**changes)
    expected = deepcopy(model)
    naive(expected, samples, training)
    run = trained(model, samples, training)
    torch.testing.assert_close(model.state_dict(), expected.state_dict(), atol=1e-5, rtol=1e-4)
    assert run.epochs == len(run.history) == 3
    assert [entry["epoch"] for entry in run.history] == [1, 2, 3]
    wrong = (
        predict(model, samples.val_inputs, samples.val_targets, classes(3), normalize).argmax(1)
        != samples.val_targets
    )
    assert run.history[-1]["val_error"] == pytest.approx(float(wrong.float().mean()))


def test_going_on_from_a_state_sees_the_same_batches(samples) -> None:
    """Epochs k to n from a stored state: the baseline's batches and rates, a fresh optimizer."""
    training, states = settings(momentum=0.0, weight_decay=0.0), {}
    model, later = network(), network()
    trained(
        model, samples, training,
        after_epoch=lambda epoch: states.update({epoch: deepcopy(model.state_dict())}),
    )  # fmt: skip
    assert sorted(states) == [1, 2, 3]
    later.load_state_dict(states[1])
    run = trained(later, samples, training, start=1)
    same_bits(model, later)  # without momentum the optimizer has no past, and nothing differs
    assert run.epochs == 2
    # with momentum it is the naive loop from there on
    training = settings()
    later.load_state_dict(states[1])
    expected = deepcopy(later)
    naive(expected, samples, training, start=1)
    trained(later, samples, training, start=1)
    torch.testing.assert_close(later.state_dict(), expected.state_dict(), atol=1e-5, rtol=1e-4)


# -------------------------------------------------------------------------------- determinism


def test_same_seed_same_bits(samples) -> None:
    augmented = replace(samples, augmentation=Augmentation(crop=1, flip=True))
    for data in (samples, augmented):
        one, two, other = network(0.3), network(0.3), network(0.3)
        trained(one, data, settings())
        torch.manual_seed(77)  # the global generator's past does not matter
        torch.rand(13)
        trained(two, data, settings())
        same_bits(one, two)
        trained(other, data, settings(), seed=2)
        assert not torch.equal(one[0].weight, other[0].weight)


def test_looking_at_validation_changes_nothing(samples) -> None:
    one, two = network(0.3), network(0.3)
    run = trained(one, samples, settings(epochs=4))
    seldom = trained(two, samples, settings(epochs=4, validate_every=3))
    same_bits(one, two)
    assert ["val_error" in entry for entry in run.history] == [True] * 4
    assert ["val_error" in entry for entry in seldom.history] == [False, False, True, True]


def test_every_sample_once_an_epoch(samples) -> None:
    seen: list[int] = []

    class Spy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                seen.append(len(x))
            return super().forward(x.flatten(1))

    trained(Spy(36, 3), samples, settings(epochs=2))
    assert seen == [16, 16, 10] * 2
    draw = torch.Generator().manual_seed(derive_seed(1, "batches", 0))
    labels = torch.arange(42)
    order = torch.cat([y for _, y in epoch_batches(samples.inputs, labels, 16, draw, normalize)])
    assert sorted(order.tolist()) == list(range(42))


# ------------------------------------------------------------------------- the optimizer, masks


def test_norms_and_biases_do_not_decay() -> None:
    model = network()
    model[5].weight.requires_grad_(False)
    for name in ("sgd", "adamw"):
        decays, plain = optimizer_of(model, settings(optimizer=name, weight_decay=0.3)).param_groups
        assert (decays["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
        assert [id(p) for p in decays["params"]] == [id(model[0].weight)]
        spared = [model[1].weight, model[1].bias, model[5].bias]
        assert [id(p) for p in plain["params"]] == [id(p) for p in spared]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_masks_hold_at_every_step(samples, optimizer) -> None:
    model = network()
    masks = {n: torch.rand_like(p) < 0.5 for n, p in model.named_parameters() if p.ndim > 1}

    def look(epoch: int) -> None:
        for name, mask in masks.items():
            value = model.get_parameter(name)
            assert not value[~mask].any()
            assert value[mask].any()

    changes = {"weight_decay": 0.1, "momentum": 0.95, "gradient_clip": 1.0}
    trained(model, samples, settings(optimizer=optimizer, **changes), masks=masks, after_epoch=look)


def test_pruned_weights_do_not_count_in_the_clipped_norm(samples) -> None:
    """Clipping a masked network is clipping one that has no such weights."""
    training = settings(gradient_clip=1e-3, momentum=0.0, weight_decay=0.0, epochs=1)
    training = training.model_copy(update={"batch_size": 42})
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3, bias=False))
    mask = torch.zeros(3, 36, dtype=torch.bool)
    mask[:, :5] = True
    before = (model[1].weight * mask).detach().clone()
    trained(model, samples, training, masks={"1.weight": mask})
    moved = (model[1].weight.detach() - before).norm()
    assert float(moved) == pytest.approx(0.05 * 1e-3, rel=1e-2)


# ----------------------------------------------------------------------- precision, divergence


def test_divergence_is_told(samples) -> None:
    model = network()
    run = trained(model, samples, settings(learning_rate=1e30, epochs=5))
    assert run.diverged
    assert run.epochs < 5
    assert run.history[-1]["train_loss"] is None
    assert "val_error" not in run.history[-1]
    assert not trained(network(), samples, settings()).diverged


def test_bfloat16(samples) -> None:
    model, other, seen = network(), network(), []
    handle = model[0].register_forward_hook(lambda m, i, o: seen.append((m.training, o.dtype)))
    run = trained(model, samples, settings(), precision=torch.bfloat16)
    handle.remove()
    # autocast while training only: predictions are of full precision
    assert {dtype for training, dtype in seen if training} == {torch.bfloat16}
    assert {dtype for training, dtype in seen if not training} == {torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    trained(other, samples, settings())
    difference = (model[0].weight - other[0].weight).detach().abs().max()
    assert 0 < float(difference) < 0.05
    assert not run.diverged


class Several(nn.Module):
    """Its forward returns more than logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(36, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        return self.layer(x.flatten(1)), "more"


def test_predictions(samples) -> None:
    model = Several().train()
    trained(model, samples, settings(epochs=1))
    found = predict(model, samples.inputs, samples.targets, classes(3), normalize, batch=5)
    assert not model.training
    expected = model(normalize(samples.inputs))[0]
    torch.testing.assert_close(found, expected.detach(), atol=1e-6, rtol=1e-5)
    assert not found.requires_grad


# ----------------------------------------------------------------- learning rates, against torch's


def of_eight_epochs(**changes: Any) -> Training:
    return settings(**{"epochs": 8, "learning_rate": 0.4, **changes})


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
    cosine = rates(of_eight_epochs())
    torchs = stepped(lambda o: lr_scheduler.CosineAnnealingLR(o, 40), 40)
    assert cosine == pytest.approx(torchs)
    step = rates(of_eight_epochs(schedule="step", gamma=0.2))
    torchs = stepped(lambda o: lr_scheduler.MultiStepLR(o, [20, 30], gamma=0.2), 40)
    assert step == pytest.approx(torchs)
    flat = of_eight_epochs(schedule="constant")
    assert rates(flat) == [0.4] * 40
    assert constant(flat)(3.3) == 0.4


def test_warmup_is_linear() -> None:
    found = rates(of_eight_epochs(warmup_epochs=2))
    assert found[:10] == pytest.approx([0.4 * step / 10 for step in range(10)])
    assert found[10:] == pytest.approx(
        stepped(lambda o: lr_scheduler.CosineAnnealingLR(o, 30), 30)
    )  # the cosine begins where the warm-up ends


# ------------------------------------------------------------------------------- early stopping


def errors_by_epoch(samples: Samples, training: Training, labels: Tensor) -> list[float]:
    """Validation error after each epoch, each from a training of its own up to there."""
    found = []
    for stop in range(1, training.epochs + 1):
        model = network()
        trained(model, samples, training, stop=stop)
        predicted = predict(
            model, samples.val_inputs, samples.val_targets, classes(3), normalize
        ).argmax(1)
        found.append(float((predicted != labels).float().mean()))
    return found


@pytest.mark.parametrize("noisy", [False, True])
def test_the_stopped_state_is_that_of_the_lowest_error(samples: Samples, noisy: bool) -> None:
    wrong = (samples.val_targets + 1) % 3
    wrong[::3] = samples.val_targets[::3]
    if noisy:
        samples = replace(samples, noisy_val_targets=wrong)
    training = settings(epochs=9, learning_rate=0.3)
    errors = errors_by_epoch(samples, training, wrong if noisy else samples.val_targets)
    best = errors.index(min(errors)) + 1  # the first of equal ones
    assert best < 9  # else it would show nothing
    run = trained(network(), samples, training)
    assert run.stopped is not None
    assert (run.stopped.epoch, run.stopped.error) == (best, pytest.approx(min(errors)))
    there = network()
    trained(there, samples, training, stop=best)
    torch.testing.assert_close(run.stopped.state, dict(there.state_dict()), rtol=0, atol=0)
    column = "noisy_val_error" if noisy else "val_error"
    assert [entry[column] for entry in run.history] == pytest.approx(errors)


def test_only_validated_epochs_under_the_last_masks_can_be_stopped_at(samples: Samples) -> None:
    training = settings(epochs=6, validate_every=2)
    mask = {"0.weight": torch.ones(4, 1, 3, 3, dtype=torch.bool)}
    mask["0.weight"][0] = False
    steps = 3  # of an epoch: 42 samples in batches of 16

    def prune_in_epoch(number: int) -> Run:
        hooks = Hooks(after_step=lambda step, _: mask if step == steps * number else None)
        return trained(network(), samples, training, hooks=hooks)

    for number, first in ((0, 2), (2, 4), (4, 6)):
        run = prune_in_epoch(number)
        assert run.stopped is not None
        assert run.stopped.epoch in range(first, 7, 2)
        assert not run.stopped.state["0.weight"][0].any()
    late = settings(epochs=1, validate_every=5)
    assert trained(network(), samples, late).stopped is not None  # the last epoch is validated


def test_a_run_after_another_counts_its_epochs_on(samples: Samples) -> None:
    first = trained(network(), samples, settings(epochs=4))
    second = trained(network(), samples, settings(epochs=3))
    assert first.stopped is not None
    assert second.stopped is not None
    both = first.then(second)
    assert both.stopped is not None
    assert both.stopped.epoch == 4 + second.stopped.epoch
    assert both.last_epoch == 7
    assert first.then(Run()).stopped == first.stopped
    assert Run().last_epoch == 0
