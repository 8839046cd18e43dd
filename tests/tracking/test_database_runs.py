"""Runs in bulk: the rows that MLflow's client would write, and read as it would read them."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from prunebench import tracking
from prunebench.tracking import database_runs, export, mlflow_export
from prunebench.tracking.database_runs import COLUMNS, DatabaseRuns, store_of
from prunebench.tracking.mlflow_runs import MlflowRun
from prunebench.tracking.run_stores import ClientRuns, RunStore
from tests.tracking import helpers as made_up
from tests.tracking.looking import assert_equal_to_files, counts, free_port, refused, runs_of

# third parties' own, met inside mlflow
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]
# what no version of MLflow has: then the client does all
OTHER = {**COLUMNS, "tags": {*COLUMNS["tags"], "colour"}}
NOW = 1_700_000_000_000
PLAIN = MlflowRun("plain", None, "plain", {"level": "cell"}, {"p": "1"}, (("m", 0.5, 100),))
RUNS = (
    PLAIN,
    MlflowRun("nothing", None, "n", {}),
    MlflowRun("failed", None, "f", {"status": "failed"}, {"p": ""}, failed=True, seconds=3.25),
    MlflowRun(
        "signs", None, "größe · 好 🙂 'x'", {"mlflow.note.content": "5 % ∈ {1}\n\n- 'a'", "é": "ü"},
        {"ä.b/c d": "naïve ✓ \x7f"}, (("history/ümlaut", 1.0, 0),),
    ),
    MlflowRun("long", None, "l" * 250, {"t": "x" * 9000, "k" * 250: "y"},
              {"long": "z" * 7000, "q" * 250: "z" * 6000}, (("n" * 250, 1.0, 1),)),
    MlflowRun(
        "history", None, "h", {}, {},
        (
            *(("history/loss", 1 / (1 + step), step) for step in (3, 9, 0, 5)),
            ("same/step", 2.0, 7), ("same/step", 5.0, 7), ("same/step", -3.0, 7),
            ("twice", 1.5, 2), ("twice", 1.5, 2), ("below", 1.0, -4), ("below", 2.0, -9),
            ("large", 1e308, 10**12), ("small", 5e-324, 1), ("zero", -0.0, 1), ("zero", 0.0, 1),
        ),
    ),
    MlflowRun(
        "not finite", None, "i", {}, {},
        (
            ("a", float("inf"), 1), ("a", 1.7976931348623157e308, 1), ("b", float("-inf"), 1),
            ("c", float("nan"), 1), ("c", float("nan"), 1), ("c", -1.0, 1), ("d", -1.0, 1),
            ("d", float("nan"), 1), ("e", 0.0, 1), ("e", float("nan"), 1),
        ),
    ),
    MlflowRun(
        "many", None, "m", {f"t{i}": "" for i in range(130)},
        {f"p{i}": f"{i}" for i in range(230)},
        tuple((f"m{i % 400}", float(i), i // 400) for i in range(2300)),
    ),
)  # fmt: skip


@pytest.fixture
def empty(tmp_path: Path, schema: bytes) -> Path:
    """A database with one experiment, of the id 2, and no run."""
    path = tmp_path / "empty.db"
    path.write_bytes(schema)
    number = MlflowClient(f"sqlite:///{path}").create_experiment("e", f"{tmp_path.as_uri()}/a%20b")
    assert number == "2"
    return path


@pytest.fixture
def both(empty: Path, tmp_path: Path) -> dict[Path, RunStore]:
    """Two copies of it, written by MLflow's client and in bulk."""
    stores: dict[Path, RunStore] = {}
    for name, columns in (("client.db", OTHER), ("bulk.db", COLUMNS)):
        shutil.copy(empty, tmp_path / name)
        client = MlflowClient(f"sqlite:///{tmp_path / name}")
        stores[tmp_path / name] = store_of(client, "2", columns)
    assert [type(store) for store in stores.values()] == [ClientRuns, DatabaseRuns]
    return stores


def write(store: RunStore) -> dict[str, str]:
    """All runs, each the parent of the next; what they are called, by their id."""
    names: dict[str, str] = {}
    for number, run in enumerate(RUNS):
        above = {"mlflow.parentRunId": list(names)[-1]} if names else {}
        names[store.add(run, run.tags | above, NOW - number)] = run.key
    store.flush()
    assert store.waiting == 0
    return names


def content(path: Path, names: Mapping[str, str]) -> dict[str, list[str]]:
    """Every row of every table, with names in place of the runs' ids."""
    ids = re.compile("|".join(names))
    with closing(sqlite3.connect(path)) as opened:
        listed = opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            table: sorted(
                ids.sub(lambda found: names[found[0]], repr(row))
                for row in opened.execute(f"SELECT * FROM {table}")
            )
            for (table,) in listed
        }


def lengths(path: Path) -> dict[str, int]:
    """How many rows the tables have that hold runs."""
    with closing(sqlite3.connect(path)) as opened:
        return {
            table: opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in COLUMNS
        }


