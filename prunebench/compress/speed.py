"""How long networks take, measured alternately so that whatever disturbs one disturbs all.

Run it with nothing else on the machine. A runner is a network in an engine; ``ENGINES`` makes them,
and refuses with the reason what this machine cannot measure.
"""

from __future__ import annotations

import gc
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from prunebench.compress.export import onnx_bytes
from prunebench.errors import PrunebenchError, Refused, suggest

Prepare = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Runner:
    """A network in an engine. ``prepare`` lays a batch out as the engine wants it, unmeasured."""

    engine: str
    call: Callable[[Any], Any]
    prepare: Prepare
    device: torch.device
    threads: int  # that the engine was given

    def __call__(self, given: Any) -> Any:
        return self.call(given)


@dataclass(frozen=True)
class Speed:
    """Milliseconds a batch: the median, the quartiles, and what they were measured on."""

    median_ms: float
    low_ms: float  # the lower quartile
    high_ms: float  # the upper quartile
    throughput: float  # images a second, at the median
    batch: int
    repeats: int
    threads: int
    device: str
    engine: str


def measure_speed(
    models: Mapping[str, Runner], image: Tensor, batch: int, threads: int, repeats: int,
    warm_up: int, seed: int = 0,
) -> dict[str, Speed]:  # fmt: skip
    """Time every model ``repeats`` times on ``batch`` copies of ``image`` [1, C, H, W].

    The models take turns, each round in an order drawn from ``seed``, after ``warm_up`` rounds that
    do not count. On CUDA the time is between two events, with nothing else in the stream; on the
    CPU it is the wall's. Raises PrunebenchError for numbers below 1, and for a runner that was made
    for another number of threads.
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
    with _steady(threads):
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
def _steady(threads: int) -> Iterator[None]:
    """PyTorch's threads fixed, no gradients, and no collection of garbage in between."""
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
    """The name of the GPU or of the processor, as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


# --------------------------------------------------------------------------- engines


def _channels_last(like: nn.Module) -> Prepare:
    """Batches of the network's own precision and device; convolutions are faster so."""
    first = next(like.parameters())

    def prepare(batch: Tensor) -> Tensor:
        batch = batch.to(device=first.device, dtype=first.dtype)
        return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch

    return prepare


def _copy(model: nn.Module) -> nn.Module:
    return deepcopy(model).eval().to(memory_format=torch.channels_last)


def _torch_runner(
    engine: str, network: nn.Module, call: Callable[[Any], Any], threads: int
) -> Runner:
    device = next(network.parameters()).device
    return Runner(engine, call, _channels_last(network), device, threads)


def eager(model: nn.Module, example: Tensor, threads: int) -> Runner:
    """PyTorch as it is, channels last, in the precision of the model's weights."""
    del example
    network = _copy(model)
    return _torch_runner("eager", network, network, threads)


def compiled(model: nn.Module, example: Tensor, threads: int) -> Runner:
    """``torch.compile``, of the whole graph, for batches of the shape of ``example``."""
    network = _copy(model)
    runner = _torch_runner(
        "compile", network, torch.compile(network, fullgraph=True, dynamic=False), threads
    )
    try:
        with _steady(threads):
            runner(runner.prepare(example))  # it is compiled when it is first called
    except Exception as error:  # the compiler's, the backend's, the C++ compiler's
        raise Refused(f"compile: does not work on this network here: {_reason(error)}") from error
    return runner


def onnxruntime(model: nn.Module, example: Tensor, threads: int) -> Runner:
    """ONNX Runtime on the CPU, of the network without its preprocessing."""
    if example.device.type != "cpu":
        raise Refused("onnxruntime: not measured on this hardware: its CPU kernels alone are here")
    network = deepcopy(model).eval().to(memory_format=torch.contiguous_format)
    two = torch.cat([example[:1], example[:1]]).contiguous()
    return session(onnx_bytes(network, two), threads)


def session(file: bytes | Path, threads: int) -> Runner:
    """An ONNX file in ONNX Runtime on the CPU; its one input takes what it takes."""
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


def semi_structured(model: nn.Module, example: Tensor, threads: int) -> Runner:
    """2:4 sparse linear layers on NVIDIA's sparse tensor cores, all in half precision.

    To be compared with ``eager`` of ``model.half()``. Linear layers of another pattern, or of a
    shape that the kernels do not take, stay dense, and so do convolutions, for which PyTorch has no
    such kernels.
    """
    where = example.device
    if where.type != "cuda" or torch.cuda.get_device_capability(where) < (8, 0):
        raise Refused(
            "semi-structured: not measured on this hardware: it needs a CUDA device of capability"
            f" 8.0 or more, this is {device_name(where)}"
        )
    network = _copy(model).half()
    sparse = [
        layer for layer in network.modules() if isinstance(layer, nn.Linear) and _convert(layer)
    ]
    if not sparse:
        raise Refused("semi-structured: no linear layer is 2:4 sparse in a shape the kernels take")
    return _torch_runner("semi-structured", network, network, threads)


def is_two_four(weight: Tensor) -> bool:
    """Whether no four consecutive inputs of a row [out, in] keep more than two weights."""
    if weight.shape[1] % 4:
        return False
    return bool((weight.ne(0).view(len(weight), -1, 4).sum(-1) <= 2).all())


def _convert(layer: nn.Linear) -> bool:
    if not is_two_four(layer.weight):
        return False
    try:
        sparse = torch.sparse.to_sparse_semi_structured(layer.weight.detach().contiguous())
    except (RuntimeError, ValueError):  # a shape that the kernels do not take
        return False
    layer.weight = nn.Parameter(cast(Tensor, sparse), requires_grad=False)
    return True


ENGINES: dict[str, Callable[[nn.Module, Tensor, int], Runner]] = {
    "eager": eager,
    "compile": compiled,
    "onnxruntime": onnxruntime,
    "semi-structured": semi_structured,
}


def runner(engine: str, model: nn.Module, example: Tensor, threads: int) -> Runner:
    """A model in an engine, for batches of the shape of ``example`` [B, C, H, W] on its device.

    Raises PrunebenchError for an engine that is not there, Refused with the reason for one that
    does not work on this model or on this machine: such a time is missing, never a guess.
    """
    if engine not in ENGINES:
        raise PrunebenchError(f"speed: no engine {engine!r}{suggest(engine, ENGINES)}")
    return ENGINES[engine](model, example, threads)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
