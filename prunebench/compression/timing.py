"""Time networks, in turns, so that what disturbs one disturbs all.

To be run with nothing else on the machine. A runner is a network in an engine (``engines``), which
refuses with a reason what it cannot run.
"""

from __future__ import annotations

import gc
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import Engine

Prepare = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Runner:
    """A network in an engine; ``prepare`` lays a batch out for the engine, outside the time."""

    engine: str
    call: Callable[[Any], Any]
    prepare: Prepare
    device: torch.device
    threads: int  # given to the engine

    def __call__(self, given: Any) -> Any:
        return self.call(given)


@dataclass(frozen=True)
class Speed:
    """Milliseconds for a batch: median, quartiles, and what they were measured on."""

    median_ms: float
    low_ms: float  # the lower quartile
    high_ms: float  # the upper quartile
    throughput: float  # images a second, at the median
    batch: int
    repeats: int
    threads: int
    device: str
    engine: str

    def slower_than(self, other: Speed) -> bool:
        """Return whether it takes longer than another: the quartiles do not overlap."""
        return self.low_ms > other.high_ms


def measure_speed(
    models: Mapping[str, Runner], image: Tensor, batch: int, threads: int, repeats: int,
    warm_up: int, seed: int = 0,
) -> dict[str, Speed]:  # fmt: skip
    """Time every model on copies of one image.

    The models take turns, each round in an order drawn from ``seed``. On CUDA the time is between
    two events with nothing else in the stream; on the CPU it is wall-clock time.

    Args:
        models: name -> network in an engine.
        image: [1, C, H, W].
        batch: copies of the image in a batch.
        threads: for which the runners were made.
        repeats: rounds that count.
        warm_up: rounds before those.
        seed: of the order.

    Raises:
        PrunebenchError: a number is below 1, or a runner was made for another number of threads.
    """
    for what, value in (("batch", batch), ("threads", threads), ("repeats", repeats)):
        if value < 1:
            raise PrunebenchError(f"speed: {what} must be 1 or more, found {value}")
    for name, runner in models.items():
        if runner.threads != threads:
            raise PrunebenchError(
                f"speed: {name} was made for {runner.threads} threads, not {threads}"
            )
    batched = image[:1].repeat(batch, *(1 for _ in image.shape[1:]))
    given = {name: runner.prepare(batched) for name, runner in models.items()}
    taken: dict[str, list[float]] = {name: [] for name in models}
    order, names = np.random.default_rng(seed), list(models)
    with steady(threads):
        for number in range(warm_up + repeats):
            for at in order.permutation(len(names)):
                name = names[at]
                milliseconds = TIMERS[models[name].device.type](models[name].call, given[name])
                if number >= warm_up:
                    taken[name].append(milliseconds)
    return {name: _speed(models[name], taken[name], batch) for name in models}


def _speed(runner: Runner, taken: list[float], batch: int) -> Speed:
    low, median, high = (float(value) for value in np.quantile(taken, (0.25, 0.5, 0.75)))
    return Speed(
        median, low, high, 1000 * batch / median, batch, len(taken), runner.threads,
        device_name(runner.device), runner.engine,
    )  # fmt: skip


def _cpu_ms(call: Callable[[Any], Any], given: Any) -> float:
    start = time.perf_counter_ns()
    call(given)
    return (time.perf_counter_ns() - start) / 1e6


def _cuda_ms(call: Callable[[Any], Any], given: Any) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    call(given)
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


TIMERS: dict[str, Callable[[Callable[[Any], Any], Any], float]] = {"cpu": _cpu_ms, "cuda": _cuda_ms}


@contextmanager
def steady(threads: int) -> Iterator[None]:
    """Fix PyTorch's threads and turn off gradients and garbage collection within the block."""
    before, collects = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(threads)
    gc.disable()
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
        if collects:
            gc.enable()


def device_name(device: torch.device) -> str:
    """Return the name of the GPU or processor, as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def session(file: bytes | Path, threads: int) -> Runner:
    """Return an ONNX file of one input in ONNX Runtime on the CPU."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors
    # threads that wait by spinning would slow the model that is measured next
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    found = ort.InferenceSession(
        str(file) if isinstance(file, Path) else file, options, providers=["CPUExecutionProvider"]
    )
    name = found.get_inputs()[0].name

    def call(given: Any) -> Any:
        return found.run(None, {name: given})[0]

    def prepare(batch: Tensor) -> Any:
        return batch.detach().cpu().contiguous().numpy()

    return Runner("onnxruntime", call, prepare, torch.device("cpu"), threads)


def runner(engine: str, model: nn.Module, example: Tensor, threads: int) -> Runner:
    """Return a model in an engine, for batches of the shape of ``example``.

    Args:
        engine: its name.
        model: the network.
        example: a batch [B, C, H, W] on the device to run on.
        threads: that the engine gets.

    Raises:
        PrunebenchError: there is no such engine.
        Refused: the engine does not work on this model or this machine; such a time is missing,
            never a guess.
    """
    made: Runner = registry.load(registry.find(Engine, engine))(model, example, threads)
    return made