def test_the_rows_are_those_of_the_client(both: dict[Path, RunStore]) -> None:
    by_client, in_bulk = (content(path, write(store)) for path, store in both.items())
    for table in COLUMNS:
        assert in_bulk[table] == by_client[table], table
    assert in_bulk == by_client  # nor does the client write into any other table
    # by hand, to be sure of what is compared
    latest = "('same/step', 5.0, 1699999999995, 7, 0, 'history')"
    assert latest in in_bulk["latest_metrics"]
    assert sum(row.startswith("('same/step'") for row in in_bulk["metrics"]) == 3
    assert sum(row.startswith("('twice'") for row in in_bulk["metrics"]) == 1


def test_the_runs_are_read_as_by_the_client(both: dict[Path, RunStore]) -> None:
    path, in_bulk = list(both.items())[1]
    client = MlflowClient(f"sqlite:///{path}")
    write(in_bulk)
    for _ in range(3):
        in_bulk.add(PLAIN, {}, NOW - 2)  # in the same moment as another
    gone = in_bulk.add(PLAIN, {}, NOW + 1)
    in_bulk.flush()
    client.delete_run(gone)
    client.create_run("2", NOW - 3, {"of": "somebody"})  # which still runs
    client.create_run("0")  # of another experiment
    expected = [run for page in ClientRuns(client, "2").pages() for run in page]
    assert [run for page in in_bulk.pages() for run in page] == expected
    assert len(expected) == len(RUNS) + 4
    assert gone not in {run.run_id for run in expected}


@pytest.mark.parametrize(
    "wrong",
    [
        {"params": {"a//b": "1"}},
        {"params": {"a\nb": "1"}},
        {"params": {"p" * 251: "1"}},
        {"metrics": (("ok", 1.0, 0), ("../m", 1.0, 0))},
        {"metrics": (("m" * 251, 1.0, 0),)},
        {"metrics": (("", 1.0, 0),)},
    ],
)
def test_what_the_client_refuses_is_refused(
    both: dict[Path, RunStore], wrong: dict[str, Any]
) -> None:
    told = []
    for store in both.values():
        with pytest.raises(MlflowException) as caught:
            store.add(replace(PLAIN, **wrong), {}, NOW)
        told.append(str(caught.value))
    assert told[0] == told[1]
    path, in_bulk = list(both.items())[1]
    before = lengths(path)
    in_bulk.add(PLAIN, {}, NOW)
    in_bulk.flush()
    assert lengths(path) == {table: rows + 1 for table, rows in before.items()}  # only of the other


def test_truncated_values_are_a_choice_of_mlflow(
    both: dict[Path, RunStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    for store in both.values():
        with pytest.raises(MlflowException, match="exceeds the maximum length of 6000"):
            store.add(replace(PLAIN, params={"p": "x" * 6001}), {}, NOW)


@pytest.mark.parametrize(
    "columns",
    [
        OTHER,
        {**COLUMNS, "params": COLUMNS["params"] - {"value"}},
        {**COLUMNS, "run_colours": {"run_uuid", "colour"}},
    ],
)
def test_unknown_tables_are_left_to_the_client(empty: Path, columns: Any) -> None:
    client = MlflowClient(f"sqlite:///{empty}")
    assert isinstance(store_of(client, "2"), DatabaseRuns)
    assert isinstance(store_of(client, "2", columns), ClientRuns)


def test_a_server_and_workspaces_are_left_to_the_client(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MlflowClient(f"http://127.0.0.1:{free_port()}")
    assert isinstance(store_of(server, "2"), ClientRuns)
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    monkeypatch.setenv("MLFLOW_WORKSPACE_STORE_URI", f"sqlite:///{empty}")
    shutil.copy(empty, tmp_path / "workspaces.db")
    client = MlflowClient(f"sqlite:///{tmp_path / 'workspaces.db'}")
    assert isinstance(store_of(client, "2"), ClientRuns)


def test_an_export_into_unknown_tables_is_the_same(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, _ = made_up.experiment(results / "smoke")
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "store_of", partial(store_of, columns=OTHER))
        assert counts(export(layout)) == (5, 0, 0, 0)
        assert_equal_to_files(layout, runs_of(layout))
        assert counts(export(layout)) == (0, 0, 0, 5)
    assert counts(export(layout)) == (0, 0, 0, 5)  # as it would be in bulk, too


def test_what_is_said_of_an_export_that_is_too_slow_is_in_the_database(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, _ = made_up.experiment(results / "smoke")
    add = DatabaseRuns.add

    def stuck(self: DatabaseRuns, run: MlflowRun, tags: dict[str, str], start: int) -> str:
        if run.key.endswith("magnitude/0.9375"):  # the sixth of eight
            monkeypatch.setattr(mlflow_export, "GRACE", -1e9)
        return add(self, run, tags, start)

    monkeypatch.setattr(DatabaseRuns, "add", stuck)
    monkeypatch.setattr(database_runs, "ROWS", 150)  # of two runs or three
    said = re.search(r"too slow: (\d+) of 8 runs", refused(layout))
    assert said is not None
    assert 1 < int(said[1]) < 6
    assert len(runs_of(layout)) == int(said[1])
