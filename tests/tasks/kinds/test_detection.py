"""Detection: positions, matches and precisions by hand and by loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from prunebench.errors import PrunebenchError
from prunebench.evaluation.generalization import quality
from prunebench.experiment.settings import Regime
from prunebench.tasks.kinds.detection import Detection, average_precisions, f1_score
from prunebench.tasks.positions import counts, squares, strides
from prunebench.tasks.predictions import Predictions
from prunebench.tasks.raw import Raw, Split
from prunebench.tasks.regimes import apply
from tests.tasks.conftest import MakeTask

FACTS = {"names": ["a", "b"], "shape": [1, 32, 32]}


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (256, 320)])
def test_positions_are_torchvisions_anchors(size: tuple[int, int]) -> None:
    apart = strides(*size)
    generator = AnchorGenerator(tuple((s,) for s in apart), ((1.0,),) * len(apart))
    images = ImageList(torch.zeros(1, 1, *size), [size])
    features = [torch.zeros(1, 1, size[0] // s, size[1] // s) for s in apart]
    (expected,) = generator(images, features)
    torch.testing.assert_close(squares(*size), expected)
    assert counts(*size) == [f.shape[2] * f.shape[3] for f in features]


def _box(x: float, y: float, side: float, score: float, label: int) -> list[float]:
    return [x, y, x + side, y + side, score, label]


def test_an_images_own_error_by_hand() -> None:
    wanted = np.array([[0, 0, 10, 10, 0], [20, 20, 30, 30, 1], [0, 0, 0, 0, -1]], float)
    sure = _box(0, 0, 10, 0.9, 0)
    assert f1_score(np.array([sure]), wanted) == pytest.approx(2 / 3)  # one of two found
    second = _box(1, 0, 10, 0.8, 0)  # a box is found once
    assert f1_score(np.array([sure, second]), wanted) == pytest.approx(2 / 4)
    other = _box(20, 20, 10, 0.8, 0)  # of another class
    assert f1_score(np.array([sure, other]), wanted) == pytest.approx(2 / 4)
    shy = _box(20, 20, 10, 0.1, 1)
    assert f1_score(np.array([sure, shy]), wanted) == pytest.approx(2 / 3)
    # 10 × 5 of 15 × 10 in common: a third
    aside = _box(20, 25, 10, 0.8, 1)
    assert f1_score(np.array([sure, aside]), wanted) == pytest.approx(2 / 4)
    assert f1_score(np.zeros((0, 6)), wanted) == 0
    assert f1_score(np.zeros((0, 6)), wanted[2:]) == 1  # nothing there, nothing found


def test_errors_of_single_images_test_no_average_precision() -> None:
    """The mean over images of one minus F1 is another quantity than one minus AP50."""
    kind = Detection(FACTS)
    wanted = np.array([[[0, 0, 10, 10, 0]], [[5, 5, 9, 9, 1]], [[0, 0, 8, 8, 1]]], float)
    boxes = [_box(0, 0, 10, 0.9, 0), _box(20, 20, 4, 0.8, 1), _box(0, 0, 8, 0.4, 1)]
    found = np.array(boxes)[:, None]
    assert kind.errors(found, wanted).mean() == pytest.approx(1 / 3)
    assert kind.error(found, wanted) == pytest.approx(1 - (1 + 0.5 * 51 / 101) / 2)
    assert kind.tested_errors(found, wanted) is None


def test_average_precision_by_hand() -> None:
    """Two things, found at ranks 1 and 3: precisions 1 and 2/3 at recalls of a half and 1."""
    targets = np.array([[[0, 0, 10, 10, 0], [20, 20, 30, 30, 0]]], np.float32)
    found = np.array(
        [[_box(0, 0, 10, 0.9, 0), _box(5, 20, 10, 0.8, 0), _box(20, 20, 10, 0.7, 0)]], float
    )
    # COCO: 101 recalls; up to ½ (51 of them) the precision is 1, then 2/3
    by_hand = (51 * 1 + 50 * 2 / 3) / 101
    assert average_precisions(found, targets)["map_50"] == pytest.approx(by_hand, abs=1e-4)
    kind = Detection(FACTS)
    assert kind.error(found, targets) == pytest.approx(1 - by_hand, abs=1e-4)
    splits = dict.fromkeys(("train", "val", "test"), found)
    same = dict.fromkeys(splits, targets)
    measured = quality(Predictions(kind, splits, same, targets, found))
    assert measured["test_error"] == pytest.approx(1 - by_hand, abs=1e-4)
    assert measured["test_map"] == pytest.approx(by_hand, abs=1e-4)  # the two are exact
    assert measured["test_ece"] is None


def _by_coco(found: np.ndarray, targets: np.ndarray) -> list[float]:
    """COCO's own twelve numbers, by pycocotools."""
    wanted, said = [], []
    for image, (boxes, things) in enumerate(zip(found, targets, strict=True)):
        for x1, y1, x2, y2, label in things[things[:, 4] >= 0].tolist():
            box = [x1, y1, x2 - x1, y2 - y1]
            wanted.append(
                {"id": len(wanted) + 1, "image_id": image, "category_id": int(label), "bbox": box,
                 "area": box[2] * box[3], "iscrowd": 0}
            )  # fmt: skip
        for x1, y1, x2, y2, score, label in boxes[boxes[:, 4] >= 0].tolist():
            said.append(
                {"image_id": image, "category_id": int(label), "score": score,
                 "bbox": [x1, y1, x2 - x1, y2 - y1]}
            )  # fmt: skip
    truth = COCO()
    truth.dataset = {
        "images": [{"id": image} for image in range(len(found))], "annotations": wanted,
        "categories": [{"id": label} for label in range(2)],
    }  # fmt: skip
    truth.createIndex()
    judge = COCOeval(truth, truth.loadRes(said), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return judge.stats.tolist()


def test_precisions_by_size_are_cocos_own() -> None:
    draw = np.random.default_rng(0)
    targets = np.zeros((12, 3, 5), np.float32)
    found = np.zeros((12, 20, 6))
    found[..., 4] = -1
    for image in range(12):
        for place, side in enumerate((20, 50, 120)):
            x, y = draw.integers(0, 60, 2) + 130 * place
            targets[image, place] = [x, y, x + side, y + side, draw.integers(2)]
            moved = draw.normal(0, side / 12, 4)
            label = draw.integers(2) if draw.random() < 0.2 else targets[image, place, 4]
            corners = np.array([x, y, x + side, y + side]) + moved
            found[image, place] = [*corners.astype(np.float32), draw.random(), label]
    kind, splits = Detection(FACTS), dict.fromkeys(("train", "val", "test"), found)
    predictions = Predictions(kind, splits, dict.fromkeys(splits, targets), targets, found)
    whole, half, _, *sizes = _by_coco(found, targets)[:6]
    measured = quality(predictions)
    assert 0.1 < min(sizes) < max(sizes) < 0.9
    names = ["test_map_small", "test_map_medium", "test_map_large"]
    assert [measured[name] for name in ("test_map", *names)] == pytest.approx([whole, *sizes])
    assert measured["test_error"] == pytest.approx(1 - half)
    # a size of which there is nothing is not found badly
    targets[:, 2, 4] = -1
    assert quality(replace(predictions))["test_map_large"] is None


def test_what_is_said_is_what_is_stored() -> None:
    """A position that is sure of a box of 12 pixels around it gives that box."""
    kind = Detection(FACTS)
    outputs = torch.full((1, 84, 7), -9.0)
    outputs[..., 2:6] = 0.0
    place = 8 * 3 + 4  # of the first level: row 3, column 4, so x = 16 and y = 12
    outputs[0, place] = torch.tensor([9.0, -9, 1.5, 1.5, 1.5, 1.5, 9])  # in strides of 4 pixels
    kept = kind.keep(outputs, torch.zeros(1, 1, 5))
    assert kept.shape == (1, 20, 6)
    assert kept[0, 0, :4].tolist() == pytest.approx([10, 6, 22, 18])
    assert kept[0, 0, 4].item() == pytest.approx(1, abs=1e-3)
    assert kept[0, 0, 5] == 0
    assert (kept[0, 1:, 4] == -1).all()


def test_other_outputs_and_boxes_are_refused(make_task: MakeTask) -> None:
    kind = Detection(FACTS)
    with pytest.raises(PrunebenchError, match=r"must give \[B, 84, 7\] on images of 32×32"):
        kind.loss(torch.zeros(1, 80, 7), torch.zeros(1, 1, 5))
    images, task = np.zeros((2, 32, 32, 1), np.uint8), make_task(kind="detection")
    boxes = np.array([[[0, 0, 5, 5, 2]], [[0, 0, 5, 5, 0]]], np.float32)
    with pytest.raises(PrunebenchError, match="of none of the 2 classes"):
        Detection.check(Raw(Split(images, boxes), names=("a", "b")), task)
    boxes[..., 4] = -1
    with pytest.raises(PrunebenchError, match="no image has a box"):
        Detection.check(Raw(Split(images, boxes), names=("a", "b")), task)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 33, 9, 0), r"val: image 1: box 1 \(0, 0, 33, 9\) reaches out .* 32x24"),
        ((0, 0, 9, 25, 0), "reaches out"), ((-1, 0, 9, 9, 0), "reaches out"),
        ((9, 0, 2, 9, 0), "is empty"), ((float("nan"), 0, 9, 9, 0), "is empty"),
        ((0, 0, 9, 9, 0.5), "a box is of none of the 2 classes"),
        ((0, 0, 9, 9, float("nan")), "a box is of none of the 2 classes"),
    ],
)  # fmt: skip
def test_boxes_of_any_source_lie_in_their_images(
    make_task: MakeTask, box: tuple[float, ...], message: str
) -> None:
    task = make_task(kind="detection", image_size=32)
    images = np.zeros((2, 24, 32, 1), np.uint8)
    boxes = np.tile(np.array([0, 0, 32, 24, 1], np.float32), (2, 1, 1))
    Detection.check(Raw(Split(images, boxes), names=("a", "b")), task)
    wrong = boxes.copy()
    wrong[1, 0] = box
    raw = Raw(Split(images, boxes), val=Split(images, wrong), names=("a", "b"))
    with pytest.raises(PrunebenchError, match=message):
        Detection.check(raw, task)


