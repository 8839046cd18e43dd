"""What a GPU gives: training beside a bare step, several trainings on one GPU, and 2:4 latency.

    PYTHONPATH=. python benchmarks/gpu.py --minutes 9 --into gpu.json --cifar10 data --airbench FILE

Run by hand on a machine with a GPU. It ends within the minutes: what no time is left for is named.
``--cifar10`` is the folder of ``cifar-10-batches-py``, or of Hugging Face's Parquet files;
``--airbench`` is legacy/airbench94.py of KellerJordan/cifar10-airbench, which trains on the same
images (no code of it is here). Without them these parts are named, too.
``--dry`` goes the same ways on a CPU, with sizes that take seconds and times that say nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.bfloat16 import noise, scaled
from benchmarks.paired_times import ratio
from benchmarks.training_throughput import seconds
from prunebench.compression import engines
from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Augmentation, Model, Task, Training
from prunebench.pruning.api import prune
from prunebench.tasks.kinds.classification import Classification
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.sources import parquet, torchvision
from prunebench.training import models
from prunebench.training.loop import Samples, constant, learning_rate, predict, train
from prunebench.training.optimizers import optimizer_of

WANTED = 0.06  # error on CIFAR-10: airbench's 94 %
AIRBENCH = 120  # seconds at most for its 25 trainings
Row = dict[str, Any]  # one finding, as it is printed and stored


@dataclass(frozen=True)
class Sizes:
    """How much is computed."""

    device: torch.device
    precision: torch.dtype | None
    networks: tuple[Model, ...]
    side: int  # of images
    batch: int
    steps: int  # of a training
    pairs: int
    at_once: tuple[int, ...]  # trainings on the device
    rounds: int  # epochs of each of them
    compiled: bool
    transformer: dict[str, Any]  # arguments of timm's, for 2:4
    repeats: int  # of a forward pass


GPU = Sizes(
    torch.device("cuda"), torch.bfloat16, (Model(name="resnet18", stem="small"),
    Model(name="resnet20"), Model(name="seed-cnn")), 32, 512, 40, 5, (1, 4, 8), 20, True,
    {"model_name": "vit_base_patch16_224"}, 30,
)  # fmt: skip
DRY = Sizes(
    torch.device("cpu"), None, (Model(name="seed-cnn"),), 8, 4, 2, 1, (1,), 1, False,
    {"model_name": "vit_tiny_patch16_224", "img_size": 32, "depth": 1}, 1,
)  # fmt: skip


def network(settings: Model, sizes: Sizes) -> nn.Module:
    """Return a network on the device, channels last."""
    facts = NetworkFacts.of_images(10, 3, sizes.side)
    model = models.create(settings, facts, seed=0).to(sizes.device)
    return model.to(memory_format=torch.channels_last)


def samples(sizes: Sizes) -> Samples:
    """Return noise for an epoch, on the device."""
    found = noise(3, sizes.side, sizes.batch * sizes.steps)
    tensors = (found.inputs, found.targets, found.val_inputs, found.val_targets)
    return Samples(*(each.to(sizes.device) for each in tensors), found.kind, scaled)


def loop(model: nn.Module, data: Samples, sizes: Sizes, compiled: bool = False) -> None:
    """Train an epoch as the suite does."""
    training = Training(epochs=1, batch_size=sizes.batch, learning_rate=0.01)
    train(
        model, data, training, seed=0, rate=constant(training), stop=1, precision=sizes.precision,
        compile=compiled,
    )  # fmt: skip


def step_of(model: nn.Module, data: Samples, sizes: Sizes) -> Callable[[], None]:
    """Return a bare step of training on one batch that lies on the device."""
    inputs, labels = scaled(data.inputs[: sizes.batch]), data.targets[: sizes.batch]
    optimizer = optimizer_of(model, Training(learning_rate=0.01))
    model.train()

    def step() -> None:
        with torch.autocast(sizes.device.type, sizes.precision, sizes.precision is not None):
            loss = functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def graph_of(step: Callable[[], None]) -> Callable[[], None]:
    """Return a step recorded as a CUDA graph."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(beside)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        step()
    return recorded.replay


