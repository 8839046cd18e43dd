"""Engines that run a network: one function each, called with the model, an example, and threads.

``example`` is a batch [B, C, H, W] on the device to run on. An engine returns a ``Runner`` for
batches of that shape, and raises Refused with the reason where it does not work on this model or
this machine.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from prunebench.compression.export_formats import onnx_bytes
from prunebench.compression.timing import Prepare, Runner, device_name, session, steady
from prunebench.errors import Refused, reason_of
from prunebench.experiment.registry import engine
from prunebench.pruning.held_networks import copied


def _channels_last(like: nn.Module) -> Prepare:
    """Return what brings batches to the network's precision and device, channels last: faster."""
    first = next(like.parameters())

    def prepare(batch: Tensor) -> Tensor:
        batch = batch.to(device=first.device, dtype=first.dtype)
        return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch

    return prepare


def _copy(model: nn.Module) -> nn.Module:
    return copied(model).eval().to(memory_format=torch.channels_last)


def _torch_runner(
    engine: str, network: nn.Module, call: Callable[[Any], Any], threads: int
) -> Runner:
    device = next(network.parameters()).device
    return Runner(engine, call, _channels_last(network), device, threads)


@engine()
def eager(model: nn.Module, example: Tensor, threads: int) -> Runner:
    """PyTorch as it is, channels last, in the precision of the model's weights."""
    del example
    network = _copy(model)
    return _torch_runner("eager", network, network, threads)


@engine()
def half(model: nn.Module, example: Tensor, threads: int) -> Runner:
    """PyTorch as it is, channels last, in half precision."""
    del example
    network = _copy(model).half()
    return _torch_runner("half", network, network, threads)


@engine()
def compile_(model: nn.Module, example: Tensor, threads: int) -> Runner:
    """``torch.compile``, of the whole graph, for batches of the shape of ``example``."""
    network = _copy(model)
    runner = _torch_runner(
        "compile", network, torch.compile(network, fullgraph=True, dynamic=False), threads
    )
    try:
        with steady(threads):
            runner(runner.prepare(example))  # it is compiled when it is first called
    except Exception as error:  # errors of the compiler, its backend or the C++ compiler
        raise Refused(f"compile: does not work on this network here: {reason_of(error)}") from error
    return runner


@engine()
def onnxruntime(model: nn.Module, example: Tensor, threads: int) -> Runner:
    """ONNX Runtime on the CPU, of the network without its preprocessing."""
    if example.device.type != "cpu":
        raise Refused(
            "onnxruntime: not measured on this hardware: only its CPU kernels are installed"
        )
    network = copied(model).eval().to(memory_format=torch.contiguous_format)
    two = torch.cat([example[:1], example[:1]]).contiguous()
    return session(onnx_bytes(network, two), threads)


@engine()
def semi_structured(model: nn.Module, example: Tensor, threads: int) -> Runner:
    """2:4 sparse linear layers on NVIDIA's sparse tensor cores, all in half precision.

    To be compared with ``eager`` of ``model.half()``. Linear layers of another pattern, or of a
    shape that the kernels do not take, stay dense. So do convolutions: PyTorch has no such kernels
    for them.
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
    """Return whether each four consecutive inputs of a row [out, in] keep two weights at most."""
    if weight.shape[1] % 4:
        return False
    return bool((weight.ne(0).view(len(weight), -1, 4).sum(-1) <= 2).all())


def _convert(layer: nn.Linear) -> bool:
    if not is_two_four(layer.weight):
        return False
    try:
        with warnings.catch_warnings():
            # what it warns of is true of this engine wherever it is chosen
            warnings.filterwarnings("ignore", "The PyTorch API of SparseSemiStructuredTensor")
            sparse = torch.sparse.to_sparse_semi_structured(layer.weight.detach().contiguous())
    except (RuntimeError, ValueError):  # a shape that the kernels do not take
        return False
    layer.weight = nn.Parameter(cast(Tensor, sparse), requires_grad=False)
    return True
