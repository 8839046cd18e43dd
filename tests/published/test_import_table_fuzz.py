"""Any table and any mapping is imported or refused in one line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.published.column_mapping import COLUMNS, ColumnMapping, read_mapping
from prunebench.published.import_table import import_results
from prunebench.statistics.published_results import read_published
from prunebench.storage.layout import Layout
from tests.published.conftest import REPLICATED, mine

QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NASTY = st.sampled_from(
    ["=1", "+cmd", "@x", "nan", "inf", "1e400", "", " ", "0.5", "1", "93%", "dense", "ok", "t",
     "-1", "1_0", "１", "\u202e", '"', "'", "a,b", "a\nb", "x" * 200, "<script>", "0x1", "1e-400"]
)  # fmt: skip


def one_line(path: Path, mapping: ColumnMapping, layout: Layout) -> bool:
    """Import; whether it was refused, which must be one line. What is stored can be read."""
    refused = None
    try:
        done = import_results(path, "Fuzz", layout, mapping, replace=True)
    except PrunebenchError as error:
        refused = str(error)
    if refused is not None:
        assert len(refused.splitlines()) == 1
        return True
    assert len(read_published(done.path, "e")) == len(done.cells)
    return False


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, layout_once: Layout, content: bytes) -> None:
    path = tmp_path / "fuzz.csv"
    path.write_bytes(content)
    assert one_line(path, ColumnMapping(), layout_once)


@QUICK
@given(
    st.lists(st.lists(st.one_of(NASTY, st.text(max_size=5)), min_size=7, max_size=7), max_size=4),
    st.sampled_from([[], ["accuracy-percent"], ["error-percent", "compression-ratio"],
                     ["density-share"]]),
)  # fmt: skip
def test_any_fields(
    tmp_path: Path, layout_once: Layout, rows: list[list[str]], units: list[str]
) -> None:
    path = tmp_path / "fuzz.csv"
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "regime", "model", "method", "seed", "sparsity", "test_error"])
        writer.writerows(rows)
    one_line(path, ColumnMapping(units=units), layout_once)


@QUICK
@given(place=st.integers(0, 8), column=st.integers(0, 6), value=st.one_of(NASTY, st.text()))
def test_one_field_of_a_good_table(
    tmp_path: Path, layout_once: Layout, place: int, column: int, value: str
) -> None:
    rows = [line.split(",") for line in REPLICATED.splitlines()]
    rows[1 + place][column] = value
    path = tmp_path / "fuzz.csv"
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
        csv.writer(file).writerows(rows)
    one_line(path, ColumnMapping(), layout_once)


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(["columns", "constants", "values", "units", "dense", "x"]),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(st.sampled_from([*COLUMNS[:6], "x", "1"]), inner, max_size=3),
            ),
            max_leaves=6,
        ),
    )
)
def test_any_mapping(tmp_path: Path, written: dict[str, object]) -> None:
    import yaml

    path = tmp_path / "map.yaml"
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    refused, found = None, ColumnMapping()
    try:
        found = read_mapping(path)
    except PrunebenchError as error:
        refused = str(error)
    assert refused is None or len(refused.splitlines()) == 1
    assert set(found.columns) <= set(COLUMNS)


@pytest.fixture(scope="module")
def layout_once(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("e"))
    mine().to_csv(made.cells_csv, index=False)
    return made
