"""Probe: what is left when filters, heads and blocks without use are really removed."""

from __future__ import annotations

from typing import Any

from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.registry import probe
from prunebench.pruning.macs import macs


@probe(
    columns={
        "shrink": "verified, unchanged, different or refused",
        "shrink_message": "why, in words",
        "shrink_difference": "max|z − z_shrunk| / max|z|, on test inputs and noise",
        "params_shrunk": "parameters of the smallest verified network",
        "macs_shrunk": "its multiply-accumulates an input, with dense kernels",
        "channels_multiple": "channels of the smallest network are kept at a multiple of it",
        "shrunk_speedup": "macs_dense / macs_shrunk",
    },
    better="",
    unit="1",
    source="Fang 2023",
)
def shrunk(subject: Subject) -> dict[str, Any]:
    """Size of the network without what its masks leave no use, once its outputs are the same."""
    network = subject.smallest
    dense = left = subject.dense.macs
    if network.model is not subject.model:
        left = macs(network.model, subject.normalize(subject.test_inputs[:1]), {})[0]
    return {
        "shrink": network.outcome,
        "shrink_message": "; ".join([network.reason, *network.notes]),
        "shrink_difference": network.difference,
        "params_shrunk": sum(value.numel() for value in network.model.parameters()),
        "macs_shrunk": left,
        "channels_multiple": subject.round_to,
        "shrunk_speedup": dense / left if left else None,
    }
