"""The VGG-16 of the CIFAR literature."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import network
from prunebench.training.networks._images import Size, kaiming, sides


@network(inputs=("pixels",))
def vgg16_cifar() -> Callable[..., nn.Module]:
    """The VGG of 13 convolutions for small images (Simonyan 2015)."""
    return VGG16


class VGG16(nn.Module):
    """The VGG-16 of the CIFAR literature: thirteen 3×3 convolutions, batch norms, one classifier.

    14.7 M weights (Li 2017, Tanaka 2020). timm's ``vgg16_bn`` keeps ImageNet's two layers of 4,096
    units: 120 M weights that no published figure on small images has. ``average_pool`` and
    ``fan_in`` make it the network of Tanaka 2020: there the last pooling averages, and all weights,
    those of the classifier too, are drawn by their fan-in.
    """

    CONVOLUTIONS = (2, 2, 3, 3, 3)  # of each stage

    def __init__(
        self, num_classes: int, in_chans: int, image_size: Size,
        widths: Sequence[int] = (64, 128, 256, 512, 512), average_pool: bool = False,
        fan_in: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(found := sides(image_size)) < 32:
            raise PrunebenchError(
                f"vgg16-cifar needs images of at least 32×32, not {found[0]}×{found[1]}"
            )
        layers: list[nn.Module] = []
        channels = in_chans
        for width, count in zip(widths, self.CONVOLUTIONS, strict=True):
            for _ in range(count):
                layers += [
                    nn.Conv2d(channels, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                ]
                channels = width
            layers.append(nn.MaxPool2d(2))
        if average_pool:
            layers.pop()  # the mean over what is left does it
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, num_classes)
        kaiming(self)
        if fan_in:
            _kaiming_by_fan_in(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes] of images [B, C, H, W]."""
        return self.head(self.features(x).mean((2, 3)))

    def get_classifier(self) -> nn.Module:
        return self.head


def _kaiming_by_fan_in(model: nn.Module) -> None:
    """Initialize every convolution and linear layer as He 2015, by its fan-in; no bias is drawn."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
