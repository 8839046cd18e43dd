"""Tables of others, imported, and as cells.csv of an experiment."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import changed_value, damaged_bytes
from tests.robustness.fuzz.readers.written_back import csv_bytes


def tables(folder: Path) -> Reader:
    """Tables of others, imported, and as cells.csv of an experiment."""
    from prunebench.published.column_mapping import ColumnMapping
    from prunebench.published.import_table import import_results
    from prunebench.statistics.cells_table import read_cells
    from prunebench.statistics.published_results import read_published
    from prunebench.storage.layout import Layout
    from tests.published.conftest import PAPER, REPLICATED, mine

    layout, theirs = Layout(folder / "e"), folder / "theirs.csv"
    layout.root.mkdir()
    mine().to_csv(layout.cells_csv, index=False)
    seeds = [REPLICATED, layout.cells_csv.read_text(), PAPER]

    def imported() -> None:
        done = import_results(theirs, "Fuzz", layout, ColumnMapping(), replace=True)
        assert len(read_published(done.path, "e")) == len(done.cells)

    ways: dict[str, Callable[[], Any]] = {"import": imported, "cells": lambda: read_cells(theirs)}

    def read(given: tuple[str, bytes]) -> None:
        theirs.write_bytes(given[1])
        ways[given[0]]()

    rows = [list(csv.reader(io.StringIO(seed))) for seed in seeds]
    fields = changed_value(rows).map(csv_bytes)
    return st.tuples(
        st.sampled_from(sorted(ways)), fields | damaged_bytes([seed.encode() for seed in seeds])
    ), read  # fmt: skip
