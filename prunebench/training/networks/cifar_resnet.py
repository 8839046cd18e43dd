"""The residual networks of the CIFAR literature."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from prunebench.experiment.registry import network
from prunebench.training.networks._images import Size, kaiming


@network(inputs=("pixels",))
def resnet20() -> Callable[..., nn.Module]:
    """The ResNet of 20 layers for small images (He 2016)."""
    return CifarResNet


@network(inputs=("pixels",))
def resnet56() -> Callable[..., nn.Module]:
    """The ResNet of 56 layers for small images (He 2016)."""
    return partial(CifarResNet, blocks=9)


class CifarResNet(nn.Module):
    """The ResNets of the CIFAR literature (He 2016, section 4.2): stages of 16, 32, 64 channels.

    A 3×3 stem without pooling, then three stages of ``blocks``: three make ResNet-20 (0.27 M
    weights), nine ResNet-56 (0.85 M). They are built of timm's BasicBlock, since timm's ResNet
    needs four stages. Where the shape changes the shortcut is a 1×1 convolution (option B).
    """

    def __init__(
        self, num_classes: int, in_chans: int, image_size: Size, blocks: int = 3, width: int = 16
    ) -> None:
        super().__init__()
        from timm.models.resnet import BasicBlock

        del image_size  # any: the last pooling is global
        self.stem = nn.Sequential(
            nn.Conv2d(in_chans, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        stages, channels = [], width
        for stage in range(3):
            out, stride = width * 2**stage, 1 if stage == 0 else 2
            shortcut = None
            if stride != 1:
                shortcut = nn.Sequential(
                    nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                )
            row = [BasicBlock(channels, out, stride, shortcut)]
            row += [BasicBlock(out, out) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*row))
            channels = out
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, num_classes)
        kaiming(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes] of images [B, C, H, W]."""
        return self.head(self.stages(self.stem(x)).mean((2, 3)))

    def get_classifier(self) -> nn.Module:
        return self.head
