"""A detector without anchors, on a backbone of timm's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import network
from prunebench.tasks.positions import strides
from prunebench.training.networks._images import Size, sides


@network(inputs=("pixels",))
def fcos() -> Callable[..., nn.Module]:
    """A detector without anchors: a backbone of timm's, a feature pyramid, shared heads."""
    return FCOS


class FCOS(nn.Module):
    """Fully convolutional one-stage detection (Tian 2019) of torchvision's pyramid and heads.

    Levels and their strides are those of ``tasks/positions``. ``get_classifier`` gives the last
    layers of the heads, which are not pruned by default; neither can their channels go.
    """

    def __init__(
        self, num_classes: int, in_chans: int, image_size: Size, backbone: str = "test_resnet",
        channels: int = 64, convolutions: int = 1, pretrained: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        import timm
        from torchvision.models.detection.fcos import FCOSClassificationHead, FCOSRegressionHead
        from torchvision.ops import FeaturePyramidNetwork

        if channels % 32:
            raise PrunebenchError(f"fcos: channels must be a multiple of 32, found {channels}")
        levels = strides(*sides(image_size))
        given: dict[str, Any] = {"in_chans": in_chans, "pretrained": pretrained}
        whole: Any = timm.create_model(backbone, features_only=True, **given)
        every = whole.feature_info.reduction()
        missing = [stride for stride in levels if stride not in every]
        if missing:
            raise PrunebenchError(
                f"fcos: backbone {backbone!r} has no features at a stride of {missing[0]}"
            )
        places = [every.index(stride) for stride in levels]
        found: Any = timm.create_model(backbone, features_only=True, out_indices=places, **given)
        self.backbone = found
        self.pyramid = FeaturePyramidNetwork(found.feature_info.channels(), channels)
        self.classes = FCOSClassificationHead(channels, 1, num_classes, convolutions)
        self.boxes = FCOSRegressionHead(channels, 1, convolutions)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, positions, classes + 5] of images [B, C, H, W]."""
        features = {str(i): f for i, f in enumerate(self.backbone(x))}
        return torch.cat([self._level(f) for f in self.pyramid(features).values()], 1)

    def _level(self, features: Tensor) -> Tensor:
        # what the forward passes of torchvision's heads do, without their reshaping to anchors,
        # which hides which channels are coupled
        seen, around = self.classes.conv(features), self.boxes.conv(features)
        distances = self.boxes.bbox_reg(around).relu()
        found = [self.classes.cls_logits(seen), distances, self.boxes.bbox_ctrness(around)]
        return torch.cat(found, 1).flatten(2).transpose(1, 2)

    def get_classifier(self) -> list[nn.Module]:
        return [self.classes.cls_logits, self.boxes.bbox_reg, self.boxes.bbox_ctrness]
