"""Configurations, as every command reads them."""

from __future__ import annotations

from pathlib import Path

import yaml
from hypothesis import strategies as st

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import changed_value, damaged_bytes
from tests.robustness.fuzz.readers.written_back import json_bytes

ROOT = Path(__file__).resolve().parents[4]


def settings(folder: Path) -> Reader:
    """Configurations, as every command reads them."""
    from prunebench.cli.app import plan_of

    texts = [path.read_bytes() for path in sorted((ROOT / "config").glob("*.yaml"))]
    values = [yaml.safe_load(text) for text in texts]
    path = folder / "grid.yaml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        plan_of(path)

    encoded = st.sampled_from(("utf-16", "utf-8-sig", "latin-1"))
    return damaged_bytes(texts) | changed_value(values).map(json_bytes) | st.tuples(
        st.sampled_from(texts), encoded
    ).map(lambda both: both[0].decode().encode(both[1], "replace")), read  # fmt: skip
