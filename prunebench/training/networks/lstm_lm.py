"""A recurrent language model."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from prunebench.experiment.registry import network
from prunebench.training.networks._sequences import RecurrentLayers, is_token, table_of


@network(inputs=("tokens",))
def lstm_lm() -> Callable[..., nn.Module]:
    """An LSTM that predicts a token after each one (Zaremba 2014)."""
    return LanguageLSTM


class LanguageLSTM(nn.Module):
    """Embeddings, LSTM layers with dropout between them, and a linear layer at each position."""

    def __init__(
        self, num_classes: int, vocabulary: int, embedding: int = 64, units: int = 128,
        layers: int = 1, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = table_of(vocabulary, embedding)
        self.layers = RecurrentLayers(nn.LSTM, embedding, units, layers, False, dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(units, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [B, L, vocabulary] of tokens [B, L]: at each position scores of the next."""
        x = self.dropout(self.embed(tokens))
        return self.head(self.dropout(self.layers(x, is_token(tokens))))

    def get_classifier(self) -> nn.Module:
        return self.head
