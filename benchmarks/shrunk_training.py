"""What training the smaller network saves: processor seconds, masked and smaller in turns.

    PYTHONPATH=. python benchmarks/shrunk_training.py --pairs 5 --steps 20

Run by hand. Filters of the smallest L1 norm are removed until the network has about so many times
fewer MACs. A pair trains the masked network, then the smaller one, for as many steps. What the
smaller one costs once, cutting, its check, and putting its weights back, is told apart.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.paired_times import measure_each, ratio
from prunebench.compression.shrunk_training import CHECKED, SmallerNetwork, smaller_network
from prunebench.experiment.settings import Model, Training
from prunebench.pruning.api import prune
from prunebench.pruning.macs import macs
from prunebench.pruning.masks import Masks, apply
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models
from prunebench.training.loop import Enforcer
from prunebench.training.optimizers import optimizer_of

FILTERS = {"criterion": "l1-norm", "pattern": "filter"}
# name of a case -> network, side of its images, batch, times fewer MACs
CASES = {
    "test_resnet": ("test_resnet", 32, 128, 4.0),
    "resnet20 2": ("resnet20", 32, 128, 2.0),
    "resnet20 4": ("resnet20", 32, 128, 4.0),
    "resnet56 2": ("resnet56", 32, 128, 2.0),
    "resnet56 4": ("resnet56", 32, 128, 4.0),
    "seed-cnn": ("seed-cnn", 8, 50, 4.0),
}


def masks_of(model: nn.Module, inputs: Tensor, times: float) -> tuple[Masks, float]:
    """Return masks with about so many times fewer MACs, and how many it are, by bisection."""
    low, high = 0.0, 0.98
    for _ in range(5):
        sparsity = (low + high) / 2
        masks = prune(model, FILTERS, sparsity, example=inputs[:2])
        dense, kept = macs(model, inputs[:1], masks)
        low, high = (sparsity, high) if dense / kept < times else (low, sparsity)
    return masks, dense / kept


def train(model: nn.Module, masks: Masks, batch: tuple[Tensor, Tensor], steps: int) -> None:
    """Train as the suite's loop does, on one batch."""
    optimizer = optimizer_of(model, Training())
    enforcer = Enforcer(model, masks)
    enforcer.weights()
    model.train()
    for _ in range(steps):
        loss = functional.cross_entropy(model(batch[0]), batch[1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        enforcer.gradients()
        optimizer.step()
        enforcer.weights()


def seconds(work: Callable[[], None]) -> float:
    """Return the processor seconds that work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(name: str, pairs: int, steps: int) -> None:
    """Print a line: the ratios smaller / masked of all pairs."""
    network, side, size, times = CASES[name]
    facts = NetworkFacts.of_images(10, 3, side)
    model = models.create(Model(name=network), facts, seed=0).to(memory_format=torch.channels_last)
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(size, 3, side, side, generator=draw)
    batch = inputs, torch.randint(10, (size,), generator=draw)
    masks, fewer = masks_of(model, inputs, times)
    apply(model, masks)

    def masked() -> None:
        train(deepcopy(model), masks, batch, steps)

    def cut() -> SmallerNetwork:
        few = (part[:CHECKED] for part in batch)
        return smaller_network(model, masks, *few, functional.cross_entropy)

    small = cut()

    def smaller() -> None:
        train(deepcopy(small.model), small.masks, batch, steps)

    masked(), smaller()
    once = seconds(lambda: cut().whole(small.model.state_dict()))
    found = [(seconds(masked), seconds(smaller)) for _ in range(pairs)]
    times, fewer_times = zip(*found, strict=True)
    one, two = statistics.median(times), statistics.median(fewer_times)
    print(
        f"{name:12} {fewer:4.1f} times fewer MACs, {steps} steps of {size}: masked {one:.2f} s,"
        f" smaller {two:.2f} s and {once:.2f} s once; ratio {ratio(fewer_times, times)}",
        flush=True,
    )


if __name__ == "__main__":
    measure_each(measure, CASES, __doc__, pairs=5, steps=20)
