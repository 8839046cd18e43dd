"""What the tests of tasks share: a task to refine, images to write, the copies of real data."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from prunebench.experiment.settings import Task

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"  # beside the checkout

MakeTask = Callable[..., Task]
Encode = Callable[..., bytes]


@pytest.fixture
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the copies of real data are not there")
    return SHARED


@pytest.fixture(scope="session")
def make_task() -> MakeTask:
    def make(**settings: Any) -> Task:
        return Task(**{"name": "mine", "source": "digits", **settings})

    return make


@pytest.fixture(scope="session")
def encode() -> Encode:
    """An image of [H, W] or [H, W, 3] as the bytes of a file."""

    def to_bytes(pixels: NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        return buffer.getvalue()

    return to_bytes


@pytest.fixture(scope="session")
def pictures() -> Callable[..., NDArray[np.uint8]]:
    """Random images [N, H, W] or [N, H, W, C]."""

    def make(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

    return make
