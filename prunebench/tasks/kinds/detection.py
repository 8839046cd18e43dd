"""Detection: boxes around things in images, and their classes."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import task_kind
from prunebench.tasks.boxes import check_boxes
from prunebench.tasks.positions import counts, squares
from prunebench.tasks.predictions import Floats, MeasureTable, Predictions
from prunebench.tasks.raw import Array, Raw
from prunebench.tasks.task_kind import KnownFacts, TaskKind, at_least_single, near

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prunebench.experiment.settings import Regime, Task

TABLE = MeasureTable("detection")
MOST = 20  # boxes of an image that are stored
SURE = 0.3  # score from which on a box counts in an image's own error
SIZES = ("small", "medium", "large")  # of boxes, as COCO has them
HALF = 0.5  # intersection over union of a box that is found
# torchvision's own, but for the score: small networks are less sure of themselves
_RULES = {"score_thresh": 0.05, "nms_thresh": 0.6, "topk_candidates": 100,
          "detections_per_img": MOST, "center_sampling_radius": 1.5}  # fmt: skip


@task_kind(
    inputs=("pixels",), targets="boxes", error="detection error",
    formula="1 − AP50: mean over classes of the average precision at an overlap of 0.5",
    unit="share of average precision", noises=("symmetric", "shifted"), memorizes=False,
    augments=False,
)  # fmt: skip
def detection() -> type[TaskKind]:
    """Boxes and their classes; the loss of FCOS; one minus the average precision at 0.5."""
    return Detection


class ImageFacts(KnownFacts):
    """What boxes are told by: classes, and the size of images."""

    shape: Annotated[list[int] | tuple[int, ...], Field(min_length=3, max_length=3)]


class Detection(TaskKind):
    """Targets float32 [N, M, 5]: x1, y1, x2, y2 in pixels and the class; class -1 pads.

    A network gives [B, A, classes + 5]: at each position logits of the classes, four distances to
    the sides of a box in units of the position's stride, and how central the position is
    (Tian 2019). Stored are the boxes after non-maximum suppression, [N, 20, 6]: x1, y1, x2, y2, the
    score and the class, the surest first; score -1 pads.
    """

    name, measures, known = "detection", TABLE, ImageFacts

    @classmethod
    def check(cls, raw: Raw, task: Task) -> dict[str, Any]:
        names = list(raw.names or ())
        if not names:
            raise PrunebenchError(
                f"task {task.name!r}: source {task.source!r} does not name the classes of its boxes"
            )
        for name, part in raw.splits().items():
            where = f"task {task.name!r}: {name}"
            if part.targets.dtype != np.float32 or part.targets.ndim != 3:
                raise PrunebenchError(
                    f"{where}: targets must be boxes float32 [N, M, 5], got {part.targets.dtype} of"
                    f" shape {list(part.targets.shape)}"
                )
            classes = part.targets[..., 4]
            known = (classes >= -1) & (classes < len(names)) & (classes == np.rint(classes))
            if not known.all():
                raise PrunebenchError(f"{where}: a box is of none of the {len(names)} classes")
            if not (classes >= 0).any():
                raise PrunebenchError(f"{where}: no image has a box")
            height, width = part.inputs.shape[1:3]
            for image, boxes in enumerate(part.targets):
                check_boxes(boxes[boxes[:, 4] >= 0], width, height, f"{where}: image {image}")
        return {"names": names}

    @property
    def outputs(self) -> int:
        return len(self.facts["names"])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        _, height, width = self.facts["shape"]
        return height, width

    def _split(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the outputs under the names that torchvision gives them."""
        wanted = sum(counts(*self.size))
        if outputs.ndim != 3 or outputs.shape[1:] != (wanted, self.outputs + 5):
            raise PrunebenchError(
                f"a detector must give [B, {wanted}, {self.outputs + 5}] on images of"
                f" {'×'.join(map(str, self.size))}, found {list(outputs.shape)}"
            )
        logits, distances, central = at_least_single(outputs).split([self.outputs, 4, 1], -1)
        return {"cls_logits": logits, "bbox_regression": distances, "bbox_ctrness": central}

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return torchvision's: focal loss, generalized overlap, and the centre's cross-entropy."""
        from torchvision.models.detection.fcos import FCOS

        given = self._split(outputs)
        around = squares(*self.size).to(given["cls_logits"])
        wanted = [
            {"boxes": boxes[boxes[:, 4] >= 0, :4], "labels": boxes[boxes[:, 4] >= 0, 4].long()}
            for boxes in targets.to(around)
        ]
        parts = FCOS.compute_loss(
            _rules(), wanted, given, [around] * len(targets), counts(*self.size)
        )
        total: Tensor = sum(parts.values())
        return total

    def keep(self, answers: Tensor, targets: Tensor) -> Tensor:
        import torch
        from torchvision.models.detection.fcos import FCOS

        levels, around = counts(*self.size), squares(*self.size).to(answers.device)
        named = {key: list(value.split(levels, 1)) for key, value in self._split(answers).items()}
        found = FCOS.postprocess_detections(
            _rules(),
            named,
            [list(around.split(levels))] * len(answers),
            [self.size] * len(answers),
        )
        kept = answers.new_zeros(len(answers), MOST, 6, dtype=torch.float32)
        kept[..., 4:] = -1
        for row, each in zip(kept, found, strict=True):
            columns = [each["boxes"], each["scores"][:, None], each["labels"][:, None].float()]
            row[: len(each["scores"])] = torch.cat(columns, 1)
        return kept

    def places(self, targets: Tensor) -> Tensor:
        """Return which images have boxes: noise is a share of these."""
        return (targets[..., 4] >= 0).any(1)

    def noise(
        self, clean: Tensor, regime: Regime, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Give all boxes of images in a random order another class each, or another place."""
        return NOISES[regime.noise](self, clean, generator)

    def agrees(self, stored: Floats, found: Floats, tolerance: float) -> Array:
        """Return where the same classes stand in the same boxes, with scores as sure."""
        same = (stored[..., 5] == found[..., 5]).all(1)
        boxes, scores = slice(0, 4), slice(4, 5)
        for part in (boxes, scores):
            same &= near(stored[..., part], found[..., part], tolerance)
        return np.asarray(same)

    def errors(self, found: Floats, targets: Array) -> Floats:
        """Return one minus the F1 score of each image, of boxes with a score of 0.3 and more."""
        return np.array([1 - f1_score(*pair) for pair in zip(found, targets, strict=True)])

    def error(self, found: Floats, targets: Array) -> float:
        return 1 - (average_precisions(found, targets, [HALF])["map_50"] or 0.0)

    def constant_error(self, targets: Array) -> float:
        """Return the error of finding nothing: 1; no constant boxes are hardly better."""
        return 1.0

    def constant_spread(self, targets: Array) -> float:
        return 0.005  # an average precision of 1 % is more than constant boxes have


