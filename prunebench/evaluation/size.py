"""Size of a pruned network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from prunebench.pruning.macs import macs


def size(
    model: nn.Module, image: Tensor, masks: Mapping[str, Tensor], prunable: list[str]
) -> dict[str, Any]:
    """Return the size columns of a record.

    ``prunable_share`` is the share of all parameters that a sparsity is of. Compression ratio and
    theoretical speedup are dense over kept, of all parameters and of all MACs (Blalock 2020,
    section 5). ``bytes_kept`` takes for each tensor the lesser of dense storage and a bitmap with
    the kept values.

    Args:
        model: the network.
        image: [1, C, H, W].
        masks: parameter name -> bool, True is kept.
        prunable: names of the prunable weights.
    """
    total = kept = dense_bytes = kept_bytes = 0
    for name, value in model.named_parameters():
        mask = masks.get(name)
        left = value.numel() if mask is None else int(mask.sum())
        whole = value.numel() * value.element_size()
        total, kept = total + value.numel(), kept + left
        dense_bytes += whole
        kept_bytes += min(whole, left * value.element_size() + -(-value.numel() // 8))
    dense_macs, kept_macs = macs(model, image, masks)
    weights = dict(model.named_parameters())
    removed = sum(int((~masks[name]).sum()) for name in prunable if name in masks)
    could_go = sum(weights[name].numel() for name in prunable)
    return {
        "sparsity_achieved": removed / could_go,
        "prunable_share": could_go / total,
        "params_total": total,
        "params_kept": kept,
        "compression_ratio": total / kept if kept else None,
        "macs_dense": dense_macs,
        "macs_kept": kept_macs,
        "theoretical_speedup": dense_macs / kept_macs if kept_macs else None,
        "bytes_dense": dense_bytes,
        "bytes_kept": kept_bytes,
    }
