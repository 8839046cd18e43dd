"""Digits pasted on cluttered canvases (embedded): detection with boxes.

Grey canvases of 64×64 pixels with one to four of scikit-learn's 8×8 digits, enlarged to 12 to 24
pixels, on a shaded ground with strokes, pieces of other digits and noise. No two digits overlap by
more than a tenth of a box. Test canvases show digits that no training canvas shows. Small, and
with room to overfit: for trying and for tests, not for a paper. The same versions of numpy,
scikit-learn and Pillow give the same canvases.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.tasks.boxes import overlap
from prunebench.tasks.raw import Raw, Split

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

SIZE = 64
TRAIN, TEST = 1600, 400
MOST = 4  # digits on a canvas
SEED = 20_240_919
Pixels = NDArray[np.float64]


def check(task: Task) -> None:
    """Refuse another size: boxes are in pixels of this one."""
    if task.image_size not in (None, SIZE):
        raise PrunebenchError(
            f"task {task.name!r}: image_size: {task.image_size}; the canvases have {SIZE} pixels"
        )


def read(task: Task, folder: Path) -> Raw:
    """Return canvases for training and for testing. Read no file."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = digits.images / 16, digits.target
    border = len(images) * 2 // 3  # the digits of training, and those of testing
    return Raw(
        _canvases(images[:border], labels[:border], TRAIN, 0),
        test=_canvases(images[border:], labels[border:], TEST, 1),
        names=tuple(str(name) for name in digits.target_names),
    )


def _canvases(images: Pixels, labels: NDArray[np.int64], count: int, stream: int) -> Split:
    draws = np.random.default_rng((SEED, stream))
    canvases = np.empty((count, SIZE, SIZE, 1), np.uint8)
    boxes = np.full((count, MOST, 5), -1, np.float32)
    boxes[:, :, :4] = 0
    for index in range(count):
        canvas = _ground(images, draws)
        placed: list[Any] = []
        for _ in range(draws.integers(1, MOST + 1)):
            which, side = draws.integers(len(images)), int(draws.integers(12, 25))
            digit = _enlarged(images[which], side)
            ink = np.argwhere(digit > 0.25)
            (top, left), (bottom, right) = ink.min(0), ink.max(0) + 1
            x, y = draws.integers(0, SIZE - side + 1, 2)
            box = np.array([x + left, y + top, x + right, y + bottom], np.float32)
            if any(overlap(box, other[:4]) > 0.1 for other in placed):
                continue  # as it would be drawn over
            here = canvas[y : y + side, x : x + side]
            here[:] = np.maximum(here, digit * draws.uniform(0.7, 1))
            placed.append([*box, labels[which]])
        boxes[index, : len(placed)] = placed
        noisy = canvas + draws.normal(0, 0.06, canvas.shape)
        canvases[index, ..., 0] = np.rint(np.clip(noisy, 0, 1) * 255)
    return Split(canvases, boxes)


def _ground(images: Pixels, draws: np.random.Generator) -> Pixels:
    """Return a shaded canvas [SIZE, SIZE] with strokes and pieces of digits."""
    slope = draws.uniform(-0.15, 0.15, 2)
    along = np.linspace(-1, 1, SIZE)
    canvas = 0.2 + slope[0] * along[:, None] + slope[1] * along
    for _ in range(draws.integers(2, 6)):  # strokes
        start, turn = draws.uniform(0, SIZE, 2), draws.uniform(0, 2 * np.pi)
        steps = np.arange(draws.integers(8, 24))[:, None]
        points = start + steps * [np.sin(turn), np.cos(turn)]
        rows, columns = np.clip(np.rint(points).astype(int), 0, SIZE - 1).T
        canvas[rows, columns] = draws.uniform(0.4, 0.9)
    for _ in range(draws.integers(2, 6)):  # quarters of digits: like one, and none
        side = int(draws.integers(12, 25))
        piece = _enlarged(images[draws.integers(len(images))], side)[: side // 2, : side // 2]
        y, x = draws.integers(0, SIZE - side // 2 + 1, 2)
        here = canvas[y : y + side // 2, x : x + side // 2]
        here[:] = np.maximum(here, piece * draws.uniform(0.5, 0.9))
    return canvas


def _enlarged(digit: Pixels, side: int) -> Pixels:
    """Return a digit [8, 8] as [side, side], in 0 … 1."""
    from PIL import Image

    image = Image.fromarray(np.rint(digit * 255).astype(np.uint8))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), np.float64) / 255
