"""Multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from torch import Tensor, nn

from prunebench.experiment.registry import network
from prunebench.training.networks._images import Size, sides


@network(inputs=("features", "pixels"))
def mlp() -> Callable[..., nn.Module]:
    """Linear layers and ReLUs, over rows of features or the pixels of an image."""
    return Perceptron


class Perceptron(nn.Module):
    """``hidden`` layers of units, each with a ReLU and dropout, then one linear layer.

    Over features [B, F], or images [B, C, H, W], whose pixels are its features.
    """

    def __init__(
        self, num_classes: int, num_features: int | None = None, in_chans: int | None = None,
        image_size: Size | None = None, hidden: Sequence[int] = (128, 64), dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_features is None:
            assert in_chans is not None
            assert image_size is not None
            num_features = in_chans * prod(sides(image_size))
        layers: list[nn.Module] = [nn.Flatten()]
        for units in hidden:
            layers += [nn.Linear(num_features, units), nn.ReLU(), nn.Dropout(dropout)]
            num_features = units
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, classes] of features [B, F] or images [B, C, H, W]."""
        return self.head(self.hidden(x))

    def get_classifier(self) -> nn.Module:
        return self.head
