"""The table of measures: every column of quality once, for people and programs, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prunebench.errors import PrunebenchError
from prunebench.evaluation.measures_table import (
    fill,
    measure_rows,
    measures_by_origin,
    measures_table,
)
from prunebench.experiment.part_kinds import Probe
from prunebench.experiment.registry import builtin, load
from prunebench.storage.records import QUALITY, SHRUNK, SIZE

PROBED = [column for spec in builtin(Probe).values() for column in spec.traits.columns]
SIZES = [column for column in (*SIZE, *SHRUNK) if column in PROBED]


def test_every_measured_column_has_one_row() -> None:
    rows = measure_rows()
    assert [row["column"] for row in rows] == [*QUALITY, *SIZES]
    assert set(PROBED) <= {row["column"] for row in rows}
    for row in rows:
        assert list(row) == ["column", "better", "unit", "formula", "source", "summary", "kinds",
                             "probe"]  # fmt: skip
        assert row["better"] in ("lower", "higher", "zero", "")
        assert all(row[key] for key in ("unit", "formula", "source"))
        assert row["summary"].endswith(".")
    json.dumps(rows)


def test_probes_are_known_by_name() -> None:
    assert set(builtin(Probe)) == {
        "corruptions", "distance", "encoded", "quantized", "ranking", "sharpness", "shrunk",
        "translated",
    }  # fmt: skip
    assert {row["probe"] for row in measure_rows()} == {"", *builtin(Probe)}
    for name, spec in builtin(Probe).items():
        assert load(spec).__name__ == name
        assert {"columns", "better", "unit", "source"} <= spec.traits.model_fields_set


def test_the_page_says_which_kinds_have_which() -> None:
    page = measures_by_origin()
    for column in ("test_popular_error", "test_rare_error"):
        row = next(line for line in page.splitlines() if f"`{column}`" in line)
        assert "| recommendation |" in row
    assert "| language‑model, translation |" in next(
        line for line in page.splitlines() if "`test_uncertainty`" in line
    )
    ranking = page.partition("## Probe: ranking")[2].partition("##")[0]
    assert "Kinds of tasks: recommendation." in ranking
    assert "Kinds of tasks" not in page.partition("## Probe: distance")[2].partition("##")[0]


def test_the_table_has_a_line_for_each() -> None:
    lines = measures_table().splitlines()
    assert len(lines) == 2 + len(QUALITY) + len(SIZES)
    fields = {line.replace(r"\|", "").count("|") for line in lines}
    assert fields == {9}  # a bar in a formula ends no field


def test_fill_renews_what_is_between_the_marks() -> None:
    text = "before\n<!-- measures -->\nformer table\n<!-- /measures -->\nafter <!-- methods -->\n"
    found = fill(text)
    assert found.startswith("before\n<!-- measures -->\n\n")
    assert found.endswith("|\n\n<!-- /measures -->\nafter <!-- methods -->\n")
    assert measures_by_origin() in found
    assert "former table" not in found
    assert fill(found) == found


@pytest.mark.parametrize(
    "text", ["", "<!-- measures -->\nlost", "<!-- /measures -->\n<!-- measures -->\nlost"]
)
def test_fill_overwrites_nothing_without_both_marks(text: str) -> None:
    with pytest.raises(PrunebenchError, match="put <!-- measures --> and <!-- /measures -->"):
        fill(text)


def test_listing_imports_no_torch(repository: Path) -> None:
    code = (
        "import sys; from prunebench.evaluation.measures_table import measures_table\n"
        "measures_table()\n"
        "assert not {'torch', 'timm', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
