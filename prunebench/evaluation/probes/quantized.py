"""Probe: weights and activations in 8 bits, after training."""

from __future__ import annotations

from typing import Any

import torch

from prunebench.compression.onnx_int8 import pair
from prunebench.compression.quantize import predict
from prunebench.errors import Refused
from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.registry import probe
from prunebench.training.loop import at_once, error_of


@probe(
    columns={
        "quantized_error": "error of the network in 8 bits on all test inputs",
        "bytes_onnx": "of the ONNX file in single precision, behind zstd",
        "bytes_quantized": "of the ONNX file in 8 bits, behind zstd",
    },
    better="lower",
    unit={"quantized_error": "share", "bytes_onnx": "bytes", "bytes_quantized": "bytes"},
    source="Jacob 2018, sections 2 and 3",
)
def quantized(subject: Subject) -> dict[str, Any]:
    """The smallest verified network in int8 by ONNX Runtime, calibrated on training inputs."""
    try:
        single, eight = pair(subject.deployed, subject.train[0])
    except Refused:  # the columns stay empty
        return {}
    kind, targets, run = subject.kind, subject.test_targets.cpu(), eight.runner(1)
    batch = at_once(kind, targets)
    stored = [
        kind.keep(torch.from_numpy(predict(run, part.numpy())), wanted)
        for part, wanted in zip(
            subject.test_inputs.cpu().split(batch), targets.split(batch), strict=True
        )
    ]
    return {
        "quantized_error": error_of(kind, torch.cat(stored), targets),
        "bytes_onnx": single.compressed,
        "bytes_quantized": eight.compressed,
    }
