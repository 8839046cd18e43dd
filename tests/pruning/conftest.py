"""A small baseline in memory, and curves on it whose cells are kept in a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunebench.experiment import config
from prunebench.experiment.settings import Method, Prunable, Training
from prunebench.pruning import compose
from prunebench.pruning.curve import Cost, Curve, Finished, Pruned
from prunebench.pruning.masks import Masks
from prunebench.training.loop import Samples, learning_rate, train
from tests.kinds import classes
from tests.one_thread import one_thread  # noqa: F401


class SmallNet(nn.Module):
    """Convolutions with batch norm, a hidden layer, a head: [B, 1, 8, 8] to 3 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
            nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        )  # fmt: skip
        self.hidden = nn.Sequential(nn.Linear(8 * 16, 12), nn.ReLU())
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.features(x).flatten(1)))

    def get_classifier(self) -> nn.Module:
        return self.head


def normalize(images: Tensor) -> Tensor:
    return images.float().div(255).sub(0.5)


def some_samples(count: int = 60) -> Samples:
    """Noise about a picture for each of three classes."""
    draw = torch.Generator().manual_seed(5)
    labels = torch.arange(count + 30) % 3
    pictures = torch.randint(0, 256, (3, 1, 8, 8), generator=draw)
    noise = torch.randint(-60, 60, (count + 30, 1, 8, 8), generator=draw)
    images = (pictures[labels] + noise).clamp(0, 255).to(torch.uint8)
    return Samples(
        images[:count], labels[:count], images[count:], labels[count:], classes(3), normalize
    )


@dataclass
class Bench:
    """A trained baseline."""

    training: Training
    samples: Samples
    initial: nn.Module
    states: Mapping[int, dict[str, Tensor]]
    cells: dict[float, Finished] = field(default_factory=dict)

    def fresh(self, **changes: Any) -> Bench:
        """The same baseline without cells; ``changes`` of its training are for recoveries."""
        training = self.training.model_copy(update=changes)
        return replace(self, training=training, cells={})

    def curve(self, method: Method) -> Curve:
        batch = self.samples.normalize(self.samples.inputs)
        return Curve(
            method=method, training=self.training, prunable=Prunable(), seed=11, baseline_seed=7,
            build=lambda: deepcopy(self.initial), states=lambda epoch: self.states[epoch],
            samples=self.samples, finished=self.cells.get, baseline_cost=Cost(4.0, 1.0),
            calibration=list(zip(batch.split(20), self.samples.targets.split(20), strict=True)),
        )  # fmt: skip

    def run(
        self, method: Mapping[str, Any], *sparsities: float, stop: int | None = None
    ) -> dict[float, Pruned]:
        """What the schedule yields; every cell is kept. ``stop``: killed after so many cells."""
        chosen = config.method({"name": "tried", **method})
        schedule, parameters = compose.part(chosen, "schedule")
        found: dict[float, Pruned] = {}
        for pruned in schedule(self.curve(chosen), sparsities, **parameters):
            state = deepcopy(pruned.model.state_dict())
            masks: Masks = {name: mask.clone() for name, mask in pruned.masks.items()}
            self.cells[pruned.sparsity] = Finished(state, masks, pruned.spent, pruned.run.diverged)
            found[pruned.sparsity] = pruned
            if len(found) == stop:
                break
        return found


@pytest.fixture(scope="package")  # not longer: trained on one thread, like what is compared
def _baseline() -> Bench:
    training = Training(
        epochs=4, recovery_epochs=2, batch_size=20, learning_rate=0.05, rewind_epochs=[1]
    )
    samples = some_samples()
    torch.manual_seed(0)
    model = SmallNet()
    initial, states = deepcopy(model), {0: deepcopy(model.state_dict())}
    train(
        model, samples, training, seed=7, rate=learning_rate(training), stop=4,
        after_epoch=lambda epoch: states.update({epoch: deepcopy(model.state_dict())}),
    )  # fmt: skip
    return Bench(training, samples, initial, states)


@pytest.fixture
def bench(_baseline: Bench) -> Bench:
    """A trained baseline without cells."""
    return _baseline.fresh()


@pytest.fixture
def small_net() -> Callable[[], nn.Module]:
    """Builds the small network; the same each time."""

    def build() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return SmallNet()

    return build