def _other_classes(
    kind: Detection, clean: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Any image; each of its boxes gets any other class, uniform."""
    import torch

    if kind.outputs < 2:
        raise PrunebenchError("one class only: there is no wrong one to give a box")
    order = torch.randperm(len(clean), generator=generator)
    wrong = clean[order].clone()
    shifts = torch.randint(1, kind.outputs, wrong.shape[:2], generator=generator)
    classes = wrong[..., 4]
    wrong[..., 4] = torch.where(classes >= 0, (classes + shifts) % kind.outputs, classes)
    return order, wrong


def _other_places(
    kind: Detection, clean: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Any image whose boxes have room; each moves by a quarter to half of its sides.

    Where that would leave the image, it moves the other way, or as far as it can. It then overlaps
    by less than a half with where it was, so that it is wrong; images with a box that has too
    little room are left alone. Liu 2022 moves boxes by shares of their sides, too.
    """
    import torch

    order = torch.randperm(len(clean), generator=generator)
    wrong = clean[order].clone()
    limit = wrong.new_tensor(kind.size[::-1])
    low, high = wrong[..., :2], wrong[..., 2:4]
    sides, below, above = high - low, low.clone(), limit - high
    far = sides * (1 + torch.rand(sides.shape, generator=generator)) / 4
    down = torch.rand(sides.shape, generator=generator) < 0.5
    room, other = torch.where(down, below, above), torch.where(down, above, below)
    down ^= (room < far) & (other > room)
    moved = torch.where(down, -torch.minimum(far, below), torch.minimum(far, above))
    there = wrong[..., 4] >= 0
    moved[~there] = 0
    wrong[..., :4] += moved.repeat(1, 1, 2)
    shared, area = (sides - moved.abs()).prod(-1), sides.prod(-1)
    enough = ((shared < HALF * (2 * area - shared)) | ~there).all(1)
    return order[enough], wrong[enough]


# name -> images in the order in which they are changed, and their wrong boxes
NOISES = {"symmetric": _other_classes, "shifted": _other_places}


def _rules() -> SimpleNamespace:
    """Return what torchvision's functions read of a network: rules and the coder of distances."""
    from torchvision.models.detection import _utils
    from torchvision.models.detection.fcos import FCOSHead

    coder = _utils.BoxLinearCoder(normalize_by_size=True)
    head = SimpleNamespace(box_coder=coder)
    head.compute_loss = lambda *given: FCOSHead.compute_loss(head, *given)
    return SimpleNamespace(head=head, box_coder=coder, **_RULES)


def f1_score(found: Floats, targets: Array) -> float:
    """Return the F1 score of one image: found boxes are matched by score, each target once.

    Args:
        found: [K, 6], as they are stored.
        targets: [M, 5].
    """
    wanted = targets[targets[:, 4] >= 0]
    sure = found[found[:, 4] >= SURE]
    free = np.ones(len(wanted), bool)
    right = 0
    for box in sure[np.argsort(-sure[:, 4], kind="stable")]:
        overlaps = np.where(free & (wanted[:, 4] == box[5]), _overlaps(box, wanted), 0.0)
        if len(overlaps) and overlaps.max() >= HALF:
            free[overlaps.argmax()] = False
            right += 1
    return 2 * right / (len(sure) + len(wanted)) if len(sure) + len(wanted) else 1.0


def _overlaps(box: Floats, others: Array) -> Floats:
    """Return the intersection over union of a box with each of others [M, 5]."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:4], others[:, 2:4])
    shared = np.clip(high - low, 0, None).prod(1)
    own = float((box[2:4] - box[:2]).prod())
    theirs = (others[:, 2:4] - others[:, :2]).prod(1)
    shares: Floats = shared / (own + theirs - shared)
    return shares


def average_precisions(
    found: Floats, targets: Array, overlaps: list[float] | None = None
) -> Mapping[str, float | None]:
    """Return COCO's average precisions, by torchmetrics; None where there is nothing to find.

    ``map`` over overlaps of 0.5 to 0.95, ``map_50`` and ``map_75`` at these alone; ``map_small``,
    ``map_medium`` and ``map_large`` as ``map``, of boxes with an area of up to 32² pixels, of up to
    96², and above.

    Args:
        found: [N, K, 6], as they are stored.
        targets: [N, M, 5].
        overlaps: the only ones that are looked at, which takes less time; None: all ten.
    """
    import torch
    from torchmetrics.detection import MeanAveragePrecision

    metric = MeanAveragePrecision(box_format="xyxy", iou_type="bbox", iou_thresholds=overlaps)
    metric.warn_on_many_detections = False
    predicted = [
        {
            "boxes": torch.from_numpy(boxes[boxes[:, 4] >= 0, :4]).float(),
            "scores": torch.from_numpy(boxes[boxes[:, 4] >= 0, 4]).float(),
            "labels": torch.from_numpy(boxes[boxes[:, 4] >= 0, 5]).long(),
        }
        for boxes in found
    ]
    wanted = [
        {
            "boxes": torch.from_numpy(boxes[boxes[:, 4] >= 0, :4]).float(),
            "labels": torch.from_numpy(boxes[boxes[:, 4] >= 0, 4]).long(),
        }
        for boxes in targets
    ]
    metric.update(predicted, wanted)
    values = metric.compute()
    names = ("map", "map_50", "map_75", *(f"map_{size}" for size in SIZES))
    return {name: value if (value := float(values[name])) >= 0 else None for name in names}


def _on_test(p: Predictions) -> Mapping[str, float | None]:
    """Return the average precisions on the test split, computed once for all measures."""
    if "average_precisions" not in p.memory:
        p.memory["average_precisions"] = average_precisions(p.outputs["test"], p.targets["test"])
    found: Mapping[str, float | None] = p.memory["average_precisions"]
    return found


@TABLE.measure(
    better="higher", unit="share", formula="mean of AP over overlaps of 0.5 to 0.95",
    source="Lin 2014",
)  # fmt: skip
def test_map(p: Predictions) -> float:
    """Mean average precision on the test split, as COCO defines it."""
    return _on_test(p)["map"] or 0.0


@TABLE.measure(
    better="higher", unit="share", formula="test_map of boxes of up to 32² pixels",
    source="Lin 2014",
)  # fmt: skip
def test_map_small(p: Predictions) -> float | None:
    """Mean average precision of small things on the test split; empty where there are none."""
    return _on_test(p)["map_small"]


@TABLE.measure(
    better="higher", unit="share", formula="test_map of boxes of 32² to 96² pixels",
    source="Lin 2014",
)  # fmt: skip
def test_map_medium(p: Predictions) -> float | None:
    """Mean average precision of medium things on the test split; empty where there are none."""
    return _on_test(p)["map_medium"]


@TABLE.measure(
    better="higher", unit="share", formula="test_map of boxes above 96² pixels",
    source="Lin 2014",
)  # fmt: skip
def test_map_large(p: Predictions) -> float | None:
    """Mean average precision of large things on the test split; empty where there are none."""
    return _on_test(p)["map_large"]
