"""Decoding, against Pillow used plainly, and every kind of image that must be refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Task
from prunebench.tasks.images import decode, fit
from prunebench.tasks.raw import Split
from tests.messages import unsaid

from .conftest import Encode, MakeTask

Pictures = Callable[..., NDArray[np.uint8]]


def _decoded(task: Any, *contents: bytes) -> Split:
    items = ((io.BytesIO(data), index, f"row {index}") for index, data in enumerate(contents))
    return decode(items, len(contents), task)


def _refusal(task: Any, *contents: bytes) -> str:
    with pytest.raises(PrunebenchError) as caught:
        _decoded(task, *contents)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 5, 7, 3)])
def test_lossless_formats_come_back_as_they_were(
    make_task: MakeTask, encode: Encode, pictures: Pictures, kind: str, shape: tuple[int, ...]
) -> None:
    images = pictures(*shape)
    split = _decoded(make_task(), *(encode(image, kind) for image in images))
    assert split.inputs.dtype == np.uint8
    assert np.array_equal(split.inputs.reshape(shape), images)
    assert split.targets.tolist() == [0, 1]


@pytest.mark.parametrize(("mode", "pillow"), [("grey", "L"), ("rgb", "RGB")])
@pytest.mark.parametrize("shape", [(3, 9, 6), (3, 9, 6, 3)])
def test_channels_and_size_are_pillows_whether_encoded_or_not(
    make_task: MakeTask,
    encode: Encode,
    pictures: Pictures,
    mode: str,
    pillow: str,
    shape: tuple[int, ...],
) -> None:
    images = pictures(*shape)
    task = make_task(mode=mode, image_size=8)
    expected = np.stack(
        [
            np.asarray(
                Image.fromarray(image).convert(pillow).resize((8, 8), Image.Resampling.BILINEAR)
            )
            for image in images
        ]
    ).reshape(3, 8, 8, -1)
    assert np.array_equal(_decoded(task, *map(encode, images)).inputs, expected)
    assert np.array_equal(fit(images.reshape(3, 9, 6, -1), task), expected)


def test_fit_copies_nothing_where_nothing_changes(make_task: MakeTask, pictures: Pictures) -> None:
    images = pictures(2, 8, 8, 3)
    assert fit(images, make_task()) is images
    assert fit(images, make_task(image_size=8, mode="rgb")) is images


def test_transparent_palettes_decode_without_a_warning(make_task: MakeTask) -> None:
    image = Image.new("P", (6, 6))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putpixel((0, 1), 1)
    image.putpixel((0, 2), 2)
    split = _decoded(make_task(), _saved(image, "PNG", transparency=b"\x00\x80"))
    assert split.inputs.shape == (1, 6, 6, 3)
    # nothing of the red, half of the green, all of the blue, over white
    assert split.inputs[0, :3, 0].tolist() == [[255, 255, 255], [127, 255, 127], [0, 0, 255]]


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@given(st.integers(0, 255), st.integers(0, 255))
def test_transparent_pixels_lie_over_white(value: int, alpha: int) -> None:
    over = (value * alpha + 255 * (255 - alpha)) / 255
    task = Task(name="mine", source="digits")
    grey = _decoded(task, _saved(Image.new("LA", (4, 4), (value, alpha)), "PNG")).inputs
    assert grey.shape == (1, 4, 4, 1)
    assert abs(grey.astype(float) - over).max() <= 1
    colour = Image.new("RGBA", (4, 4), (value, 0, 255, alpha))
    found = _decoded(task, _saved(colour, "PNG")).inputs[0, 0, 0].astype(float)
    assert abs(found - [over, 255 - alpha, 255]).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_their_exif_says(
    make_task: MakeTask, kind: str, orientation: int
) -> None:
    """The quarters of the upright image are black, dark, light and white, row by row."""
    quarters = np.array([[0, 80], [170, 255]], np.uint8)
    upright = np.kron(quarters, np.ones((16, 8), np.uint8))
    # what a camera stores, by the definition of the tag: where row 0 and column 0 are shown
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    data = _saved(image, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))
    found = _decoded(make_task(mode="grey"), data).inputs[0, :, :, 0]
    assert found.shape == (32, 16)
    assert abs(found[8::16, 4::8].astype(int) - quarters).max() < 12


def test_colours_of_other_spaces_and_depths_are_those_of_pillow(make_task: MakeTask) -> None:
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # magenta and yellow make red
    found = _decoded(make_task(), _saved(ink, "JPEG", quality=95)).inputs[0, 4, 4]
    assert abs(found.astype(int) - [255, 0, 0]).max() < 12
    bits = Image.fromarray(np.eye(8, dtype=bool))
    assert np.array_equal(
        _decoded(make_task(), _saved(bits, "PNG")).inputs[0, :, :, 0], 255 * np.eye(8)
    )


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_an_animation_is_refused_by_name(make_task: MakeTask, kind: str) -> None:
    frames = [Image.new("L", (8, 8), value) for value in (0, 128, 255)]
    moving = _saved(frames[0], kind, save_all=True, append_images=frames[1:])
    said = _refusal(make_task(), moving)
    assert unsaid(said, f"row 0: a {kind} of several frames", "one image") == []
    assert _decoded(make_task(), _saved(frames[0], kind)).inputs.shape[:3] == (1, 8, 8)


def test_the_photo_of_a_phone_with_a_preview_behind_it_is_the_photo(make_task: MakeTask) -> None:
    photo, preview = Image.new("RGB", (8, 8), "white"), Image.new("RGB", (8, 8), "black")
    stored = _saved(photo, "MPO", save_all=True, append_images=[preview])
    assert _decoded(make_task(), stored).inputs.min() > 250


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_image_is_refused_by_name(
    make_task: MakeTask, encode: Encode, pictures: Pictures, kind: str
) -> None:
    whole = [encode(image, kind) for image in pictures(2, 32, 32, 3)]
    message = _refusal(make_task(), whole[0], whole[1][: len(whole[1]) // 2])
    assert message.startswith("row 1: the image cannot be decoded (")


@pytest.mark.parametrize("content", [b"", b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_image_is_refused(make_task: MakeTask, content: bytes) -> None:
    message = _refusal(make_task(), content)
    assert message.startswith("row 0: the image cannot be decoded (")


@pytest.mark.parametrize("factor", [1.5, 3.0])
def test_a_decompression_bomb_is_refused(
    make_task: MakeTask,
    encode: Encode,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
    factor: float,
) -> None:
    content = encode(pictures(60, 60))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(60 * 60 / factor))
    assert "decompression bomb" in _refusal(make_task(image_size=8), content)


def test_unequal_sizes_need_an_image_size(
    make_task: MakeTask, encode: Encode, pictures: Pictures
) -> None:
    contents = encode(pictures(6, 8)), encode(pictures(6, 9))
    message = _refusal(make_task(), *contents)
    assert unsaid(message, "row 1: 9x6 pixels", "8x6", "image_size:") == []
    assert _decoded(make_task(image_size=4), *contents).inputs.shape == (2, 4, 4, 1)


def test_grey_among_colour_needs_a_mode(
    make_task: MakeTask, encode: Encode, pictures: Pictures
) -> None:
    contents = encode(pictures(6, 6, 3)), encode(pictures(6, 6))
    assert "row 1: a grey image among colour ones; set mode:" in _refusal(make_task(), *contents)
    assert _decoded(make_task(mode="rgb"), *contents).inputs.shape == (2, 6, 6, 3)


def test_deep_pixels_are_refused(make_task: MakeTask, encode: Encode) -> None:
    deep = encode(np.arange(36, dtype=np.uint16).reshape(6, 6) * 1000)
    assert "over 8 bits" in _refusal(make_task(), deep)
