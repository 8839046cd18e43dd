"""Convolutions over sequences of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.experiment.registry import network
from prunebench.training.networks._sequences import embedded, is_token, table_of


@network(inputs=("tokens",))
def char_cnn() -> Callable[..., nn.Module]:
    """Convolutions of several widths over tokens, and the maximum of each (Kim 2014)."""
    return CharCNN


class CharCNN(nn.Module):
    """Embeddings, convolutions over ``kernels`` tokens, the maximum over positions, a linear layer.

    The network of Kim 2014, section 2, here meant for characters: each convolution has ``filters``
    with a ReLU. Padding has the vector zero, and no part in a maximum.
    """

    def __init__(
        self, num_classes: int, vocabulary: int, embedding: int = 32, filters: int = 64,
        kernels: Sequence[int] = (2, 3, 4, 5), dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = table_of(vocabulary, embedding)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding, filters, kernel) for kernel in kernels
        )
        self.activation, self.dropout = nn.ReLU(), nn.Dropout(dropout)
        self.head = nn.Linear(filters * len(kernels), num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [B, classes] of tokens [B, L]."""
        valid = is_token(tokens)
        x = embedded(self.embed, tokens, valid).transpose(1, 2)
        counted = valid.unsqueeze(1).to(x.dtype)  # a ReLU's output is never below zero
        found = []
        for convolution in self.convolutions:
            (more,) = convolution.kernel_size  # type: ignore[misc]
            around = functional.pad(x, ((more - 1) // 2, more // 2))  # an output for each token
            found.append((self.activation(convolution(around)) * counted).amax(2))
        return self.head(self.dropout(torch.cat(found, 1)))

    def get_classifier(self) -> nn.Module:
        return self.head
