"""The record: the public columns of ``cells.csv``, one row per cell.

Missing is empty, never 0. ``sparsity`` is the target, ``sparsity_achieved`` what was met.
"""

from __future__ import annotations

from typing import Any

IDENTITY = (
    "experiment", "task", "regime", "model", "method", "family", "seed", "sparsity",
)  # fmt: skip
STATUS = ("status", "message", "classes")
SIZE = (
    "sparsity_achieved", "params_total", "params_kept", "compression_ratio",
    "macs_dense", "macs_kept", "theoretical_speedup", "bytes_dense", "bytes_kept",
)  # fmt: skip
SPLITS = ("train", "val", "test")
QUALITY = (
    *(f"{split}_{measure}" for split in SPLITS for measure in ("error", "nll", "mse")),
    "generalization_gap", "test_ece", "memorized", "flips", "corrupted_error",
)  # fmt: skip
COST = ("train_epochs", "train_seconds", "prune_seconds", "latency_ms")
# what a reader needs to trace a row to what made it
PROVENANCE = (
    "identity", "config_hash", "data_hash", "label_hash", "mask_hash", "code_hash", "commit",
    "dirty", "device", "threads", "python_version", "torch_version", "torchvision_version",
    "timm_version",
)  # fmt: skip
COLUMNS = (*IDENTITY, *STATUS, *SIZE, *QUALITY, *COST, *PROVENANCE)

OK, DIVERGED, COLLAPSED, FAILED = "ok", "diverged", "collapsed", "failed"
STATUSES = (OK, DIVERGED, COLLAPSED, FAILED)
DENSE = "dense"  # the method and the family of a baseline's own row
FAMILIES = ("weight", "activation", "structure", "hybrid")


def row(values: dict[str, Any]) -> dict[str, Any]:
    """Put ``values`` into the order of COLUMNS, missing ones None.

    Raises KeyError for a key that is no column: a misspelt measure must not vanish.
    """
    unknown = set(values) - set(COLUMNS)
    if unknown:
        raise KeyError(f"no such columns: {', '.join(sorted(unknown))}")
    return {column: values.get(column) for column in COLUMNS}
