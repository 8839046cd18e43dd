"""Quantize weights and activations to 8 bits after training, by ONNX Runtime's static quantizer.

A quantized network is the exported one with pairs of QuantizeLinear and DequantizeLinear (QDQ)
around its layers: symmetric int8 weights with a scale for each output channel, uint8 activations
with one scale and zero point for each tensor, from the smallest and largest value that calibration
images give (Jacob 2018, sections 2 and 3). The preprocessing stays in single precision.

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

Images = NDArray[np.uint8]
CALIBRATION = 256  # images that are enough; the quantizer keeps all their activations
_BATCH = 500


def quantize(onnx_path: str | Path, images: Images, target: str | Path | None = None) -> Path:
    """Write an exported network in 8 bits; return the path.

    Args:
        onnx_path: a network that takes uint8 images under the name ``inputs``.
        images: uint8 [N, C, H, W] of the training split; the first 256 are used to calibrate.
        target: the file to write; None: ``<name>.int8.onnx`` beside the network.

    Raises:
        PrunebenchError: there are no images, or no readable file.
        Refused: the quantizer cannot quantize this network.
    """
    path = Path(onnx_path)
    target = Path(target) if target is not None else path.with_suffix(".int8.onnx")
    if not len(images):
        raise PrunebenchError("quantize: no images to calibrate on")
    if not path.is_file():
        raise PrunebenchError(f"{path}: no such file; export to onnx first")
    with tempfile.TemporaryDirectory() as name:
        try:
            made = _quantized(path, images[:CALIBRATION], Path(name))
        except Exception as error:  # errors of onnx, its runtime or the quantizer
            raise Refused(f"cannot quantize {path}: {reason_of(error)}") from error
        with replacing(target) as temporary:
            temporary.write_bytes(made)
    return target


def _quantized(path: Path, images: Images, folder: Path) -> bytes:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    ready, made = folder / "ready.onnx", folder / "made.onnx"
    # infers shapes and fuses layers, which saves a pair of conversions each
    quant_pre_process(path, ready, skip_symbolic_shape=True)
    quantize_static(
        ready, made, _reader(images), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True,
        calibrate_method=CalibrationMethod.MinMax,
    )  # fmt: skip
    return made.read_bytes()


def _reader(images: Images) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(np.array_split(images, -(-len(images) // 64)))

        def get_next(self) -> dict[str, Images] | None:
            batch = next(self.left, None)
            return None if batch is None else {"inputs": batch}

    return Reader()


def predict(runner: Runner, images: Images) -> NDArray[Any]:
    """Return logits [N, classes] of images [N, C, H, W]."""
    batches = [images[at : at + _BATCH] for at in range(0, len(images), _BATCH)]
    return np.concatenate([runner(np.ascontiguousarray(batch)) for batch in batches])
