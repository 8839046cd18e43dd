"""Encode a tensor as bytes and decode it: dense, a bitmap and values, or gaps and values.

Values are kept as planes of their bytes (all first bytes, then all second bytes), which compress
better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16,
        torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
    )
}  # fmt: skip
# integers of as many bytes
_BITS = {dtype.itemsize: dtype for dtype in (torch.uint8, torch.int16, torch.int32, torch.int64)}
_ESCAPE = 255  # a gap's byte that means: go 255 further, there is no value here

Bytes = np.ndarray  # uint8


class Undecodable(Exception):
    """Bytes are not what the format prescribes; its text says how."""


@dataclass(frozen=True)
class Entry:
    """The header's description of a tensor."""

    name: str
    dtype: str
    stored: str  # the values' type in the file
    shape: tuple[int, ...]
    encoding: str  # "dense", "bitmap", "index", or "same": as the tensor named in ``of``
    positions: int  # bytes that say where the values stand
    values: int  # how many
    of: str = ""

    @property
    def size(self) -> int:
        """How many values the tensor has."""
        return math.prod(self.shape)

    @property
    def width(self) -> int:
        """Bytes of a value in the file."""
        return DTYPES[self.stored].itemsize

    @property
    def content(self) -> int:
        """Bytes of the tensor in the content."""
        return self.positions + self.values * self.width

    @property
    def unpacked(self) -> int:
        """Bytes of the tensor in memory; 0 where it is another tensor."""
        return 0 if self.encoding == "same" else self.size * DTYPES[self.dtype].itemsize


def _raw(value: Tensor) -> Bytes:
    """Return the bytes of each value, [n, width]."""
    flat = value.contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().reshape(flat.numel(), value.dtype.itemsize)


def _used(value: Tensor) -> Bytes:
    """Return which values have a bit that is not 0, so that −0 is one, [n] of bool."""
    flat = value.contiguous().reshape(-1)
    return (flat.view(_BITS[flat.dtype.itemsize]) != 0).numpy()


def encode(name: str, value: Tensor, half: bool) -> tuple[Entry, bytes]:
    """Return the smallest encoding of a tensor on the CPU: its header entry and its bytes.

    Args:
        name: of the tensor.
        value: of one of ``DTYPES``.
        half: store it in half precision where its values fit.
    """
    kind = str(value.dtype).removeprefix("torch.")
    used = _used(value)
    stored, rows = kind, _raw(value)
    if half and kind in ("float32", "float64") and value.half().isfinite().all():
        stored, rows = "float16", _raw(value.half())
    encoding, positions = "bitmap", np.packbits(used)
    # each gap takes a byte or more: of many values they cannot be shorter
    if np.count_nonzero(used) < len(positions) and len(gaps := _gaps(used)) < len(positions):
        encoding, positions = "index", gaps
    sparse = rows[used]
    if len(positions) + sparse.size >= rows.size:
        encoding, positions, sparse = "dense", np.zeros(0, np.uint8), rows
    count = len(sparse)
    entry = Entry(name, kind, stored, tuple(value.shape), encoding, len(positions), count)
    return entry, positions.tobytes() + np.ascontiguousarray(sparse.T).tobytes()


def _gaps(used: Bytes) -> Bytes:
    """Return the distances between True, from one before the start, as bytes; 255 goes on."""
    steps = np.diff(np.flatnonzero(used), prepend=-1) - 1
    escapes = steps // _ESCAPE
    ends = np.cumsum(escapes + 1) - 1
    gaps = np.full(int(ends[-1]) + 1 if len(ends) else 0, _ESCAPE, np.uint8)
    gaps[ends] = steps % _ESCAPE
    return gaps


def fits(entry: Entry) -> bool:
    """Return whether the sizes of an entry agree with its encoding."""
    half = entry.stored == "float16" and entry.dtype in ("float32", "float64")
    positions = {
        "dense": entry.positions == 0 and entry.values == entry.size,
        "bitmap": entry.positions == -(-entry.size // 8) and entry.values <= entry.size,
        "index": entry.values <= entry.positions <= entry.size and entry.values <= entry.size,
        "same": entry.positions == entry.values == 0,
    }
    return (half or entry.stored == entry.dtype) and positions.get(entry.encoding, False)


def decode(entry: Entry, part: Bytes) -> Tensor:
    """Return the tensor of an entry from its bytes.

    Raises:
        Undecodable: the bytes do not agree with the entry.
    """
    planes = part[entry.positions :].reshape(entry.width, entry.values)
    used = slice(None)
    if entry.encoding != "dense":
        used = _positions(entry, part[: entry.positions])
    rows = np.zeros((entry.size, entry.width), np.uint8)
    rows[used] = planes.T
    if entry.stored == "bool" and rows.size and rows.max() > 1:
        raise Undecodable(f"{entry.name!r} holds what is neither true nor false")
    value = torch.from_numpy(rows.reshape(-1)).view(DTYPES[entry.stored])
    return value.to(DTYPES[entry.dtype]).reshape(entry.shape)


def _positions(entry: Entry, part: Bytes) -> Any:
    """Return where the values stand: int64 [values]."""
    if entry.encoding == "bitmap":
        found = np.flatnonzero(np.unpackbits(part)[: entry.size])
    else:
        here = part != _ESCAPE
        found = (np.cumsum(np.where(here, part.astype(np.int64) + 1, _ESCAPE)) - 1)[here]
    if len(found) != entry.values or (len(found) and found[-1] >= entry.size):
        raise Undecodable(f"the positions of {entry.name!r} do not match its values")
    return found