def throughput(settings: Model, sizes: Sizes) -> list[Row]:
    """Time the suite's epoch and as many bare steps, in turns; compiled, and as a CUDA graph."""
    data = samples(sizes)
    bare = step_of(network(settings, sizes), data, sizes)
    ours = network(settings, sizes)
    ways: dict[str, Callable[[], None]] = {
        "bare step": lambda: [bare() for _ in range(sizes.steps)] and None,
        "loop": lambda: loop(ours, data, sizes),
    }
    if sizes.compiled:
        fast = network(settings, sizes)
        ways["loop, compiled"] = lambda: loop(fast, data, sizes, compiled=True)
    rows: list[Row] = []
    if sizes.device.type == "cuda":
        try:
            replay = graph_of(step_of(network(settings, sizes), data, sizes))
            ways["bare step, CUDA graph"] = lambda: [replay() for _ in range(sizes.steps)] and None
        except RuntimeError as error:  # what a graph cannot hold differs by network
            rows.append({"part": "throughput", "of": settings.name, "no CUDA graph": str(error)})
    for way in ways.values():
        seconds(way, sizes.device)  # warms up
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(sizes.pairs):
        for name, way in ways.items():
            times[name].append(seconds(way, sizes.device))
    for name, each in times.items():
        rows.append({
            "part": "throughput", "of": settings.name, "way": name,
            "images per second": len(data.inputs) / statistics.median(each),
            "times the bare step": ratio(each, times["bare step"]),
        })  # fmt: skip
    return rows


def together(settings: Model, count: int, sizes: Sizes, dry: bool) -> list[Row]:
    """Train in several processes at once on the device, begun together; images per second of all.

    Raises:
        RuntimeError: a process ends before it has trained.
    """
    command = [sys.executable, __file__, "--worker", settings.model_dump_json()]
    command += ["--dry"] if dry else []
    folder = Path(__file__).resolve().parents[1]
    paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    workers = [
        subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": paths}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(count)
    ]  # fmt: skip

    def line(worker: subprocess.Popen[str]) -> str:
        assert worker.stdout is not None
        said = worker.stdout.readline()
        if not said:
            raise RuntimeError(f"a training ended with {worker.wait()}")
        return said

    try:
        for worker in workers:
            line(worker)
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        longest = max(float(line(worker)) for worker in workers)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    images = count * sizes.batch * sizes.steps * sizes.rounds
    return [{
        "part": "at once", "of": settings.name, "trainings": count,
        "images per second": images / longest,
    }]  # fmt: skip


def work(settings: Model, sizes: Sizes) -> None:
    """Train once to warm up, say so, and some more, timed, when told to go."""
    data, model = samples(sizes), network(settings, sizes)
    loop(model, data, sizes)
    print("ready", flush=True)
    sys.stdin.readline()

    def again() -> None:
        for _ in range(sizes.rounds):
            loop(model, data, sizes)

    print(seconds(again, sizes.device), flush=True)


@cache
def cifar10(folder: Path) -> tuple[list[Tensor], list[Tensor]]:
    """Read the images, uint8 [N, 32, 32, 3], and labels [N] of training and of test.

    Raises:
        PrunebenchError: the data are not there.
    """
    if (folder / "cifar-10-batches-py").is_dir():
        task = Task(name="cifar10", source="torchvision", dataset="CIFAR10", path=str(folder))
        raw = torchvision.read(task, folder)
    else:
        raw = parquet.read(Task(name="cifar10", source="parquet", path=str(folder)), folder)
    splits = raw.splits()
    parts = [splits["train"], splits["test"]]
    return (
        [torch.from_numpy(one.inputs) for one in parts],
        [torch.from_numpy(one.targets) for one in parts],
    )


def to_94(folder: Path, sizes: Sizes, epochs: int = 24) -> list[Row]:
    """Train a ResNet-18 on CIFAR-10 by the suite's loop; seconds until 94 %, evaluation left out.

    Raises:
        PrunebenchError: the data are not there.
    """
    read, classes = cifar10(folder)
    images = [one.permute(0, 3, 1, 2).contiguous().to(sizes.device) for one in read]
    labels = [one.to(sizes.device) for one in classes]
    kind = Classification({"names": [str(label) for label in range(10)]})
    data = Samples(
        images[0], labels[0], images[1][:1], labels[1][:1], kind, scaled,
        Augmentation(crop=4, flip=True),
    )  # fmt: skip
    model = network(Model(name="resnet18", stem="small"), sizes)
    training = Training(epochs=epochs, batch_size=sizes.batch, learning_rate=0.4, warmup_epochs=3)
    looked, reached, errors = 0.0, None, []
    begun = time.perf_counter()

    def look(epoch: int) -> None:
        nonlocal looked, reached
        torch.cuda.synchronize()
        here = time.perf_counter()
        found = predict(model, images[1], labels[1], kind, scaled).argmax(1)
        errors.append(float((found != labels[1].cpu()).double().mean()))
        if reached is None and errors[-1] <= WANTED:
            reached = here - begun - looked
        looked += time.perf_counter() - here

    train(
        model, data, training, seed=0, rate=learning_rate(training), stop=epochs,
        precision=sizes.precision, after_epoch=look,
    )  # fmt: skip
    return [{
        "part": "CIFAR-10 to 94 %", "epochs": epochs, "last error": errors[-1],
        "seconds to 94 %": reached, "seconds in all": time.perf_counter() - begun - looked,
    }]  # fmt: skip


