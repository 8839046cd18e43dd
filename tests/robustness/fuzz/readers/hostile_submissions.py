"""Submissions, with all checks that compute nothing again."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from pathlib import Path

import yaml
from hypothesis import strategies as st

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import changed_value, damaged_bytes
from tests.robustness.fuzz.readers.tiny_experiment import finished
from tests.robustness.fuzz.readers.written_back import (
    csv_bytes,
    json_bytes,
    safetensors_bytes,
    safetensors_parts,
)


def submissions(folder: Path) -> Reader:
    """Submissions, with all checks that compute nothing again."""
    from prunebench.reproduce.submission.check import TABLES
    from prunebench.reproduce.submission.check_masks import masks
    from prunebench.reproduce.submission.pack import pack
    from prunebench.reproduce.submission.submission_folder import Form, load

    plan, place = finished(folder), folder / "submission"
    pack(plan.layout.root, place, Form(name="mine", method="random"))
    whole = {path: path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}
    whole |= {place / "more.json": b"{}\n"}

    def inputs(path: Path) -> st.SearchStrategy[tuple[Path, bytes]]:
        content = whole[path]
        found = damaged_bytes([content])
        if path.suffix == ".json":
            found |= changed_value([json.loads(content)]).map(json_bytes)
        elif path.suffix == ".yaml":
            found |= changed_value([yaml.safe_load(content)]).map(json_bytes)
        elif path.suffix == ".csv":
            rows = list(csv.reader(io.StringIO(content.decode())))
            found |= changed_value([rows]).map(csv_bytes)
        elif path.suffix == ".safetensors":
            header, data = safetensors_parts(content)
            found |= changed_value([header]).map(partial(safetensors_bytes, data=data))
        return found.map(lambda changed: (path, changed))

    def read(given: tuple[Path, bytes]) -> None:
        path, content = given
        path.write_bytes(content)
        try:
            submission = load(place)
            found = [each for _, _, look in TABLES for each in look(submission)]
            found += masks(submission, folder / "data", False)
            assert all(str(each).isprintable() for each in found)
        finally:
            path.write_bytes(whole[path])

    return st.one_of([inputs(path) for path in whole]), read
