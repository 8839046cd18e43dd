"""How long each module of a network takes within a forward pass."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.compression.timing import steady
from prunebench.pruning.held_networks import copied


def layer_times(
    model: nn.Module, image: Tensor, batch: int, threads: int, repeats: int, warm_up: int
) -> dict[str, float]:
    """Return the median milliseconds of each module in forward passes, as the engine eager runs.

    What a module calls is part of its time; of one that is called several times in a pass, all
    calls count. To be run with nothing else on the machine.

    Args:
        model: the network.
        image: an input [1, ...] on the device to run on.
        batch: copies of the image in a pass.
        threads: of the processor.
        repeats: passes that count.
        warm_up: passes before those.

    Returns:
        The name of each module that was called -> milliseconds; the network itself is ``""``.
    """
    network = copied(model).eval().to(memory_format=torch.channels_last)
    inputs = image[:1].repeat(batch, *(1 for _ in image.shape[1:]))
    if inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    passes: dict[str, list[float]] = defaultdict(list)
    with steady(threads):
        for number in range(warm_up + repeats):
            with _clocks(network, inputs.device) as taken:
                network(inputs)
            for name, milliseconds in taken.items() if number >= warm_up else ():
                passes[name].append(milliseconds)
    return {name: median(found) for name, found in passes.items()}


@contextmanager
def _clocks(network: nn.Module, device: torch.device) -> Iterator[dict[str, float]]:
    """Measure each module's calls within the block, in milliseconds."""
    taken: dict[str, float] = defaultdict(float)
    begun: list[int] = []  # of the calls that have not ended, the innermost last

    def now() -> int:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter_ns()

    def before(module: nn.Module, args: Any) -> None:
        begun.append(now())

    handles = []
    for name, module in network.named_modules():

        def after(module: nn.Module, args: Any, output: Any, name: str = name) -> None:
            taken[name] += (now() - begun.pop()) / 1e6

        handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield taken
    finally:
        for handle in handles:
            handle.remove()
