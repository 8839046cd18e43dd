"""Weights: safetensors, PyTorch's own, compressed and shrunk networks."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import changed_value, damaged_bytes
from tests.robustness.fuzz.readers.written_back import safetensors_bytes, safetensors_parts

if TYPE_CHECKING:
    from torch import nn


def safetensors(folder: Path) -> Reader:
    """Weights: safetensors, PyTorch's own, compressed and shrunk networks."""
    import torch
    from safetensors.torch import save

    from prunebench.compression.encoding import MAGIC, load_compressed, save_compressed
    from prunebench.compression.shrink import shrink
    from prunebench.compression.shrunk_files import load_shrunk, save_shrunk
    from prunebench.evaluation.arrays import load_arrays
    from prunebench.storage.cell_files import load_tensors
    from prunebench.training.loaded_weights import fill

    torch.manual_seed(0)
    network, path = _network(), folder / "weights"
    state = network.state_dict()
    masks = {"0.weight": torch.ones_like(state["0.weight"]), "2.weight": torch.ones(3, 4, 3, 3)}
    masks["0.weight"][:2] = 0
    smaller = shrink(network, masks, torch.zeros(1, 1, 6, 6)).model
    save_shrunk(network, smaller, path)
    shrunk = path.read_bytes()
    save_compressed(network, path, masks)
    compressed = path.read_bytes()
    torch.save(state, path)
    pickled, plain = path.read_bytes(), save(state)
    ways: dict[str, tuple[list[bytes], Callable[[], Any]]] = {
        "tensors": ([plain], lambda: load_tensors(path)),
        "arrays": ([plain], lambda: load_arrays(path)),
        "fill": ([plain, pickled], lambda: fill(_network(), path, "models: m")),
        "shrunk": ([shrunk], lambda: load_shrunk(_network(), path)),
        "compressed": ([compressed], lambda: load_compressed(path)),
    }

    def read(given: tuple[str, bytes]) -> None:
        path.write_bytes(given[1])
        ways[given[0]][1]()

    def inputs(way: str) -> st.SearchStrategy[tuple[str, bytes]]:
        seeds = ways[way][0]
        found = damaged_bytes(seeds)
        if way == "compressed":
            start = len(MAGIC) + 32 + 16
            found |= changed_value([_compressed_parts(compressed, start)]).map(_compressed)
        else:
            header, data = safetensors_parts(seeds[0])
            found |= changed_value([header]).map(partial(safetensors_bytes, data=data))
        return found.map(lambda content: (way, content))

    return st.one_of([inputs(way) for way in ways]), read


def _network() -> nn.Module:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    )


def _compressed_parts(content: bytes, start: int) -> Any:
    from prunebench.compression.encoding import zstd

    length, packed = struct.unpack("<QQ", content[start - 16 : start])
    header = zstd().decompress(content[start : start + packed], length, asbytes=True)
    entries = json.loads(header)
    rest = content[start + packed :]
    return {"entries": entries, "rest": rest.hex()}


def _compressed(parts: Any) -> bytes:
    """A file whose hash is right, whatever its header says."""
    from prunebench.compression.encoding import MAGIC, zstd

    if not isinstance(parts, dict) or not isinstance(parts.get("rest"), str):
        return MAGIC
    try:
        rest = bytes.fromhex(parts["rest"])
        content = zstd().decompress(rest, 2**12, asbytes=True)
    except (ValueError, OSError):
        rest, content = b"", b""
    header = json.dumps(parts.get("entries")).encode()
    packed = zstd().compress(header, asbytes=True)
    sizes = struct.pack("<QQ", len(header), len(packed))
    return MAGIC + hashlib.sha256(header + content).digest() + sizes + packed + rest
