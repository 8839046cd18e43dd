"""A network as an ONNX file in single precision and in 8 bits, to be compared."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from prunebench.compression.encoding import zstd
from prunebench.compression.export_formats import Deployed, onnx_bytes
from prunebench.compression.quantize import quantize
from prunebench.compression.timing import Runner, session


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file in memory; its inputs are as they are stored, e.g. uint8 [N, C, H, W]."""

    content: bytes

    @property
    def compressed(self) -> int:
        """Bytes after zstd, the way in which a sparse file is best stored."""
        return len(zstd().compress(self.content, asbytes=True))

    def runner(self, threads: int) -> Runner:
        """Return the file in ONNX Runtime."""
        return session(self.content, threads)


def pair(deployed: Deployed, inputs: Tensor) -> tuple[OnnxFile, OnnxFile]:
    """Return the ONNX files of a network: as it is, and in 8 bits.

    Args:
        deployed: the network with its preprocessing.
        inputs: [N, ...] of the training split as they are stored, to calibrate on.

    Raises:
        Refused: the network cannot be exported or quantized.
    """
    # of two: the exporter takes a batch of one for a constant
    content = onnx_bytes(deployed, inputs[:2].cpu())
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "network.onnx"
        path.write_bytes(content)
        made = quantize(path, inputs.cpu().contiguous().numpy())
        return OnnxFile(content), OnnxFile(made.read_bytes())
