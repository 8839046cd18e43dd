"""A file format for sparse networks: lossless, and never code.

Each tensor is stored as the smallest of three: dense; a bitmap and the values that are not zero;
the gaps between those values, a byte each, and the values. The whole is compressed by zstd.

Layout: ``MAGIC``, SHA-256 of header and content, two sizes of the header (8 bytes each, little
endian: as it is, compressed), the header as compressed JSON, the compressed content.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunebench.compression.tensor_codec import DTYPES, Entry, Undecodable, decode, encode, fits
from prunebench.errors import PrunebenchError
from prunebench.pruning.masks import as_bool
from prunebench.storage.files import replacing, require_plain

MAGIC = b"PRUNEBZ1"
LIMIT = 2**32  # bytes that a file may unpack to, unless the caller says otherwise
_LEVEL = 12  # of zstd: beyond, twice the time buys a percent
_HEADER_LIMIT = 2**26
_START = struct.Struct("<8s32sQQ")
State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Sizes:
    """Sizes of a network's state, in bytes."""

    dense: int  # every value as it is in memory
    encoded: int  # the smallest encoding of each tensor
    compressed: int  # of the file that ``save_compressed`` writes


def save_compressed(
    network: nn.Module | State, path: str | Path, masks: State | None = None, half: bool = False
) -> None:
    """Write a network, or its state, in the format of this module, whole or not at all.

    Every value keeps its bits, unless ``half``.

    Args:
        network: a module or its state dict.
        path: the file to write.
        masks: parameter name -> 0 and 1 of any type, 1 is kept; what they remove is written as 0.
            Pruning by multiplication leaves −0 there, which is stored like any other value and
            takes space.
        half: round the floating-point tensors that fit into half precision to it.

    Raises:
        PrunebenchError: masks do not fit, a tensor holds other types than numbers, or the path
            cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(_pack(network, masks, half)[0])


def sizes(network: nn.Module | State, masks: State | None = None, half: bool = False) -> Sizes:
    """Return the sizes of what ``save_compressed`` would write, and of the dense network."""
    return _pack(network, masks, half)[1]


def load_compressed(path: str | Path, limit: int = LIMIT) -> dict[str, Tensor]:
    """Read the state that ``save_compressed`` wrote, on the CPU, for ``load_state_dict``.

    Args:
        path: the file.
        limit: bytes that it may unpack to.

    Raises:
        PrunebenchError: the file is missing, damaged or not of this format, or would unpack to more
            than ``limit``.
    """
    require_plain(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PrunebenchError(f"{path}: {error.strerror}") from error
    try:
        return _unpack(data, limit)
    except Undecodable as error:
        raise PrunebenchError(f"{path} is damaged or no compressed network: {error}") from error


def _pack(network: nn.Module | State, masks: State | None, half: bool) -> tuple[bytes, Sizes]:
    state = network.state_dict() if isinstance(network, nn.Module) else network
    masks = {name: torch.as_tensor(mask) for name, mask in (masks or {}).items()}
    for name, mask in masks.items():
        if name not in state or state[name].shape != mask.shape:
            raise PrunebenchError(f"masks: {name!r} is no tensor of that shape in the network")
    entries, parts = [], []
    first: dict[Any, str] = {}  # shared tensors are stored once
    for name, value in state.items():
        kind = str(value.dtype).removeprefix("torch.")
        if kind not in DTYPES or value.layout != torch.strided:
            raise PrunebenchError(f"{name!r} is of type {value.dtype}, which cannot be stored")
        place = (value.data_ptr(), kind, value.shape, value.stride())
        if name not in masks and value.numel() and place in first:
            same = Entry(name, kind, kind, tuple(value.shape), "same", 0, 0, first[place])
            entries.append(same)
            continue
        first[place] = name
        if name in masks:
            value = value.masked_fill(~as_bool(name, masks[name]).to(value.device), 0)
        entry, content = encode(name, value.detach().cpu(), half)
        entries.append(entry)
        parts.append(content)
    content = b"".join(parts)
    header = json.dumps([asdict(entry) for entry in entries], separators=(",", ":")).encode()
    digest = hashlib.sha256(header + content).digest()
    packed = zstd().compress(header, asbytes=True)
    start = _START.pack(MAGIC, digest, len(header), len(packed))
    data = start + packed + zstd().compress(content, asbytes=True)
    return data, Sizes(sum(entry.unpacked for entry in entries), len(content), len(data))


def zstd() -> Any:
    """Return the compressor of all files whose size is measured."""
    import pyarrow as pa

    return pa.Codec("zstd", compression_level=_LEVEL)


def _unpack(data: bytes, limit: int) -> dict[str, Tensor]:
    if len(data) < _START.size:
        raise Undecodable("it is too short")
    magic, digest, length, packed = _START.unpack_from(data)
    if magic != MAGIC:
        raise Undecodable("it does not begin with the mark of the format")
    if length > _HEADER_LIMIT or packed > len(data) - _START.size:
        raise Undecodable("its header is too long")
    header = _decompress(data[_START.size : _START.size + packed], length)
    entries = _entries(header)
    unpacked = sum(entry.unpacked for entry in entries)
    total = sum(entry.content for entry in entries)
    if unpacked > limit or total > 2 * limit:  # a small file may claim to hold terabytes
        raise Undecodable(f"it would unpack to {unpacked} bytes, more than the limit of {limit}")
    content = _decompress(data[_START.size + packed :], total)
    if hashlib.sha256(header + content).digest() != digest:
        raise Undecodable("its content does not match its hash")
    state: dict[str, Tensor] = {}
    start = 0
    for entry in entries:
        if entry.encoding == "same":
            like = state.get(entry.of)
            if like is None or (str(like.dtype), like.shape) != (
                f"torch.{entry.dtype}", torch.Size(entry.shape),
            ):  # fmt: skip
                raise Undecodable(f"{entry.name!r} is the same as a tensor that is not there")
            state[entry.name] = like
        else:
            part = np.frombuffer(content, np.uint8, entry.content, start)
            state[entry.name] = decode(entry, part)
            start += entry.content
    return state


def _decompress(data: bytes, size: int) -> bytes:
    import pyarrow as pa

    try:
        found = zstd().decompress(data, decompressed_size=size, asbytes=True)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise Undecodable(f"zstd: {error}") from error
    if len(found) != size:
        raise Undecodable("its content has another size than its header says")
    return found


def _entries(header: bytes) -> list[Entry]:
    try:
        found = [
            Entry(**{**item, "shape": tuple(item["shape"])}) for item in json.loads(header.decode())
        ]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Undecodable(f"its header cannot be read: {error}") from error
    for entry in found:
        sound = all(isinstance(text, str) for text in (entry.name, entry.encoding, entry.of))
        sound = sound and all(
            isinstance(k, str) and k in DTYPES for k in (entry.dtype, entry.stored)
        )
        numbers = (*entry.shape, entry.positions, entry.values)
        sound = sound and all(type(n) is int and 0 <= n < 2**62 for n in numbers)
        if not (sound and len(entry.shape) <= 64 and fits(entry)):
            raise Undecodable("its header contradicts itself")
    if len({entry.name for entry in found}) != len(found):
        raise Undecodable("it names a tensor twice")
    return found
