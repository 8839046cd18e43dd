"""A training killed after any epoch and begun again ends with the bits of one left alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

from prunebench.experiment.settings import Augmentation, Training
from prunebench.pruning.curve import Curve, Pruned
from prunebench.training import checkpoints
from prunebench.training.checkpoints import Checkpoint, Checkpoints, Memory, Point
from prunebench.training.loop import Hooks, Run, Samples, learning_rate, train
from tests.kinds import classes
from tests.pruning.in_memory import cells, curve_of


class Killed(BaseException):
    """What no handler of errors catches."""


def killing(monkeypatch: pytest.MonkeyPatch, after: int) -> pytest.MonkeyPatch:
    """Every training dies just after its ``after``-th offer to keep its state."""
    original, offers = Checkpoint.offer, [0]

    def offer(self: Checkpoint, point: Point, last: bool) -> None:
        original(self, point, last)
        offers[0] += 1
        if offers[0] == after:
            raise Killed

    monkeypatch.setattr(Checkpoint, "offer", offer)
    return monkeypatch


def normalize(images: Tensor) -> Tensor:
    return images.float().div(255).sub(0.5)


def samples() -> Samples:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 1, 6, 6), generator=draw, dtype=torch.uint8)
    labels, augmentation = torch.arange(60) % 3, Augmentation(crop=1, flip=True)
    return Samples(
        images[:42], labels[:42], images[42:], labels[42:], classes(3), normalize, augmentation
    )


def network() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(),
        nn.Linear(64, 3),
    ).to(memory_format=torch.channels_last)  # fmt: skip


def trained(
    training: Training, masks: dict[str, Tensor], kept: Checkpoints | None, **more: Any
) -> tuple[nn.Module, Run]:
    model = network()
    run = train(
        model, samples(), training, seed=1, rate=learning_rate(training), stop=training.epochs,
        masks=masks, checkpoints=kept, **more,
    )  # fmt: skip
    return model, run


def same_bits(one: nn.Module, two: nn.Module) -> None:
    torch.testing.assert_close(one.state_dict(), two.state_dict(), rtol=0, atol=0)


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    "plain": {"optimizer": "sgd", "momentum": 0.0},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_training_goes_on(
    name: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"epochs": 5, "batch_size": 16, "learning_rate": 0.05, "warmup_epochs": 2}
    training = Training(**given | OPTIMIZERS[name])
    masks = {"0.weight": torch.rand(4, 1, 3, 3, generator=torch.Generator().manual_seed(2)) < 0.7}
    alone, whole = trained(training, masks, None)
    kept = Checkpoints(tmp_path, "it", 0)
    with pytest.raises(Killed), killing(monkeypatch, after).context():
        trained(training, masks, kept)
    monkeypatch.undo()
    epochs: list[int] = []
    original = Checkpoint.offer
    monkeypatch.setattr(
        Checkpoint, "offer",
        lambda self, point, last: (epochs.append(point.epoch), original(self, point, last))[1],
    )  # fmt: skip
    model, run = trained(training, masks, kept)
    assert epochs == list(range(after + 1, 6))  # what was done is not done again
    same_bits(model, alone)
    assert (run.history, run.epochs, run.diverged) == (whole.history, whole.epochs, False)
    assert run.stopped is not None
    assert whole.stopped is not None
    assert (run.stopped.epoch, run.stopped.error) == (whole.stopped.epoch, whole.stopped.error)
    torch.testing.assert_close(run.stopped.state, whole.stopped.state, rtol=0, atol=0)
    # the last state is kept too: a second training of the same cell may follow
    epochs.clear()
    model, run = trained(training, masks, kept)
    assert epochs == []
    same_bits(model, alone)
    assert run.history == whole.history
    kept.clear()
    assert not tmp_path.exists()


def test_another_training_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(epochs=3, batch_size=16)
    kept = Checkpoints(tmp_path, "it", 0)
    with pytest.raises(Killed), killing(monkeypatch, 1).context():
        trained(training, {}, kept)
    monkeypatch.undo()
    (path,) = tmp_path.iterdir()
    others = [
        (training.model_copy(update={"learning_rate": 0.2}), {}, kept),
        (training.model_copy(update={"epochs": 4}), {}, kept),
        (training, {"5.weight": torch.ones(3, 64, dtype=torch.bool)}, kept),
        (training, {}, replace(kept, identity="other")),
    ]
    for n, (other, masks, where) in enumerate(others, 2):
        with pytest.raises(Killed), killing(monkeypatch, 1).context():
            trained(other, masks, where)
        monkeypatch.undo()
        assert len(list(tmp_path.iterdir())) == n
    assert path.exists()


def test_a_damaged_one_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(epochs=3, batch_size=16)
    alone, _ = trained(training, {}, None)
    kept = Checkpoints(tmp_path, "it", 0)
    with pytest.raises(Killed), killing(monkeypatch, 2).context():
        trained(training, {}, kept)
    monkeypatch.undo()
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()

    def altered(place: int) -> bytes:
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    # in the hash, in the weights, and at the end
    changed = [altered(place) for place in (5, len(content) // 2, len(content) - 5)]
    for damage in (b"", content[:-1], *changed, b"\0" * len(content)):
        path.write_bytes(damage)
        model, _ = trained(training, {}, kept)
        same_bits(model, alone)


def test_states_are_kept_as_often_as_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(epochs=4, batch_size=16)
    trained(training, {}, Checkpoints(tmp_path, "it", 10))  # done long before the ten minutes
    assert not list(tmp_path.iterdir())
    now = [0.0]

    def later() -> float:
        now[0] += 60.0
        return now[0]

    monkeypatch.setattr(checkpoints.time, "monotonic", later)
    with patch.object(checkpoints, "replacing", wraps=checkpoints.replacing) as written:
        trained(training, {}, Checkpoints(tmp_path, "it", 2))
    assert 1 <= written.call_count < 4


def test_hooks_that_say_nothing_of_what_they_know_begin_anew(tmp_path: Path) -> None:
    training, kept = Training(epochs=3, batch_size=16), Checkpoints(tmp_path, "it", 0)
    trained(training, {}, kept, hooks=Hooks(after_step=lambda step, model: None))
    trained(training, {}, kept, after_epoch=lambda epoch: None)
    assert not list(tmp_path.iterdir())
    trained(training, {}, kept, hooks=Hooks(memory=Memory(dict, lambda kept: None)))
    assert list(tmp_path.iterdir())


METHODS: dict[str, dict[str, Any]] = {
    "gradual": {"criterion": "magnitude", "schedule": "gradual"},
    "movement": {"criterion": "movement", "schedule": "gradual", "recovery": "fine-tuning"},
    "set": {"criterion": "random", "schedule": {"name": "dynamic", "grow": "random", "every": 1}},
    "rigl": {"criterion": "magnitude", "schedule": {"name": "dynamic", "every": 2}},
    "iterative": {
        "criterion": "magnitude", "schedule": {"name": "iterative", "rate": 0.5},
        "recovery": "learning-rate-rewinding",
    },
    "distilled": {"criterion": "magnitude", "recovery": {"name": "distillation", "epochs": 3}},
    "stopped": {"criterion": "magnitude", "schedule": "dense", "recovery": "early-stopping"},
    "tuned": {"criterion": "magnitude", "schedule": "dense", "recovery": "tuned-weight-decay"},
    "slimming": {"criterion": "magnitude", "schedule": "regularized", "recovery": "fine-tuning"},
}  # fmt: skip


def outcome(found: list[Pruned]) -> str:
    """All that a cell stores but times, as text."""
    return json.dumps(
        [
            {
                "weights": {k: v.double().tolist() for k, v in cell.model.state_dict().items()},
                "masks": {k: v.tolist() for k, v in cell.masks.items()},
                "history": cell.run.history,
                "epochs": [cell.run.epochs, cell.spent.epochs],
            }
            for cell in found
        ]
    )


def curve(name: str, kept: Checkpoints | None) -> Curve:
    found = curve_of(METHODS[name], dropout=0.1, recovery_epochs=2, optimizer="sgd", momentum=0.9)
    found.checkpoints = kept
    return found


@pytest.mark.parametrize("name", METHODS)
def test_every_kind_of_training_goes_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparsities = [0.0] if name in ("stopped", "tuned") else [0.5]
    expected = outcome(cells(curve(name, None), sparsities))
    kept = Checkpoints(tmp_path, "it", 0)
    kills = 0
    for after in (1, 2, 1):
        with killing(monkeypatch, after).context():
            try:
                cells(curve(name, kept), sparsities)
            except Killed:
                kills += 1
        monkeypatch.undo()
    assert kills >= 2
    assert list(tmp_path.iterdir())
    assert outcome(cells(curve(name, kept), sparsities)) == expected
