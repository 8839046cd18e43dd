"""A network that transcribes spectrograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import network
from prunebench.training.networks._images import Size, sides
from prunebench.training.networks._sequences import Frames, RecurrentLayers


@network(inputs=("pixels",))
def ctc_gru() -> Callable[..., nn.Module]:
    """Convolutions and a GRU over a spectrogram, for CTC (Amodei 2016)."""
    return TranscribingGRU


class TranscribingGRU(nn.Module):
    """Two 3×3 convolutions with batch norm, GRU layers, and scores of tokens at each step.

    A small one of the kind of Amodei 2016. The first convolution halves bands and frames, the
    second the bands. Of images [B, C, bands, frames] come half as many steps as there are frames,
    rounded up. Token 0 is the blank of CTC.
    """

    def __init__(
        self, num_classes: int, in_chans: int, image_size: Size, filters: Sequence[int] = (16, 16),
        units: int = 64, layers: int = 1, bidirectional: bool = True, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        bands, _ = sides(image_size)
        if bands < 4:
            raise PrunebenchError(f"ctc-gru needs spectrograms of at least 4 bands, not {bands}")
        one, two = filters
        self.convolutions = nn.Sequential(
            nn.Conv2d(in_chans, one, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(one),
            nn.ReLU(),
            nn.Conv2d(one, two, 3, stride=(2, 1), padding=1, bias=False), nn.BatchNorm2d(two),
            nn.ReLU(),
        )  # fmt: skip
        self.frames = Frames()
        inputs = two * (((bands + 1) // 2 + 1) // 2)
        self.layers = RecurrentLayers(nn.GRU, inputs, units, layers, bidirectional, dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.layers.width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return [B, T, vocabulary] of images [B, C, bands, frames], T = ⌈frames / 2⌉."""
        x = self.frames(self.convolutions(images))
        every = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        return self.head(self.dropout(self.layers(x, every)))

    def get_classifier(self) -> nn.Module:
        return self.head
