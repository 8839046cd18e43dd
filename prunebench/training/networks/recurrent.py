"""Recurrent networks that classify sequences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from prunebench.experiment.registry import network
from prunebench.training.networks._images import Size, sides
from prunebench.training.networks._sequences import (
    Frames,
    RecurrentLayers,
    embedded,
    is_token,
    mean_over,
    table_of,
)

# deviation of the embeddings at the start, where torch has 1: words that training rarely sees are
# then noise that a classifier of sentences does not get rid of
_INITIAL = 0.1


@network(inputs=("tokens", "pixels"))
def gru() -> Callable[..., nn.Module]:
    """A GRU over tokens, or the columns of images such as spectrograms (Cho 2014)."""
    return partial(Recurrent, nn.GRU)


@network(inputs=("tokens", "pixels"))
def lstm() -> Callable[..., nn.Module]:
    """An LSTM over tokens, or the columns of images such as spectrograms (Hochreiter 1997)."""
    return partial(Recurrent, nn.LSTM)


class Recurrent(nn.Module):
    """Recurrent layers, the mean of their states, and a linear layer.

    Over tokens [B, L], by their embeddings, or images [B, C, H, W], a step for each column. Padding
    at the end of tokens has no part in the mean.
    """

    def __init__(
        self, kind: type[nn.RNNBase], num_classes: int, vocabulary: int | None = None,
        in_chans: int | None = None, image_size: Size | None = None, embedding: int = 32,
        units: int = 64, layers: int = 1, bidirectional: bool = False, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if vocabulary is None:
            assert in_chans is not None
            assert image_size is not None
            inputs = in_chans * sides(image_size)[0]
            self.frames = Frames()
        else:
            inputs = embedding
            self.embed = table_of(vocabulary, embedding, _INITIAL)
        self.of_tokens = vocabulary is not None
        self.layers = RecurrentLayers(kind, inputs, units, layers, bidirectional, dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.layers.width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, classes] of tokens [B, L], or images [B, C, H, W]."""
        if self.of_tokens:
            valid = is_token(x)
            x = embedded(self.embed, x, valid)
        else:
            x = self.frames(x)
            valid = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        return self.head(self.dropout(mean_over(self.layers(x, valid), valid)))

    def get_classifier(self) -> nn.Module:
        return self.head
