"""Small transformers over tokens, of timm's blocks."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from prunebench.experiment.registry import network
from prunebench.training.networks._sequences import (
    INITIAL,
    Positions,
    blocks_of,
    embedded,
    is_token,
    mean_over,
    table_of,
    whole_heads,
)


@network(inputs=("tokens",))
def text_transformer() -> Callable[..., nn.Module]:
    """A transformer that classifies sequences of tokens (Vaswani 2017)."""
    return TextTransformer


@network(inputs=("tokens",))
def causal_transformer() -> Callable[..., nn.Module]:
    """A transformer that predicts a token after each one (Radford 2019)."""
    return CausalTransformer


class TextTransformer(nn.Module):
    """An encoder that norms first: embeddings and learned positions, blocks, mean, linear layer.

    Dropout is where Vaswani 2017 has it (section 5.4): on the sums of embeddings and positions, and
    on what every layer adds. No position attends to padding, which has no part in the mean either.
    """

    def __init__(
        self, num_classes: int, vocabulary: int, length: int, width: int = 64, depth: int = 2,
        heads: int = 4, mlp_ratio: float = 2.0, dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        whole_heads(width, heads, "text-transformer")
        self.embed = table_of(vocabulary, width, INITIAL)
        self.positions, self.dropout = Positions(length, width), nn.Dropout(dropout)
        self.blocks = nn.ModuleList(blocks_of(width, depth, heads, mlp_ratio, dropout))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [B, classes] of tokens [B, L]."""
        valid = is_token(tokens)
        x = self.dropout(self.positions(embedded(self.embed, tokens, valid)))
        attended = valid[:, None, None, :]
        for block in self.blocks:
            x = block(x, attn_mask=attended)
        return self.head(mean_over(self.norm(x), valid))

    def get_classifier(self) -> nn.Module:
        return self.head


class CausalTransformer(nn.Module):
    """A decoder that norms first: a position attends to itself and to those before it.

    Padding at the end is after all tokens, so that none of them attends to it. For translation the
    source stands in the same sequence, before the target.
    """

    def __init__(
        self, num_classes: int, vocabulary: int, length: int, width: int = 64, depth: int = 2,
        heads: int = 4, mlp_ratio: float = 4.0, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        whole_heads(width, heads, "causal-transformer")
        self.embed = table_of(vocabulary, width, INITIAL)
        self.positions, self.dropout = Positions(length, width), nn.Dropout(dropout)
        self.blocks = nn.ModuleList(blocks_of(width, depth, heads, mlp_ratio, dropout))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [B, L, vocabulary] of tokens [B, L]: at each position scores of the next."""
        x = self.dropout(self.positions(self.embed(tokens)))
        for block in self.blocks:
            x = block(x, is_causal=True)
        return self.head(self.norm(x))

    def get_classifier(self) -> nn.Module:
        return self.head
