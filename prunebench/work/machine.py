"""The device of a process, and what makes it repeat its bits."""

from __future__ import annotations

import os

import torch

from prunebench.errors import PrunebenchError
from prunebench.settings import Compute


def device_of(compute: Compute) -> torch.device:
    """The device that the configuration names; ``auto`` is a GPU where there is one."""
    wanted = compute.device
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise PrunebenchError(f"compute.device: {wanted}, but this machine has no usable GPU")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def set_up(compute: Compute) -> torch.device:
    """Fix threads and algorithms as the configuration says; return the device."""
    device = device_of(compute)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats its bits only so
    torch.set_num_threads(compute.threads)
    torch.use_deterministic_algorithms(True)
    # it would also write NaN into all new memory, to show reads of what was never written
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    return device
