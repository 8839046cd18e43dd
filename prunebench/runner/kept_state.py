"""Keep what all cells of a process share as it is, whatever a cell's own code does to it.

Code of somebody's own may leave torch in another type or mode, replace a loss by its own, or change
folder. What computes next in the same process must not have other bits for that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional


def _deterministic() -> tuple[bool, bool]:
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled(), warns


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


_FUNCTIONS = [name for name, value in vars(functional).items() if callable(value)]


def _functions() -> dict[str, Any]:
    return {name: vars(functional).get(name) for name in _FUNCTIONS}


# what is shared -> how it is read, and how it is set
_SHARED: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "default type": (torch.get_default_dtype, torch.set_default_dtype),
    "gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
    "deterministic algorithms": (_deterministic, _set_deterministic),
    "cuDNN's benchmark": (
        lambda: torch.backends.cudnn.benchmark,
        lambda value: setattr(torch.backends.cudnn, "benchmark", value),
    ),
    "precision of products": (
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision,
    ),
    "threads": (torch.get_num_threads, torch.set_num_threads),
    "torch.nn.functional": (_functions, vars(functional).update),
    "working directory": (os.getcwd, os.chdir),
}  # fmt: skip


@contextmanager
def kept_state(what: str) -> Iterator[None]:
    """Put back what the block changed of what all cells share, and say so on standard error.

    Args:
        what: whose code runs in the block, for the message.
    """
    before = {name: read() for name, (read, _) in _SHARED.items()}
    try:
        yield
    finally:
        changed = [name for name, (read, _) in _SHARED.items() if read() != before[name]]
        for name in changed:
            _SHARED[name][1](before[name])
        if changed:
            said = f"{what} changed, and this was put back: {', '.join(changed)}"
            print(f"warning: {said}", file=sys.stderr, flush=True)
