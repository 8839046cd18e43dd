"""Parquet files of images, rows of a table and texts, prepared."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import changed_value, damaged_bytes
from tests.robustness.fuzz.readers.prepared_set import prepared


def _images(count: int, size: int = 5) -> list[bytes]:
    draw, found = np.random.default_rng(0), []
    for _ in range(count):
        buffer = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (size, size), dtype=np.uint8)).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


def parquet(folder: Path) -> Reader:
    """Parquet files of images, rows of a table and texts, prepared."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, encoded = folder / "theirs.parquet", _images(8)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = [0, 1] * 4
    columns: dict[str, Any] = {
        "image": pa.array([{"bytes": content, "path": None} for content in encoded], kind),
        "label": pa.array(labels), "text": pa.array([f"a text {n}" for n in range(8)]),
        "x": pa.array([n / 8 for n in range(8)]),
    }  # fmt: skip
    others = [
        pa.array(labels, pa.uint64()), pa.array([2**64 - 1] * 8, pa.uint64()),
        pa.array([str(n) for n in range(8)]), pa.array([None] * 8), pa.array([[n] for n in labels]),
        pa.array([{"bytes": "x"}] * 8), pa.array([{"path": "x"}] * 8), pa.array([True] * 8),
        pa.array([float("nan")] * 8), pa.array(labels).dictionary_encode(),
        pa.array([0] * 8, pa.timestamp("s")), pa.array(labels, pa.int8()),
        pa.array([b"\xff"] * 8), pa.array([1] * 8, pa.decimal128(5)),
        pa.array([{"bytes": b"x"}] * 8), *columns.values(),
    ]  # fmt: skip
    features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}

    def written(table: Any) -> bytes:
        file = io.BytesIO()
        pq.write_table(table, file)
        return file.getvalue()

    def made(given: tuple[list[tuple[str, int]], Any]) -> bytes:
        chosen = [(name, others[place]) for name, place in given[0]]
        table = pa.Table.from_arrays([a for _, a in chosen], [name for name, _ in chosen])
        text = given[1] if isinstance(given[1], str) else json.dumps(given[1])
        stored = text.encode("utf-8", "surrogatepass")
        return written(table.replace_schema_metadata({b"huggingface": stored}))

    ways = {
        "images": prepared(folder, source="parquet", path=str(path)),
        "rows": prepared(folder, source="table", path=str(path), target="label"),
        "texts": prepared(folder, source="text", path=str(path)),
    }

    def read(given: tuple[str, bytes]) -> None:
        path.write_bytes(given[1])
        ways[given[0]]()

    names = st.sampled_from(["image", "img", "label", "text", "x", "", "label "])
    column = st.tuples(names, st.integers(0, len(others) - 1))
    good = written(pa.table(columns))
    content = damaged_bytes([good]) | st.tuples(
        st.lists(column, min_size=1, max_size=5), changed_value([features])
    ).map(made)  # fmt: skip
    return st.tuples(st.sampled_from(sorted(ways)), content), read
