"""Tables derived from stored predictions: the same, or told where a number was written over."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prunebench import cli
from prunebench.errors import PrunebenchError
from prunebench.report.tables import all_tables
from prunebench.reproduce.verify.derived_tables import Derived, derive
from prunebench.reproduce.verify.stored_experiment import chosen, load
from prunebench.statistics.cells_table import read_text
from prunebench.statistics.published_results import published_manifest, read_all
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.files import read_json, read_sealed, write_json, write_sealed
from prunebench.storage.layout import PROBES, Layout
from tests.conftest import ROOT
from tests.reproduce.verify.conftest import Ran


@pytest.fixture(scope="module")
def whole(ran: Ran, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished experiment, with its tables."""
    folder = tmp_path_factory.mktemp("whole") / "tiny"
    shutil.copytree(ran.results, folder)
    all_tables.write(read_all(Layout(folder)), Layout(folder))
    return folder


@pytest.fixture
def copy(ran: Ran, tmp_path: Path) -> Path:
    """One without tables, which take seconds to derive."""
    return Path(shutil.copytree(ran.results, tmp_path / "tiny", copy_function=shutil.copy2))


def overwritten(folder: Path, column: str, value: Any) -> str:
    """Write a value over one cell of the table; return what stood there."""
    table = read_text(folder / "cells.csv")
    row = table.index[(table["method"] == "imp") & (table["seed"] == "1")][0]
    before = table.loc[row, column]
    table.loc[row, column] = value(before) if callable(value) else value
    table.to_csv(folder / "cells.csv", index=False)
    return str(before)


def test_what_was_not_touched_is_confirmed(whole: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*")}
    found = derive(whole)
    assert found == Derived(cells=2 * 3 * (1 + 2 + 1), tables=found.tables)
    assert found.tables > 10
    assert found.confirmed
    assert {p: p.stat().st_mtime_ns for p in whole.rglob("*")} == before


def test_two_percent_written_over_one_cell_are_found(copy: Path) -> None:
    before = overwritten(copy, "test_error", lambda text: str(float(text) - 0.02))
    found = derive(copy)
    [difference] = found.differing
    assert (difference.column, difference.derived) == ("test_error", before)
    assert not found.confirmed
    text = str(found)
    assert f"test_error is {difference.table}, derived {before}" in text
    assert "NOT confirmed: 24 rows" in text


@pytest.mark.parametrize(
    ("column", "value"), [("params_kept", "3"), ("train_epochs", ""), ("message", "all is well")]
)
def test_any_other_field_is_found_too(copy: Path, column: str, value: str) -> None:
    overwritten(copy, column, value)
    assert [each.column for each in derive(copy).differing] == [column]


def test_a_table_that_was_written_over_is_found(whole: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "tiny", copy_function=shutil.copy2))
    table = copy / "tables" / "generalization.csv"
    table.write_text(table.read_text().replace("1", "2", 1))
    (copy / "tables" / "mine.md").write_text("| better |\n")
    assert derive(copy).differing_tables == [
        "tables/generalization.csv is not what follows from the cells",
        "tables/mine.md does not follow from these records",
    ]


def test_a_pipe_in_place_of_a_table_is_not_waited_for(copy: Path) -> None:
    (copy / "layers.csv").unlink()
    os.mkfifo(copy / "layers.csv")
    found = derive(copy)
    assert found.differing_tables == ["layers.csv is not what follows from the cells"]
    assert not found.confirmed


def test_a_probe_with_values_of_no_column(copy: Path) -> None:
    """Anybody can seal a file."""
    path = next(iter(sorted(copy.rglob(PROBES))))
    whole = read_sealed(path)
    for column, lines in (("distance", 0), ("dist\x1b[31mance", 1)):
        write_sealed(path, {**whole, "values": {**whole["values"], column: 0.5}})
        found = derive(copy)
        assert len(found.not_derived) == lines
        assert [each.column for each in found.differing] == ["distance"] * (1 - lines)
    assert f"{path} holds values of no column: 'dist\\x1b[31mance'" in found.not_derived[0]


def test_predictions_that_are_not_the_cells_own(copy: Path) -> None:
    """Others that go with the table they are not: the record has their hash."""
    cells = copy / "cells" / "digits" / "clean" / "seed-cnn" / "seed-0"
    place = cells / "imp" / "0.5" / "predictions.safetensors"
    shutil.copy(cells / "dense" / "0" / "predictions.safetensors", place)
    found = derive(copy)
    assert found.damaged == [str(place)]
    assert not found.confirmed


def test_rows_that_nothing_stands_behind(copy: Path) -> None:
    shutil.rmtree(copy / "cells/digits/clean/seed-cnn/seed-0/imp/0.5")
    config = read_json(copy / "config.json")
    write_json(copy / "config.json", {**config, "seeds": [0, 1]})
    found = derive(copy)
    assert len([line for line in found.not_derived if "record.json" in line]) == 1
    assert len([line for line in found.not_derived if "has no such cell" in line]) == 8
    assert not found.confirmed


def test_a_table_alone_says_that_nothing_can_be_derived() -> None:
    result = CliRunner().invoke(cli.app, ["verify", "--tables", "--json"], terminal_width=200)
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert (said["confirmed"], said["cells"]) == (False, 0)
    [line] = said["not_derived"]
    assert "has no cells/" in line


def test_which_cells_are_aimed_at() -> None:
    stored = load(ROOT / "results" / "reference" / "default")
    rows = set(stored.rows)
    some = set(chosen(stored, method="magnitude"))
    assert some == {row for row in rows if row.method == "magnitude"}
    assert set(chosen(stored, task="digits")) == rows
    assert set(chosen(stored)) == rows
    wanted = Coordinates("digits", "clean", "seed-cnn", 3, "magnitude", 0.5)
    for before in ("", "results/reference/default/cells/"):
        name = f"{before}digits/clean/seed-cnn/seed-3/magnitude/0.5"
        assert chosen(stored, cell=name) == [wanted]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"method": "magnitud"}, "--method: no method 'magnitud'; did you mean 'magnitude'"),
        ({"task": "digit"}, "--task: no task 'digit'; did you mean 'digits'"),
        ({"cell": "digits/clean/seed-cnn/seed-3/magnitude/0.4"}, "--cell: no cell"),
        ({"method": "magnitude", "cell": "digits/clean/seed-cnn/seed-3/random/0.5"}, "no cell"),
    ],
)  # fmt: skip
def test_cells_that_are_not_there_are_refused(asked: dict[str, str], told: str) -> None:
    with pytest.raises(PrunebenchError) as caught:
        chosen(load(ROOT / "results" / "reference" / "default"), **asked)
    assert told in str(caught.value)


def test_published_files_are_read_as_what_was_imported_and_nothing_else_is(copy: Path) -> None:
    folder, layout = copy / "published", Layout(copy)
    folder.mkdir()
    (folder / "round").symlink_to("..")  # would be copied without end
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    assert derive(copy).confirmed
    path = folder / "p.csv"
    path.write_text(
        "task,regime,model,method,family,seed,sparsity,status,test_error,source,source_file,"
        "source_sha256,source_units\ndigits,clean,net,x,unknown,0,0.5,ok,0.2,P,p.csv,0,fractions\n"
    )
    published_manifest(path).write([path])
    path.write_text(path.read_text().replace("0.2", "0.1"))
    (copy / "tables").mkdir()
    with pytest.raises(PrunebenchError, match=r"p\.csv was changed since it was imported"):
        derive(copy)
    assert [each.name for each in sorted(layout.published.iterdir())] == [
        "p.csv", "pipe", "round", "zero"
    ]  # fmt: skip
