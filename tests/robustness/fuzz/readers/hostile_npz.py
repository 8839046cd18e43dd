"""Archives of arrays, prepared."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import damaged_bytes
from tests.robustness.fuzz.readers.prepared_set import prepared


def npz(folder: Path) -> Reader:
    """Archives of arrays, prepared."""
    path = folder / "theirs.npz"
    good: dict[str, Any] = {
        "train_inputs": np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32),
        "train_targets": np.arange(12) % 2,
        "classes": np.array(["a", "b"]),
    }
    others = (
        np.arange(12, dtype=np.uint64) + 2**63, np.zeros((12, 0)), np.zeros(0), np.array(3),
        np.full(12, np.nan), np.zeros((12, 3, 3), np.uint8), np.array(["x"] * 12),
        np.array(["2020-01-01"] * 12, "datetime64[D]"), np.zeros(12, complex), np.ones(12, bool),
        np.full((12, 4), np.inf, np.float32), np.zeros(12, [("a", "i4")]), np.arange(12) % 3,
        np.random.default_rng(1).integers(0, 256, (12, 5, 5), np.uint8), np.arange(12) - 6,
        np.arange(48).reshape(12, 4), np.zeros((12, 4), ">f8"), np.array([b"\xff"] * 12),
        np.zeros(12, np.float16), np.full((12, 1), "\ud800"), *good.values(),
    )  # fmt: skip
    names = ("train_inputs", "train_targets", "val_inputs", "val_targets", "test_inputs",
             "test_targets", "classes", "../x", "other")  # fmt: skip

    def made(chosen: dict[str, int]) -> bytes:
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **{k: others[place] for k, place in chosen.items()})
        return file.getvalue()

    def zipped(given: tuple[bytes, int, int, int]) -> bytes:
        """The header of an array is damaged, and the archive is whole; or bits of the archive."""
        header, method, bits, declared = given
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("train_inputs.npy", header)
            archive.writestr("train_targets.npy", header)
        content = bytearray(file.getvalue())
        for mark, at in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
            start = content.find(mark) + at
            content[start : start + 4] = struct.pack("<HH", bits, method)
        if declared:
            start = content.find(b"PK\1\2") + 24
            content[start : start + 4] = struct.pack("<I", declared)
        return bytes(content)

    array = io.BytesIO()
    np.save(array, good["train_inputs"])
    prepare = prepared(folder, source="own", path=str(path))

    def read(content: bytes) -> None:
        path.write_bytes(content)
        prepare()

    place = st.integers(0, len(others) - 1)
    first = {name: len(others) - 3 + n for n, name in enumerate(good)}
    return damaged_bytes([made(first)]) | st.dictionaries(st.sampled_from(names), place).map(
        lambda some: made(first | some)
    ) | st.tuples(
        damaged_bytes([array.getvalue()]), st.sampled_from([0, 8, 12, 14, 93, 99]),
        st.sampled_from([0, 1, 8, 0xFFFF]), st.sampled_from([0, 1, 2**31, 2**32 - 1]),
    ).map(zipped), read  # fmt: skip
