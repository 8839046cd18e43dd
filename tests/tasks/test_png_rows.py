"""A PNG that declares more rows than it holds is refused; Pillow would fill them with 0."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from prunebench.tasks.png_rows import passes, refuse_missing

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def saved(mode: str, width: int = 9, height: int = 7, **options: object) -> bytes:
    draw = np.random.default_rng(0).integers(0, 256, (height, width, 4), np.uint8)
    image = Image.fromarray(draw)
    if mode == "I;16":
        image = Image.fromarray(draw[..., 0].astype(np.uint16) * 257)
    file = io.BytesIO()
    (image if image.mode == mode else image.convert(mode)).save(file, "PNG", **options)
    return file.getvalue()


def declaring(content: bytes, width: int, height: int, interlaced: int = 0) -> bytes:
    head = b"IHDR" + struct.pack(">II", width, height) + content[24:28] + bytes([interlaced])
    return content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", [1, 8, 9])
def test_what_pillow_writes_is_whole_and_one_row_more_is_not(mode: str, width: int) -> None:
    content = saved(mode, width)
    file = io.BytesIO(content)
    file.seek(50)
    refuse_missing(file)
    assert file.tell() == 50
    refuse_missing(io.BytesIO(declaring(content, width, 6)))  # more is there than is shown
    for height in (8, 80, 2**31 - 1):
        with pytest.raises(ValueError, match=f"declares {height:,} rows, and fewer are"):
            refuse_missing(io.BytesIO(declaring(content, width, height)))
        if height == 80:  # which Pillow does not say
            Image.open(io.BytesIO(declaring(content, width, height))).load()


@given(width=st.integers(1, 40), height=st.integers(1, 40))
def test_each_pixel_is_in_one_pass(width: int, height: int) -> None:
    places = [
        (x, y)
        for left, top, across, down in (
            (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
            (0, 1, 1, 2),
        )
        for y in range(top, height, down) for x in range(left, width, across)
    ]  # fmt: skip
    assert len(set(places)) == len(places) == width * height
    assert sum(columns * rows for columns, rows in passes(width, height)) == width * height


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (9, 7), (16, 16)])
def test_of_interlaced_images_every_pass_is_counted(width: int, height: int) -> None:
    rows = b"".join(
        b"\0" + bytes(columns) for columns, rows in passes(width, height) if columns
        for _ in range(rows)
    )  # fmt: skip
    base = saved("L", width, height)

    def with_pixels(pixels: bytes) -> bytes:
        data = b"IDAT" + zlib.compress(pixels)
        chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
        return declaring(base, width, height, interlaced=1)[:33] + chunk + base[-12:]

    Image.open(io.BytesIO(with_pixels(rows))).load()
    refuse_missing(io.BytesIO(with_pixels(rows)))
    with pytest.raises(ValueError, match="fewer are there"):
        refuse_missing(io.BytesIO(with_pixels(rows[:-1])))
