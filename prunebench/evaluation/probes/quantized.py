"""Probe: weights and activations in 8 bits, after training."""

from __future__ import annotations

from typing import Any

from prunebench.compression.onnx_int8 import pair
from prunebench.compression.quantize import predict
from prunebench.errors import Refused
from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.registry import probe


@probe(
    columns={
        "quantized_error": "mean(ŷ_int8 ≠ y) on all test images",
        "bytes_onnx": "of the ONNX file in single precision, behind zstd",
        "bytes_quantized": "of the ONNX file in 8 bits, behind zstd",
    },
    better="lower",
    unit={"quantized_error": "share", "bytes_onnx": "bytes", "bytes_quantized": "bytes"},
    source="Jacob 2018, sections 2 and 3",
)
def quantized(subject: Subject) -> dict[str, Any]:
    """The smallest verified network in int8 by ONNX Runtime, calibrated on training images."""
    try:
        single, eight = pair(subject.smallest.model, *subject.moments, subject.train[0])
    except Refused:  # the columns stay empty
        return {}
    images, labels = subject.test_images.cpu().numpy(), subject.test_labels.cpu().numpy()
    found = predict(eight.runner(1), images).argmax(1)
    return {
        "quantized_error": float((found != labels).mean()),
        "bytes_onnx": single.compressed,
        "bytes_quantized": eight.compressed,
    }
