"""Networks that rate pairs of a user and an item."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from prunebench.experiment.registry import network

_SPREAD = 0.1  # deviation of embeddings at the start


@network(inputs=("pairs",))
def matrix_factorization() -> Callable[..., nn.Module]:
    """Vectors of users and items, their products, and biases (Koren 2009)."""
    return MatrixFactorization


@network(inputs=("pairs",))
def neumf() -> Callable[..., nn.Module]:
    """A product of vectors and a perceptron, side by side (He 2017)."""
    return NeuMF


def _table(entries: int, width: int) -> nn.Embedding:
    table = nn.Embedding(entries, width)
    nn.init.normal_(table.weight, std=_SPREAD)
    return table


class MatrixFactorization(nn.Module):
    """μ + b_u + b_i + p_u·q_i (Koren 2009, equation 4), with vectors of ``factors`` numbers."""

    def __init__(self, users: int, items: int, factors: int = 16) -> None:
        super().__init__()
        self.users, self.items = _table(users, factors), _table(items, factors)
        self.mean = nn.Parameter(torch.zeros(1))
        self.user_biases = nn.Parameter(torch.zeros(users))
        self.item_biases = nn.Parameter(torch.zeros(items))

    def forward(self, pairs: Tensor) -> Tensor:
        """Return [B] of pairs [B, 2]."""
        user, item = pairs[:, 0], pairs[:, 1]
        products = (self.users(user) * self.items(item)).sum(1)
        return self.mean + self.user_biases[user] + self.item_biases[item] + products

    def get_classifier(self) -> tuple[nn.Module, ...]:
        """Return none: it ends in no layer of weights."""
        return ()


class NeuMF(nn.Module):
    """NeuMF (He 2017, section 3.4), of ``factors`` numbers and ``hidden`` layers of units.

    Users and items have a vector for the product and one, half as wide as the first hidden layer,
    for the perceptron. A linear layer joins the two parts.
    """

    def __init__(
        self, users: int, items: int, factors: int = 16, hidden: Sequence[int] = (32, 16)
    ) -> None:
        super().__init__()
        self.users, self.items = _table(users, factors), _table(items, factors)
        width = hidden[0]
        self.hidden_users, self.hidden_items = _table(users, width), _table(items, width)
        layers: list[nn.Module] = []
        inputs = 2 * width
        for units in hidden:
            layers += [nn.Linear(inputs, units), nn.ReLU()]
            inputs = units
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(factors + inputs, 1)

    def forward(self, pairs: Tensor) -> Tensor:
        """Return [B] of pairs [B, 2]."""
        user, item = pairs[:, 0], pairs[:, 1]
        products = self.users(user) * self.items(item)
        both = torch.cat([self.hidden_users(user), self.hidden_items(item)], 1)
        return self.head(torch.cat([products, self.hidden(both)], 1)).flatten()

    def get_classifier(self) -> nn.Module:
        return self.head
