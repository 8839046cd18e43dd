"""Precision in which a baseline and the networks pruned from it train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.experiment.settings import Compute
from prunebench.pruning.macs import macs

FLOAT32, BFLOAT16 = "float32", "bfloat16"
# of one sample: from here on bfloat16 paid on a CPU with its instructions (benchmarks/bfloat16.py)
LARGE = 10_000_000
TYPES = {FLOAT32: None, BFLOAT16: torch.bfloat16}  # to autocast to; None: to none


def precision_of(compute: Compute, model: nn.Module, example: Tensor) -> str:
    """Return the precision in which a network trains that is not trained yet.

    ``auto`` is bfloat16 on a GPU that has it, and on a CPU that has it for networks of ``LARGE``
    MACs and more; else float32.

    Args:
        compute: the experiment's settings.
        model: the dense network, on its device.
        example: an input [1, ...].
    """
    if compute.precision != "auto":
        return compute.precision
    if not _fast(example.device):
        return FLOAT32
    small = example.device.type == "cpu" and macs(model, example, {})[0] < LARGE
    return FLOAT32 if small else BFLOAT16


def precision_after(dense: Mapping[str, Any], compute: Compute, device: torch.device) -> str:
    """Return the precision in which networks train that are pruned from a baseline: its own.

    ``auto`` is float32 where this device would have to imitate bfloat16, whatever the baseline's.

    Args:
        dense: the record of the baseline. Those that do not tell were trained before large networks
            were in bfloat16 on a CPU.
        compute: the experiment's settings.
        device: that computes.
    """
    if compute.precision != "auto":
        return compute.precision
    told = dense.get("precision") or (FLOAT32 if device.type == "cpu" else BFLOAT16)
    return told if _fast(device) else FLOAT32


def _fast(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16, as far as PyTorch tells."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # not in every version
    told: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(told.get("avx512_bf16"))
