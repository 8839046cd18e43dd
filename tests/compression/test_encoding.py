"""Sparse networks in a file: every bit comes back, and a bad file is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import prunebench
from prunebench.compression.encoding import MAGIC, load_compressed, save_compressed, sizes
from prunebench.compression.shrink import shrink
from prunebench.compression.tensor_codec import DTYPES, decode, encode
from prunebench.errors import PrunebenchError
from tests.compression.nets import build, images


def bits(value: Tensor) -> tuple[torch.dtype, torch.Size, bytes]:
    return value.dtype, value.shape, value.reshape(-1).view(torch.uint8).numpy().tobytes()


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return [(k, bits(v)) for k, v in one.items()] == [(k, bits(v)) for k, v in two.items()]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(sorted(DTYPES)),
    shape=st.lists(st.integers(0, 9), max_size=4),
    share=st.sampled_from([0.0, 0.001, 0.02, 0.3, 1.0]),
    seed=st.integers(0, 2**20),
)
def test_every_bit_of_every_type_comes_back(
    kind: str, shape: list[int], share: float, seed: int
) -> None:
    """Any bytes: −0, infinities and NaN of any payload among them."""
    draw = np.random.default_rng(seed)
    count = int(np.prod(shape))
    raw = draw.integers(0, 2 if kind == "bool" else 256, (count, DTYPES[kind].itemsize), np.uint8)
    raw[draw.random(count) >= share] = 0
    value = torch.from_numpy(raw.reshape(-1)).view(DTYPES[kind]).reshape(shape)
    entry, content = encode("w", value, half=False)
    assert len(content) == entry.content <= raw.size
    assert bits(decode(entry, np.frombuffer(content, np.uint8))) == bits(value)


@pytest.mark.parametrize(
    ("count", "kept", "encoding", "expected"),
    [
        (1000, range(1000), "dense", 4000),
        (1000, range(0, 1000, 4), "bitmap", 125 + 4 * 250),
        (1000, range(0, 1000, 8), "bitmap", 125 + 4 * 125),  # as many gaps as bytes of the bitmap
        (1000, range(0, 992, 8), "index", 124 + 4 * 124),  # one fewer
        (1000, [999], "index", 4 + 4),  # three times 255 further, then 234 more
        (1000, [0, 255], "index", 2 + 8),  # a gap of 254 is one byte
        (1000, [0, 256], "index", 3 + 8),  # of 255 two
        (1000, [], "index", 0),
    ],
)
def test_the_smallest_encoding_by_hand(count: int, kept: Any, encoding: str, expected: int) -> None:
    value = torch.zeros(count)
    value[list(kept)] = 1.5
    entry, content = encode("w", value, half=False)
    assert (entry.encoding, len(content)) == (encoding, expected)
    assert bits(decode(entry, np.frombuffer(content, np.uint8))) == bits(value)


def test_a_network_comes_back(tmp_path: Path) -> None:
    model = build("test_resnet")
    masks = prunebench.prune(model, "magnitude", 0.9)
    path = tmp_path / "a" / "network.pbz"
    save_compressed(model, path)
    assert same(load_compressed(path), model.state_dict())
    assert path.stat().st_size == sizes(model).compressed
    # multiplied weights are −0 in half of the places: with the masks they need not be kept
    assert any((value.signbit() & (value == 0)).any() for value in model.state_dict().values())
    save_compressed(model, path, masks)
    loaded = load_compressed(path)
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())
    assert not any(loaded[name][~mask].signbit().any() for name, mask in masks.items())
    found = sizes(model, masks)
    assert found.dense == sum(v.numel() * v.element_size() for v in model.state_dict().values())
    assert path.stat().st_size == found.compressed <= found.encoded < 0.3 * found.dense
    assert found.compressed < sizes(model).compressed
    other = build("test_resnet")
    other.load_state_dict(loaded)
    with torch.no_grad():
        torch.testing.assert_close(other(images()), model(images()), rtol=0, atol=0)


def test_a_shrunk_network_comes_back(tmp_path: Path) -> None:
    model, inputs = build("seed-cnn"), images()
    masks = prunebench.prune(model, {"criterion": "l1-norm", "pattern": "filter"}, 0.5,
                             batches=[(inputs, torch.zeros(4, dtype=torch.long))])  # fmt: skip
    small = shrink(model, masks, inputs[:1]).model
    save_compressed(small, tmp_path / "small")
    assert same(load_compressed(tmp_path / "small"), small.state_dict())
    assert sizes(small).dense < 0.6 * sizes(model).dense


def test_half_precision(tmp_path: Path) -> None:
    state = {"w": torch.tensor([0.1, 0.0, -3.0]), "big": torch.tensor([1e5, 0.1]),
             "n": torch.tensor([7]), "d": torch.tensor([0.1], dtype=torch.float64)}  # fmt: skip
    save_compressed(state, tmp_path / "half", half=True)
    loaded = load_compressed(tmp_path / "half")
    assert torch.equal(loaded["w"], state["w"].half().float())
    assert torch.equal(loaded["big"], state["big"])  # does not fit
    assert torch.equal(loaded["n"], state["n"])
    assert torch.equal(loaded["d"], state["d"].half().double())
    large = {"w": torch.randn(10000)}
    assert sizes(large, half=True).encoded * 2 == sizes(large).encoded


def test_shared_tensors_are_stored_once(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(50, 50), nn.Linear(50, 50))
    model[1].weight = model[0].weight
    save_compressed(model, tmp_path / "tied")
    assert sizes(model).dense == 4 * (2500 + 50 + 50)
    assert same(load_compressed(tmp_path / "tied"), model.state_dict())
    mask = torch.rand(50, 50) < 0.5
    save_compressed(model, tmp_path / "tied", {"0.weight": mask})
    loaded = load_compressed(tmp_path / "tied")
    assert torch.equal(loaded["0.weight"], loaded["1.weight"])
    assert not loaded["0.weight"][~mask].any()


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    state = {"w": torch.ones(3)}
    with pytest.raises(PrunebenchError, match="masks: 'v' is no tensor of that shape"):
        save_compressed(state, tmp_path / "x", {"v": torch.ones(3, dtype=torch.bool)})
    with pytest.raises(PrunebenchError, match="masks: 'w' is no tensor of that shape"):
        save_compressed(state, tmp_path / "x", {"w": torch.ones(2, dtype=torch.bool)})
    with pytest.raises(PrunebenchError, match=r"'c' is of type torch\.complex64"):
        save_compressed({"c": torch.ones(2, dtype=torch.complex64)}, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Any byte changed, any length cut: an error of one line that names the file, nothing else."""
    torch.manual_seed(0)
    path = tmp_path / "network"
    save_compressed({"w": torch.randn(40) * (torch.rand(40) < 0.3), "b": torch.ones(3)}, path)
    whole = path.read_bytes()
    for at in range(len(whole)):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
            path.write_bytes(data)
            with pytest.raises(PrunebenchError, match="network is damaged or no compressed"):
                load_compressed(path)
    with pytest.raises(PrunebenchError, match="none: No such file"):
        load_compressed(tmp_path / "none")


