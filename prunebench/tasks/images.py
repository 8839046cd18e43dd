"""Decode images with Pillow as viewers show them, and bring them to the task's channels and size.

Turned as their EXIF says; what is transparent lies over white; 8 bits a channel.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from prunebench.errors import PrunebenchError
from prunebench.storage.files import require_plain
from prunebench.tasks import png_rows
from prunebench.tasks.raw import Images, Split, check_fits, one_line

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

# EPS and the like start other programs when opened: data sets need none of them
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "GIF", "TIFF", "WEBP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".gif", ".tif", ".tiff", ".webp")

# (what to decode, its label, how an error names it)
Encoded = tuple[Path | IO[bytes], int, str]

_GREY = ("1", "L", "LA", "La")
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_PILLOW_MODE = {"grey": "L", "rgb": "RGB"}
_BACKGROUND = "white"  # of transparent images: that of a page


def decode(items: Iterable[Encoded], count: int, task: Task) -> Split:
    """Decode images into one array, each brought to the task's channels and size.

    Args:
        items: what to decode, its label, and its name for messages.
        count: how many there are.
        task: without ``image_size`` all images must have the size of the first; with channels
            ``native`` all must be grey or all colour.

    Raises:
        PrunebenchError: there are fewer or more images than ``count``, an image is damaged,
            animated, of more than 8 bits, implausibly large (Pillow's limit against decompression
            bombs) or unlike the first, a label is no number of 64 bits, or the images do not fit
            into memory.
    """
    images: Images | None = None
    read = 0
    check_fits(8 * count, f"task {task.name!r}: {count:,} labels")
    labels = np.empty(count, np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for index, (source, label, where) in enumerate(items):
            pixels = _decode_one(source, task, where)
            if images is None:
                check_fits(
                    count * pixels.nbytes, f"{where}: {count:,} images like this one",
                    "image_size: makes images smaller",
                )  # fmt: skip
                images = np.empty((count, *pixels.shape), np.uint8)
            if index == count:
                raise PrunebenchError(f"{where}: more images than the {count:,} that were declared")
            if pixels.shape != images.shape[1:]:
                raise PrunebenchError(_unlike(pixels.shape, images.shape[1:], where))
            images[index] = pixels
            try:
                labels[index] = label
            except OverflowError as error:
                raise PrunebenchError(f"{where}: label {label} is out of range") from error
            read = index + 1
    if read != count:
        raise PrunebenchError(
            f"task {task.name!r}: {count:,} images are declared, but {read:,} are there: the data"
            " are damaged"
        )
    if images is None:
        images = np.empty((0, 1, 1, 1), np.uint8)
    return Split(images, labels)


def stored_size(path: Path) -> tuple[int, int]:
    """Return width and height that an image's file says, of the formats that ``decode`` takes.

    Raises:
        PrunebenchError: it is no image of these, or damaged.
    """
    require_plain(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.size
    except Exception as error:  # as in ``_decode_one``
        raise PrunebenchError(f"{path} cannot be read: {_reason(error)}") from error


def fit(images: Images, task: Task) -> Images:
    """Return images [N, H, W, C] in the task's channels and size; the same array if it has them."""
    height, width, channels = images.shape[1:]
    wanted = {"grey": 1, "rgb": 3}.get(task.mode) or channels
    size = task.image_size
    if wanted == channels and (size is None or (height, width) == (size, size)):
        return images
    fitted = np.empty((len(images), size or height, size or width, wanted), np.uint8)
    for index, pixels in enumerate(images):
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        fitted[index] = _pixels(image, task)
    return fitted


def _decode_one(source: Path | IO[bytes], task: Task, where: str) -> Images:
    """Return one image as [H, W, C]."""
    try:
        if isinstance(source, Path):
            require_plain(source)
        with Image.open(source, formats=FORMATS) as image:
            # behind the photo of an MPO, phones keep what no viewer shows: a preview, depths
            if getattr(image, "is_animated", False) and image.format != "MPO":
                raise PrunebenchError(
                    f"a {image.format} of several frames or pages: give one image of them"
                )
            if image.format == "PNG" and image.fp is not None:
                png_rows.refuse_missing(image.fp)
            ImageOps.exif_transpose(image, in_place=True)
            return _pixels(image, task)
    except PrunebenchError as error:
        raise PrunebenchError(f"{where}: {error}") from error
    # what Pillow raises for damaged bytes is no closed set: OSError, SyntaxError, struct.error …
    except Exception as error:
        raise PrunebenchError(f"{where}: the image cannot be decoded ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """Return Pillow's text without the address of an object, in which it may end."""
    return one_line(error).split(" <_io")[0]


def _pixels(image: Image.Image, task: Task) -> Images:
    """Return an image as [H, W, C]: channels first, then size (bilinear, stretched to a square)."""
    if image.mode in _DEEP:
        raise PrunebenchError(
            f"images of {image.mode} pixels (over 8 bits) are not supported: convert them to 8 bits"
        )
    mode = _PILLOW_MODE.get(task.mode) or ("L" if image.mode in _GREY else "RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _BACKGROUND), image)
    image = image.convert(mode) if image.mode != mode else image
    size = task.image_size
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _unlike(shape: tuple[int, ...], first: tuple[int, ...], where: str) -> str:
    """Return the message for an image of another shape than the first."""
    if shape[2] != first[2]:
        kinds = {1: "grey", 3: "colour"}
        return (
            f"{where}: a {kinds[shape[2]]} image among {kinds[first[2]]} ones; "
            "set mode: rgb or mode: grey"
        )
    return (
        f"{where}: {shape[1]}x{shape[0]} pixels, the images before it {first[1]}x{first[0]}; "
        "set image_size: to bring all to one size"
    )
