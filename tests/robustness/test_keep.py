"""``compute.keep`` of a finished grid, tightened and loosened, through Snakemake and Python."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.robustness.disturbed import GRID, Place

pytestmark = pytest.mark.slow


def test_keep_frees_what_is_finished_and_computes_nothing_again(tmp_path: Path) -> None:
    place = Place.make(tmp_path)

    def keep(what: str) -> None:
        place.config(compute={**GRID["compute"], "keep": what})

    def pruned() -> list[Path]:
        found = (place.results / "cells").rglob("*.safetensors")
        return [path for path in found if path.parts[-3] != "dense"]

    def jobs() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (place.results / "jobs/curves").iterdir()}

    place.run(*place.snakemake())
    first, table, done = place.records(), pd.read_csv(place.results / "cells.csv"), jobs()
    assert pruned()

    keep("records")
    place.run(*place.snakemake())
    assert not pruned()

    keep("everything")
    place.run(*place.snakemake())
    place.api()
    assert "Nothing to be done" in place.run(*place.snakemake())
    assert not pruned()
    assert place.records() == first
    assert jobs() == done
    pd.testing.assert_frame_equal(pd.read_csv(place.results / "cells.csv"), table)