def forged(header: Any, content: bytes, length: int | None = None) -> bytes:
    """A file whose hash is right, whatever it holds."""
    codec = pa.Codec("zstd")
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    packed = codec.compress(text, asbytes=True)
    start = MAGIC + hashlib.sha256(text + content).digest()
    start += (len(text) if length is None else length).to_bytes(8, "little")
    start += len(packed).to_bytes(8, "little")
    return start + packed + codec.compress(content, asbytes=True)


def entry(**changes: Any) -> dict[str, Any]:
    plain = {"name": "w", "dtype": "float32", "stored": "float32", "shape": [2], "of": ""}
    return {**plain, "encoding": "dense", "positions": 0, "values": 2, **changes}


EIGHT = bytes(8)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "bomb": lambda: forged([entry(shape=[2**40], encoding="index", values=0)], b""),
    "overflow": lambda: forged([entry(shape=[2**61, 2**61], encoding="index", values=0)], b""),
    "long header": lambda: forged(b"[]", b"", length=2**40),
    "no list": lambda: forged({"a": 1}, EIGHT),
    "a number": lambda: forged(b"7", EIGHT),
    "no JSON": lambda: forged(b"\xff{", EIGHT),
    "deep": lambda: forged(b"[" * 100000, EIGHT),
    "unknown key": lambda: forged([entry(code="import os")], EIGHT),
    "unknown type": lambda: forged([entry(dtype="object", stored="object")], EIGHT),
    "other type": lambda: forged([entry(stored="int32")], EIGHT),
    "unhashable": lambda: forged([entry(dtype=[], stored=[])], EIGHT),
    "negative": lambda: forged([entry(shape=[-1, -2])], EIGHT),
    "fraction": lambda: forged([entry(shape=[2.0])], EIGHT),
    "truth": lambda: forged([entry(shape=[True, 2])], EIGHT),
    "too few": lambda: forged([entry(values=1)], bytes(4)),
    "too many dimensions": lambda: forged([entry(shape=[1] * 99, values=1)], bytes(4)),
    "encoding": lambda: forged([entry(encoding="pickle")], EIGHT),
    "twice": lambda: forged([entry(), entry()], bytes(16)),
    "other size": lambda: forged([entry()], bytes(12)),
    "short": lambda: forged([entry()], bytes(4)),
    "itself": lambda: forged([entry(encoding="same", values=0, of="w")], b""),
    "bitmap": lambda: forged([entry(encoding="bitmap", positions=1, values=1)], b"\xc0" + bytes(4)),
    "outside": lambda: forged([entry(encoding="index", positions=1, values=1)], b"\x05" + bytes(4)),
    "truth value": lambda: forged([entry(dtype="bool", stored="bool")], b"\x01\x02"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "network"
    path.write_bytes(HOSTILE[name]())
    with pytest.raises(PrunebenchError, match="network is damaged or no compressed network: "):
        load_compressed(path)


def test_the_forger_can_write_a_good_file(tmp_path: Path) -> None:
    """So that the hostile files are refused for what they hold."""
    path = tmp_path / "network"
    path.write_bytes(forged([entry(), entry(name="v", encoding="same", values=0, of="w")], EIGHT))
    assert same(load_compressed(path), {"w": torch.zeros(2), "v": torch.zeros(2)})
    with pytest.raises(PrunebenchError, match="more than the limit of 7"):
        load_compressed(path, limit=7)
