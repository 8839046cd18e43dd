"""Pictures of every format, in a folder of classes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import damaged_bytes


def images(folder: Path) -> Reader:
    """Pictures of every format, in a folder of classes."""
    from prunebench.experiment.settings import Task
    from prunebench.tasks.sources.folder import read as read_folder

    draw, seeds = np.random.default_rng(0), []
    pixels = draw.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"):
        for mode in ("RGB", "L", "P"):
            buffer = io.BytesIO()
            if (kind, mode) not in {("JPEG", "P"), ("PPM", "P"), ("WEBP", "P")}:
                Image.fromarray(pixels).convert(mode).save(buffer, kind)
                seeds.append(buffer.getvalue())
    buffer = io.BytesIO()
    with_exif = Image.Exif()
    with_exif[0x0112] = 6
    Image.fromarray(pixels).save(buffer, "JPEG", exif=with_exif)
    seeds.append(buffer.getvalue())
    place = folder / "set" / "a"
    place.mkdir(parents=True)
    for name in ("0", "1"):
        (place / f"{name}.png").write_bytes(seeds[0])
    task = Task(name="mine", source="folder", path=str(folder / "set"))
    tasks = [task, task.model_copy(update={"image_size": 8, "mode": "rgb"})]

    def read(given: tuple[bytes, int]) -> None:
        (place / "0.png").write_bytes(given[0])
        read_folder(tasks[given[1]], folder)

    return st.tuples(damaged_bytes(seeds), st.integers(0, 1)), read
