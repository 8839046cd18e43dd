"""Whole curves of tiny networks in memory: a baseline of a moment, no files."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.experiment import config
from prunebench.experiment.settings import Prunable, Training
from prunebench.pruning import compose
from prunebench.pruning.curve import Cost, Curve, Finished, Pruned
from prunebench.training.loop import Samples, learning_rate, train
from tests.kinds import classes

CLASSES, SIDE = 3, 4


class Tiny(nn.Module):
    """A convolution and two linear layers: 36, 128 and 64 prunable weights, and a head."""

    def __init__(self, norm: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.act = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.first = nn.Linear(16, 8)
        self.second = nn.Linear(8, 8)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.act(self.norm(self.conv(x)))).flatten(1)
        x = self.act(self.second(self.act(self.first(x))))
        return self.head(self.dropout(x))

    def get_classifier(self) -> nn.Module:
        return self.head


def build_from(seed: int, norm: bool = True, dropout: float = 0.0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Tiny(norm, dropout)


def normalize(images: Tensor) -> Tensor:
    return images.float() / 128 - 1


def samples_of(count: int = 24, seed: int = 0, wrong: int = 0) -> Samples:
    """Images whose brightness tells their class, noise aside; the first labels may be wrong."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (2 * count,), generator=draw)
    noise = torch.randint(0, 120, (2 * count, 1, SIDE, SIDE), generator=draw)
    images = (noise + 60 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
    given = labels[:count].clone()
    given[:wrong] = (given[:wrong] + 1) % CLASSES
    return Samples(
        images[:count], given, images[count:], labels[count:], classes(CLASSES), normalize
    )


def curve_of(
    method: dict[str, Any],
    *,
    epochs: int = 4,
    count: int = 24,
    norm: bool = True,
    dropout: float = 0.0,
    seed: int = 7,
    wrong: int = 0,
    **training: Any,
) -> Curve:
    """A curve on a baseline that is trained here; nothing is finished yet."""
    settings = Training(epochs=epochs, batch_size=8, **{"learning_rate": 0.05, **training})
    samples, start = samples_of(count, wrong=wrong), build_from(1, norm, dropout)
    states: dict[int, dict[str, Tensor]] = {0: deepcopy(start.state_dict())}
    model = deepcopy(start)

    def keep(epoch: int) -> None:
        states[epoch] = deepcopy(model.state_dict())

    run = train(
        model, samples, settings, seed=3, rate=learning_rate(settings), stop=epochs,
        after_epoch=keep,
    )  # fmt: skip
    batches = [(normalize(samples.inputs[:8]), samples.targets[:8])]
    return Curve(
        method=config.method({"name": "mine", "recovery": "none", **method}), training=settings,
        prunable=Prunable(), seed=seed, baseline_seed=3, build=lambda: deepcopy(start),
        states=states.__getitem__, samples=samples, finished=lambda sparsity: None,
        baseline_cost=Cost().and_run(run), calibration=batches,
        build_anew=lambda seed: build_from(seed, norm, dropout),
    )  # fmt: skip


def cells(curve: Curve, sparsities: list[float]) -> list[Pruned]:
    """What the method's schedule yields; each is finished when the next is asked for."""
    schedule, parameters = compose.part(curve.method, "schedule")
    found = []
    for cell in schedule(curve, sparsities, **parameters):
        found.append(cell)
        remember(curve, [cell])
    return found


def remember(curve: Curve, done: list[Pruned]) -> Curve:
    """The curve as it goes on after a kill: these cells are finished, as those before."""
    kept = {
        cell.sparsity: Finished(
            deepcopy(cell.model.state_dict()), cell.masks, cell.spent, cell.run.diverged
        )
        for cell in done
    }
    earlier = curve.finished
    curve.finished = lambda sparsity: kept.get(sparsity) or earlier(sparsity)
    return curve


def same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks are the same to the bit."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