def airbench(script: Path, folder: Path, left: float) -> list[Row]:
    """Run airbench's own program on the same images; what it says last, and its wall seconds."""
    read, classes = cifar10(folder)
    with tempfile.TemporaryDirectory() as place:
        held = Path(place) / "cifar10"
        held.mkdir()
        for name, images, labels in zip(("train", "test"), read, classes, strict=True):
            whole = {"images": images, "labels": labels, "classes": [str(i) for i in range(10)]}
            torch.save(whole, held / f"{name}.pt")  # as its own loader keeps them
        begun = time.perf_counter()
        try:
            done = subprocess.run(
                [sys.executable, str(script.resolve())], cwd=place, capture_output=True, text=True,
                timeout=left,
            )  # fmt: skip
            status, said = str(done.returncode), done.stdout if done.stdout else done.stderr
        except subprocess.TimeoutExpired as error:
            status, said = "ran out of time", (error.stdout or b"").decode()
        took = time.perf_counter() - begun
    ends = [line for line in said.splitlines() if " eval " in line]
    return [{
        "part": "airbench", "status": status, "seconds": took, "trainings": len(ends),
        "says": [*ends[-2:], *said.strip().splitlines()[-2:]],
    }]  # fmt: skip


def two_four(sizes: Sizes) -> list[Row]:
    """Time a transformer whose linear layers are 2:4 sparse, beside itself with dense kernels."""
    import timm

    model = timm.create_model(num_classes=10, **sizes.transformer).to(sizes.device).eval()
    side = sizes.transformer.get("img_size", 224)
    example = torch.randn(sizes.batch // 4, 3, side, side, device=sizes.device)
    prune(
        model, {"criterion": "magnitude", "pattern": {"name": "n-m", "n": 2, "m": 4}}, 0.5,
        example=example[:2], prunable={"exclude": ["patch_embed*"]},
    )  # fmt: skip
    half = sizes.device.type == "cuda"
    dense = engines.eager(deepcopy(model).half() if half else model, example, 1)
    sparse = engines.semi_structured(model, example, 1)
    runs = [(runner, runner.prepare(example)) for runner in (dense, sparse)]
    times: list[list[float]] = [[], []]
    with torch.no_grad():
        for number in range(sizes.repeats + 3):
            for place, (runner, batch) in enumerate(runs):

                def forward(runner: Any = runner, batch: Tensor = batch) -> None:
                    runner(batch)

                took = seconds(forward, sizes.device)
                if number >= 3:  # the first warm up
                    times[place].append(took)
    return [{
        "part": "2:4", "of": sizes.transformer["model_name"], "batch": len(example),
        "dense ms": 1e3 * statistics.median(times[0]),
        "2:4 ms": 1e3 * statistics.median(times[1]), "ratio": ratio(times[1], times[0]),
    }]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure part after part while there is time; print and store what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--into", type=Path, help="a JSON file")
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--airbench", type=Path)
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    sizes = DRY if given.dry else GPU
    if given.worker:
        work(Model.model_validate_json(given.worker), sizes)
        return
    if sizes.device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU; --dry goes the same ways without")
    end = time.monotonic() + 60 * given.minutes
    small = sizes.networks[-2:]
    # the most wanted first: time may run out
    parts: list[tuple[str, Callable[[], list[Row]] | str]] = [
        *((f"throughput {one.name}", lambda one=one: throughput(one, sizes))
          for one in sizes.networks),
        ("2:4", lambda: two_four(sizes)),
        ("CIFAR-10 to 94 %", (lambda: to_94(given.cifar10, sizes)) if given.cifar10
         else "no --cifar10 given"),
        ("airbench",
         (lambda: airbench(given.airbench, given.cifar10, min(AIRBENCH, end - time.monotonic())))
         if given.airbench and given.cifar10 else "no --airbench and --cifar10 given"),
        *((f"{count} {one.name} at once",
           lambda one=one, count=count: together(one, count, sizes, given.dry))
          for one in small for count in sizes.at_once),
    ]  # fmt: skip
    device = torch.cuda.get_device_name() if sizes.device.type == "cuda" else "CPU, dry"
    rows: list[Row] = [{"device": device, "torch": torch.__version__}]
    print(json.dumps(rows[0]), flush=True)
    for name, part in parts:
        if isinstance(part, str):
            found: list[Row] = [{"part": name, "not measured": part}]
        elif time.monotonic() > end:
            found = [{"part": name, "not measured": "no time was left"}]
        else:
            try:
                found = part()
            except (PrunebenchError, RuntimeError, OSError) as error:
                found = [{"part": name, "not measured": str(error)}]  # the others go on
        rows += found
        for row in found:
            print(json.dumps(row), flush=True)
        if given.into:
            given.into.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
