"""Training throughput: this project's loop against a plain loop over a DataLoader.

The same data, network, batch size, optimizer and augmentation, turn by turn in one process. The
plain loop is what a tutorial writes: a data set of images, torchvision's transforms per image, a
DataLoader, SGD. Run by hand:

    python benchmarks/training_throughput.py --model seed-cnn --images 5000 --size 32 --channels 3
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from prunebench.experiment.settings import Augmentation, Model, Training
from prunebench.tasks.kinds.classification import Classification
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models
from prunebench.training.loop import Samples, learning_rate, train


class Images(Dataset):
    """Images as they come from a data set, transformed one by one."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, crop: int) -> None:
        from torchvision import transforms

        steps = [transforms.ToPILImage()]
        if crop:
            steps += [transforms.RandomCrop(images.shape[-1], padding=crop)]
            steps += [transforms.RandomHorizontalFlip()]
        steps += [transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]
        self.images, self.labels, self.transform = images, labels, transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), int(self.labels[index])


def plain(network: nn.Module, loader: DataLoader, epochs: int, device: torch.device) -> None:
    """The tutorial's loop."""
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    network.train()
    for _ in range(epochs):
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """How long it takes, the device's queue emptied."""
    begin = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print one line per variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="seed-cnn")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--crop", type=int, default=4, help="0: no augmentation")
    parser.add_argument("--workers", type=int, default=0, help="of the plain loop's DataLoader")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()

    torch.set_num_threads(given.threads)
    device = torch.device(given.device)
    shape = (given.images, given.channels, given.size, given.size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    labels = torch.randint(0, 10, (given.images,))
    settings = Model(name=given.model)
    facts = NetworkFacts.of_images(10, given.channels, given.size)
    kind = Classification({"names": [str(label) for label in range(10)]})

    def build() -> nn.Module:
        return models.create(settings, facts, seed=0).to(device)

    def normalize(batch: torch.Tensor) -> torch.Tensor:
        scaled = batch.to(torch.float32).sub_(127.5).div_(127.5)
        return scaled.contiguous(memory_format=torch.channels_last)

    augmentation = Augmentation(crop=given.crop, flip=True) if given.crop else None
    samples = Samples(
        images.to(device), labels.to(device), images[:1].to(device), labels[:1].to(device),
        kind, normalize, augmentation,
    )  # fmt: skip
    training = Training(
        epochs=given.epochs, batch_size=given.batch, validate_every=given.epochs + 1
    )
    loader = DataLoader(
        Images(images, labels, given.crop), given.batch, shuffle=True, num_workers=given.workers,
        persistent_workers=given.workers > 0,
    )  # fmt: skip
    ours = build().to(memory_format=torch.channels_last)
    theirs = build()
    rate = learning_rate(training)
    found: dict[str, list[float]] = {"ours": [], "plain": []}
    for turn in range(given.repeats + 1):  # the first warms up
        for name, work in (
            ("ours", lambda: train(ours, samples, training, seed=0, rate=rate, stop=given.epochs)),
            ("plain", lambda: plain(theirs, loader, given.epochs, device)),
        ):
            took = seconds(work, device)
            if turn:
                found[name].append(took)
    per_second = {
        name: given.images * given.epochs / statistics.median(times)
        for name, times in found.items()
    }
    ratios = [b / a for a, b in zip(found["ours"], found["plain"], strict=True)]
    print(
        f"{given.model} {given.channels}×{given.size}×{given.size} batch {given.batch} crop"
        f" {given.crop} threads {given.threads} workers {given.workers} {given.device}:"
        f" ours {per_second['ours']:,.0f} images/s, plain {per_second['plain']:,.0f} images/s,"
        f" ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
