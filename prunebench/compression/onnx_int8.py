"""A network as an ONNX file in single precision and in 8 bits, to be compared."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from prunebench.compression.encoding import zstd
from prunebench.compression.export_formats import Deployed, onnx_bytes
from prunebench.compression.quantize import quantize
from prunebench.compression.timing import Runner, session


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file in memory; its input is uint8 images [N, C, H, W]."""

    content: bytes

    @property
    def compressed(self) -> int:
        """Bytes after zstd, the way in which a sparse file is best stored."""
        return len(zstd().compress(self.content, asbytes=True))

    def runner(self, threads: int) -> Runner:
        """Return the file in ONNX Runtime."""
        return session(self.content, threads)


def pair(model: nn.Module, mean: Tensor, std: Tensor, images: Tensor) -> tuple[OnnxFile, OnnxFile]:
    """Return the ONNX files of a network: as it is, and in 8 bits.

    Args:
        model: the network.
        mean: [C], on the scale of the pixels.
        std: [C], on the scale of the pixels.
        images: uint8 [N, C, H, W] of the training split, to calibrate on.

    Raises:
        Refused: the network cannot be exported or quantized.
    """
    deployed = Deployed(model, mean, std)
    # of two images: the exporter takes a batch of one for a constant
    example = torch.zeros(2, *images.shape[1:], dtype=torch.uint8)
    content = onnx_bytes(deployed, example)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "network.onnx"
        path.write_bytes(content)
        made = quantize(path, images.cpu().contiguous().numpy())
        return OnnxFile(content), OnnxFile(made.read_bytes())
