"""A small convolutional network for small images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import network
from prunebench.training.networks._images import Size, sides


@network(inputs=("pixels",))
def seed_cnn() -> Callable[..., nn.Module]:
    """Two convolutions and three linear layers."""
    return SeedCNN


class SeedCNN(nn.Module):
    """Two 3×3 convolutions of 32 and 64 filters, each pooled; then 120, 84, classes units."""

    def __init__(
        self, num_classes: int, in_chans: int, image_size: Size,
        filters: Sequence[int] = (32, 64), units: Sequence[int] = (120, 84),
    ) -> None:  # fmt: skip
        super().__init__()
        height, width = sides(image_size)
        if min(height, width) < 4:
            raise PrunebenchError(f"seed-cnn needs images of at least 4×4, not {height}×{width}")
        (one, two), (three, four) = filters, units
        self.features = nn.Sequential(
            nn.Conv2d(in_chans, one, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(one, two, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.hidden = nn.Sequential(
            nn.Linear(two * (height // 4) * (width // 4), three), nn.ReLU(),
            nn.Linear(three, four), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(four, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes] of images [B, C, H, W]."""
        return self.head(self.hidden(self.features(x).flatten(1)))

    def get_classifier(self) -> nn.Module:
        return self.head
