"""Probe: the size of a network as a compressed file."""

from __future__ import annotations

from prunebench.compression.encoding import sizes
from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.registry import probe


@probe(
    columns={
        "bytes_encoded": "per tensor the least of dense, bitmap + values, gaps + values",
        "bytes_compressed": "of the file: the same behind zstd, every bit kept",
        "bytes_compressed_half": "of the file with values in half precision",
    },
    better="lower",
    unit="bytes",
    source="Han 2016; Collet 2021",
)
def encoded(subject: Subject) -> dict[str, int]:
    """Bytes of the smallest verified network in the format of ``save_compressed``."""
    network = subject.smallest
    # a shrunk network has other shapes; what is pruned in it is zero
    masks = subject.masks if network.model is subject.model else None
    whole, half = (sizes(network.model, masks, half=half) for half in (False, True))
    return {
        "bytes_encoded": whole.encoded,
        "bytes_compressed": whole.compressed,
        "bytes_compressed_half": half.compressed,
    }
