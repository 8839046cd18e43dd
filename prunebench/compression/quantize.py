"""Quantize weights and activations to 8 bits after training, by ONNX Runtime's static quantizer.

A quantized network is the exported one with pairs of QuantizeLinear and DequantizeLinear (QDQ)
around its layers: symmetric int8 weights with a scale for each output channel, uint8 activations
with one scale and zero point for each tensor, from the smallest and largest value that calibration
inputs give (Jacob 2018, sections 2 and 3). The preprocessing stays in single precision.

Only 7 bits of the int8 weights are used. x86 processors without VNNI add two products in 16 bits,
which overflow with 8, so that the error would differ between machines. Activations are uint8, the
only type for which ONNX Runtime has fast kernels with int8 weights on x86.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunebench.compression.timing import Runner
from prunebench.errors import PrunebenchError, Refused, reason_of
from prunebench.storage.files import replacing

Inputs = NDArray[Any]  # as they are stored: uint8 inputs, float32 rows …
CALIBRATION = 256  # inputs that are enough; the quantizer keeps all their activations
_BATCH = 500


def quantize(onnx_path: str | Path, inputs: Inputs, target: str | Path | None = None) -> Path:
    """Write an exported network in 8 bits; return the path.

    Args:
        onnx_path: a network that takes stored inputs under the name ``inputs``.
        inputs: [N, ...] of the training split as they are stored; 256 of them are used.
        target: the file to write; None: ``<name>.int8.onnx`` beside the network.

    Raises:
        PrunebenchError: there are no inputs, or no readable file.
        Refused: the quantizer cannot quantize this network.
    """
    path = Path(onnx_path)
    target = Path(target) if target is not None else path.with_suffix(".int8.onnx")
    if not len(inputs):
        raise PrunebenchError("quantize: no inputs to calibrate on")
    if not path.is_file():
        raise PrunebenchError(f"{path}: no such file; export to onnx first")
    with tempfile.TemporaryDirectory() as name:
        try:
            made = _quantized(path, inputs[:CALIBRATION], Path(name))
        except Exception as error:  # errors of onnx, its runtime or the quantizer
            raise Refused(f"cannot quantize {path}: {reason_of(error)}") from error
        with replacing(target) as temporary:
            temporary.write_bytes(made)
    return target


def _quantized(path: Path, inputs: Inputs, folder: Path) -> bytes:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    ready, made = folder / "ready.onnx", folder / "made.onnx"
    # infers shapes and fuses layers, which saves a pair of conversions each
    quant_pre_process(path, ready, skip_symbolic_shape=True)
    quantize_static(
        ready, made, _reader(inputs), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True,
        calibrate_method=CalibrationMethod.MinMax,
    )  # fmt: skip
    return made.read_bytes()


def _reader(inputs: Inputs) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(np.array_split(inputs, -(-len(inputs) // 64)))

        def get_next(self) -> dict[str, Inputs] | None:
            batch = next(self.left, None)
            return None if batch is None else {"inputs": batch}

    return Reader()


def predict(runner: Runner, inputs: Inputs) -> NDArray[Any]:
    """Return logits [N, classes] of stored inputs [N, ...]."""
    batches = [inputs[at : at + _BATCH] for at in range(0, len(inputs), _BATCH)]
    return np.concatenate([runner(np.ascontiguousarray(batch)) for batch in batches])