@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_shifted_boxes_are_elsewhere_and_as_large(seed: int, share: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 12, (20, 3, 2), generator=draw)
    side = torch.randint(4, 17, (20, 3, 2), generator=draw)  # at most 28: there is room
    boxes = torch.cat([corner, corner + side, torch.ones(20, 3, 1)], -1).float()
    boxes[::2, 2] = torch.tensor([0.0, 0, 0, 0, -1])
    before = boxes.clone()
    regime = Regime(name="r", noise="shifted", label_noise=min(share, 0.99))
    applied = apply(regime, boxes, boxes[:1], Detection(FACTS), torch.Generator().manual_seed(seed))
    assert torch.equal(boxes, before)
    wrong = (applied.given != boxes).flatten(1).any(1)
    assert int(wrong.sum()) == round(min(share, 0.99) * 20)
    for given_boxes, clean in zip(applied.given[wrong], boxes[wrong], strict=True):
        there = clean[:, 4] >= 0
        assert torch.equal(given_boxes[:, 4], clean[:, 4])
        assert torch.equal(given_boxes[~there], clean[~there])
        moved, own = given_boxes[there, :4], clean[there, :4]
        assert float(box_iou(moved, own).diag().max()) < 0.5
        torch.testing.assert_close(moved[:, 2:] - moved[:, :2], own[:, 2:] - own[:, :2])
        assert 0 <= float(moved.min()) <= float(moved.max()) <= 32


def test_boxes_without_room_stay() -> None:
    whole = [0, 0, 32, 32, 0]
    boxes = torch.tensor([[whole, [2, 2, 9, 9, 1]], [[2, 2, 9, 9, 1], [5, 6, 9, 30, 0]]]).float()
    regime = Regime(name="r", noise="shifted", label_noise=0.5)
    applied = apply(regime, boxes, boxes[:1], Detection(FACTS), torch.Generator().manual_seed(0))
    assert torch.equal(applied.given[0], boxes[0])
    assert not torch.equal(applied.given[1], boxes[1])
    more = regime.model_copy(update={"label_noise": 0.9})
    with pytest.raises(PrunebenchError, match=r"noise: shifted can change 1 of them: .* is 0\.5$"):
        apply(more, boxes, boxes[:1], Detection(FACTS), torch.Generator().manual_seed(0))
