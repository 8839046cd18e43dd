"""Whether a PNG holds all the rows that its header declares: Pillow fills those that lack with 0.

After the specification, "Portable Network Graphics, third edition" (W3C 2025), chapters 8 to 11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO

_SIGNATURE = 8  # bytes before the first chunk
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples of a pixel
# passes of an interlaced image (Adam7): first column and row, and steps between them
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
_PIECE = 2**20  # bytes that are decompressed at once


def passes(width: int, height: int) -> list[tuple[int, int]]:
    """Return width and height in pixels of each pass of an interlaced image; 0 of one without."""
    return [
        (max(0, -(-(width - left) // across)), max(0, -(-(height - top) // down)))
        for left, top, across, down in _PASSES
    ]


def refuse_missing(file: IO[bytes]) -> None:
    """Refuse a PNG whose pixels end before its last row; where the file is read goes on as before.

    Args:
        file: of a PNG that Pillow has opened.

    Raises:
        ValueError: rows lack.
        struct.error, KeyError, StopIteration, zlib.error: it is damaged.
    """
    place = file.tell()
    file.seek(_SIGNATURE)
    try:
        _, content = next(_chunks(file))
        width, height, depth, colour, *_, interlaced = struct.unpack(">IIBBBBB", content)
        sizes = passes(width, height) if interlaced else [(width, height)]
        bits = depth * _SAMPLES[colour]
        # each row begins with a byte that says how it is filtered
        wanted = sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns)
        if _unpacked(file, wanted) < wanted:
            raise ValueError(f"its header declares {height:,} rows, and fewer are there")
    finally:
        file.seek(place)


def _unpacked(file: IO[bytes], wanted: int) -> int:
    """Count bytes of the pixels, as far as they are wanted."""
    unpacking, found = zlib.decompressobj(), 0
    for kind, content in _chunks(file):
        while kind == b"IDAT" and content and found < wanted and not unpacking.eof:
            found += len(unpacking.decompress(content, _PIECE))
            content = unpacking.unconsumed_tail
    return found


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each chunk, as far as the file goes."""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        content = file.read(length)
        file.read(4)  # its checksum, which Pillow compares
        yield kind, content
