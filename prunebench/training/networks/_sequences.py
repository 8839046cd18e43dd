"""What networks of sequences share: masks of padding, states over valid positions, positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError

INITIAL = 0.02  # deviation of embeddings and positions of transformers (Radford 2019)


def is_token(tokens: Tensor) -> Tensor:
    """Return bool [B, L]: where a sequence has a token; at its first position in any case.

    A sequence of padding alone does not occur in data, but in traces, and must give numbers.
    """
    first = torch.arange(tokens.shape[1], device=tokens.device) == 0
    return (tokens != 0) | first


def embedded(table: nn.Module, tokens: Tensor, valid: Tensor) -> Tensor:
    """Return vectors [B, L, width] of tokens [B, L], zero where there is none."""
    vectors: Tensor = table(tokens)
    return vectors * valid.unsqueeze(-1).to(vectors.dtype)


def mean_over(states: Tensor, valid: Tensor) -> Tensor:
    """Return the mean [B, width] of states [B, L, width] over the valid positions [B, L]."""
    counted = valid.unsqueeze(-1).to(states.dtype)
    return (states * counted).sum(1) / counted.sum(1)


def reversed_within(states: Tensor, valid: Tensor) -> Tensor:
    """Return sequences [B, L, width] from their last valid position to their first.

    What pads them at the end stays where it is.
    """
    length = valid.sum(1, keepdim=True)
    steps = torch.arange(states.shape[1], device=states.device).unsqueeze(0)
    source = torch.where(steps < length, length - 1 - steps, steps)
    return states.gather(1, source.unsqueeze(-1).expand_as(states))


class RecurrentLayers(nn.Module):
    """Recurrent layers on each other, each a module of its own: each may lose other units.

    They compute what one module of several layers does. Where they run in both directions, the
    second starts at the last valid position, as in a packed sequence.
    """

    def __init__(
        self, kind: Callable[..., nn.RNNBase], inputs: int, units: int, layers: int,
        bidirectional: bool, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        directions = 2 if bidirectional else 1
        self.width = directions * units
        self.layers = nn.ModuleList(
            nn.ModuleList(
                kind(self.width if layer else inputs, units, batch_first=True)
                for _ in range(directions)
            )
            for layer in range(layers)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return states [B, L, width] of the last layer, given inputs [B, L, ...]."""
        for number, layer in enumerate(self.layers):
            first, *second = cast(nn.ModuleList, layer)
            x = self.dropout(x) if number else x
            states = [first(x)[0]]
            for module in second:
                states.append(reversed_within(module(reversed_within(x, valid))[0], valid))
            x = torch.cat(states, -1) if second else states[0]
        return x


class Frames(nn.Module):
    """One-channel images as sequences: [B, C, H, W] to [B, W, C · H], a step for each column."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the columns of images, as of a spectrogram [B, 1, bands, frames]."""
        return images.permute(0, 3, 1, 2).flatten(2)


def whole_heads(width: int, heads: int, network: str) -> None:
    """Refuse a width that heads cannot share, in one line."""
    if heads < 1 or width % heads:
        raise PrunebenchError(f"{network}: width {width} is no multiple of {heads} heads")


class Positions(nn.Module):
    """Adds a learned vector to each position."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(1, length, width) * INITIAL)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, L, width] with its positions; L may be shorter than they are."""
        return x + self.vectors[:, : x.shape[1]]


def table_of(vocabulary: int, width: int, deviation: float = 1.0) -> nn.Embedding:
    """Return an embedding of tokens, whose first is the padding and stays zero."""
    table = nn.Embedding(vocabulary, width, padding_idx=0)
    with torch.no_grad():
        table.weight.mul_(deviation)
    return table


def blocks_of(
    width: int, depth: int, heads: int, mlp_ratio: float, dropout: float
) -> Sequence[nn.Module]:
    """Return timm's transformer blocks."""
    from timm.models.vision_transformer import Block

    return [
        Block(width, heads, mlp_ratio, qkv_bias=True, proj_drop=dropout, attn_drop=dropout)
        for _ in range(depth)
    ]
