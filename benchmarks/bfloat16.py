"""What bfloat16 saves in training on a processor: processor seconds, both precisions in turns.

    PYTHONPATH=. python benchmarks/bfloat16.py --pairs 7 --steps 4

Run by hand, on a processor with instructions for bfloat16. Data are noise; the loop is the suite's.
"""

from __future__ import annotations

import statistics
import time
from copy import deepcopy

import torch
from torch import Tensor, nn

from benchmarks.paired_times import measure_each, ratio
from prunebench.experiment.settings import Model, Training
from prunebench.pruning.macs import macs
from prunebench.tasks.kinds.classification import Classification
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models
from prunebench.training.loop import Samples, constant, train

# settings of the network, channels and sides of its images, batch
CASES: dict[str, tuple[Model, int, int, int]] = {
    "seed-cnn 8": (Model(name="seed-cnn"), 1, 8, 25),
    "seed-cnn 28": (Model(name="seed-cnn"), 1, 28, 128),
    "seed-cnn 32": (Model(name="seed-cnn"), 3, 32, 128),
    "test_resnet 8": (Model(name="test_resnet"), 1, 8, 25),
    "test_resnet 32": (Model(name="test_resnet"), 3, 32, 128),
    "resnet20 28": (Model(name="resnet20"), 1, 28, 128),
    "resnet20 32": (Model(name="resnet20"), 3, 32, 128),
    "vgg16-cifar 32": (Model(name="vgg16-cifar"), 3, 32, 128),
    "resnet18 small 32": (Model(name="resnet18", stem="small"), 3, 32, 128),
    "resnet18 32": (Model(name="resnet18"), 3, 32, 128),
}


def noise(channels: int, side: int, count: int) -> Samples:
    """Return images and labels that are drawn, of ten classes."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, channels, side, side), generator=draw).to(torch.uint8)
    labels = torch.randint(10, (count,), generator=draw)
    kind = Classification({"names": [str(label) for label in range(10)]})
    return Samples(images, labels, images[:1], labels[:1], kind, scaled)


def scaled(images: Tensor) -> Tensor:
    """Return images as networks take them."""
    return images.float().div(128).sub(1).contiguous(memory_format=torch.channels_last)


def seconds(model: nn.Module, samples: Samples, batch: int, dtype: torch.dtype | None) -> float:
    """Return the processor seconds of an epoch of training, on a copy."""
    training = Training(epochs=1, batch_size=batch, learning_rate=0.01)
    network = deepcopy(model)
    start = time.process_time()
    train(network, samples, training, seed=0, rate=constant(training), stop=1, precision=dtype)
    return time.process_time() - start


def measure(name: str, pairs: int, steps: int) -> None:
    """Print a line: the ratios single precision / bfloat16 of all pairs."""
    settings, channels, side, batch = CASES[name]
    facts = NetworkFacts.of_images(10, channels, side)
    model = models.create(settings, facts, seed=0).to(memory_format=torch.channels_last)
    samples = noise(channels, side, batch * steps)
    dense, _ = macs(model, samples.normalize(samples.inputs[:1]), {})
    seconds(model, samples, batch, None), seconds(model, samples, batch, torch.bfloat16)
    found = [
        (seconds(model, samples, batch, None), seconds(model, samples, batch, torch.bfloat16))
        for _ in range(pairs)
    ]
    single, half = zip(*found, strict=True)
    print(
        f"{name:18} {dense / 1e6:8.2f} million MACs, batch {batch}: single"
        f" {statistics.median(single) / steps * 1e3:8.2f} ms a step, bfloat16"
        f" {statistics.median(half) / steps * 1e3:8.2f} ms; times faster {ratio(single, half)}",
        flush=True,
    )


if __name__ == "__main__":
    measure_each(measure, CASES, __doc__, pairs=7, steps=4)
