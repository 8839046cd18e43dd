"""The export to MLflow is complete, changes nothing the second time, and survives a kill."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from prunebench import tracking
from prunebench.storage import records
from prunebench.storage.layout import Layout
from prunebench.tracking import database_runs, export, tracking_uri
from prunebench.tracking import mlflow_export as syncing
from prunebench.tracking.database_runs import DatabaseRuns
from prunebench.tracking.mlflow_runs import read_runs
from prunebench.tracking.run_stores import ClientRuns
from tests.conftest import ROOT
from tests.tracking import helpers as made_up
from tests.tracking.looking import assert_equal_to_files, counts, refused, runs_of

# third parties' own, met inside mlflow
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]


def test_an_export_is_complete_and_a_second_changes_nothing(results: Path) -> None:
    layout, rows = made_up.experiment(results / "smoke", seeds=2)
    assert counts(export(layout)) == (10, 0, 0, 0)
    before = runs_of(layout)
    assert_equal_to_files(layout, before)
    assert counts(export(layout)) == (0, 0, 0, 10)
    after = runs_of(layout)
    assert {run.info.run_id for run in after.values()} == {r.info.run_id for r in before.values()}
    assert all(run.info.start_time == before[key].info.start_time for key, run in after.items())
    assert len(rows) == 10


def test_changed_rows_are_replaced_and_vanished_ones_removed(results: Path) -> None:
    layout, rows = made_up.experiment(results / "smoke")
    export(layout)
    before = runs_of(layout)
    baseline, changed = rows[0], rows[2]
    changed.update(test_error=0.125, status=records.DIVERGED, message="loss is NaN")
    baseline.update(test_error=0.25)
    made_up.write_cells(layout, rows[:-1])
    assert counts(export(layout)) == (0, 2, 1, 2)
    after = runs_of(layout)
    assert_equal_to_files(layout, after)  # also: the kept ones hang under the new baseline
    key = "digits/noisy-40/test_resnet/seed-0/magnitude/0.9375"
    assert after[key].info.run_id != before[key].info.run_id
    assert after[key].info.status == "FAILED"
    assert after[key].data.tags["mlflow.note.content"].startswith("loss is NaN")
    assert after["experiment"].info.run_id == before["experiment"].info.run_id


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        *((MlflowClient, name) for name in ("create_run", "log_batch", "set_terminated")),
        *((MlflowClient, name) for name in ("log_artifact", "delete_run")),
        *((DatabaseRuns, name) for name in ("add", "flush")),
    ],
)
@pytest.mark.parametrize("calls", [1, 4])
def test_an_interrupted_export_is_completed(
    results: Path, monkeypatch: pytest.MonkeyPatch, owner: type, method: str, calls: int
) -> None:
    layout, rows = made_up.experiment(results / "smoke")
    monkeypatch.setattr(database_runs, "ROWS", 1)  # each run at once
    if method == "delete_run":  # of runs that others replace
        export(layout)
        made_up.write_cells(layout, [row | {"test_error": 0.25} for row in rows])
    original: Callable[..., Any] = getattr(owner, method)
    left = [calls]

    def dies(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = original(self, *args, **kwargs)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, dies)
        if owner is MlflowClient:  # which writes the runs of a server
            patch.setattr(tracking, "store_of", ClientRuns)
        with pytest.raises(KeyboardInterrupt):
            export(layout)
    export(layout)
    assert_equal_to_files(layout, runs_of(layout))
    assert counts(export(layout)) == (0, 0, 0, 5)


def test_a_kill_within_a_transaction_leaves_whole_runs(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke", seeds=2)
    code = f"""
import os, signal
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from prunebench.storage.layout import Layout
from prunebench.tracking import database_runs, export
database_runs.ROWS = 200
last = []
@event.listens_for(Engine, "after_cursor_execute")
def die(connection, cursor, statement, parameters, context, many):
    if statement.startswith("INSERT INTO latest_metrics"):
        last.append(statement)
        if len(last) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
export(Layout(Path({str(layout.root)!r})))
"""
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert child.returncode == -signal.SIGKILL
    there = runs_of(layout)
    wanted = {run.key: run for run in read_runs(layout)}
    assert there.pop("experiment").info.status == "RUNNING"
    assert 2 < len(there) < len(wanted)
    for key, run in there.items():
        assert run.data.metrics.keys() == {name for name, _, _ in wanted[key].metrics}
        assert run.data.params == wanted[key].params
        assert run.info.status == "FINISHED"
    cells = sum(wanted[key].is_cell for key in there)
    assert counts(export(layout)) == (10 - cells, 0, 0, cells)
    assert_equal_to_files(layout, runs_of(layout))


def test_cells_are_exported_before_there_are_tables(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke")
    assert counts(export(layout, whole=False)) == (5, 0, 0, 0)
    before = runs_of(layout)
    top = before.pop("experiment")
    assert top.info.status == "RUNNING"
    assert not MlflowClient(tracking_uri(layout)).list_artifacts(top.info.run_id)
    done = export(layout)
    assert counts(done) == (0, 0, 0, 5)
    assert "(tables and figures; " in str(done)
    assert "(nothing new; " in str(export(layout))
    after = runs_of(layout)
    assert_equal_to_files(layout, after)
    assert after["experiment"].info.run_id == top.info.run_id
    assert {key: run.info.run_id for key, run in before.items()} == {
        key: run.info.run_id for key, run in after.items() if key != "experiment"
    }
    # nor does it open again what is whole
    assert counts(export(layout, whole=False)) == (0, 0, 0, 5)
    assert runs_of(layout)["experiment"].info.status == "FINISHED"


@pytest.mark.parametrize("lost", ["params", "metrics"])
def test_a_run_that_lacks_what_it_shall_hold_is_replaced(results: Path, lost: str) -> None:
    """It carries its digest from the first, and ends before it is filled."""
    layout, _ = made_up.experiment(results / "smoke")
    export(layout)
    key = "digits/noisy-40/test_resnet/seed-0/magnitude/0.9375"
    run = runs_of(layout)[key].info.run_id
    with closing(sqlite3.connect(layout.database)) as database:
        for table in ("params",) if lost == "params" else ("metrics", "latest_metrics"):
            database.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (run,))
        database.commit()
    assert counts(export(layout)) == (0, 1, 0, 4)
    assert_equal_to_files(layout, runs_of(layout))


def test_moved_results_do_not_write_to_the_old_place(results: Path, tmp_path: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke", methods=())
    export(layout)
    results.rename(tmp_path / "moved")
    moved = Layout(tmp_path / "moved" / "smoke")
    assert counts(export(moved)) == (1, 0, 0, 0)
    assert counts(export(moved)) == (0, 0, 0, 1)
    assert not results.exists()
    assert_equal_to_files(moved, runs_of(moved))


def test_a_deleted_experiment_comes_back(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke", methods=())
    export(layout)
    client = MlflowClient(tracking_uri(layout))
    found = client.get_experiment_by_name("prunebench/smoke")
    assert found is not None
    client.delete_experiment(found.experiment_id)
    export(layout)
    assert_equal_to_files(layout, runs_of(layout))


def test_others_runs_in_the_same_experiment_are_left_alone(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shared")
    one, _ = made_up.experiment(results / "one", methods=())
    two, _ = made_up.experiment(results / "two", methods=())
    export(one)
    client = MlflowClient(tracking_uri(one))
    found = client.get_experiment_by_name("shared")
    assert found is not None
    client.create_run(found.experiment_id, tags={"experiment": "two"})
    export(two)
    assert len(client.search_runs([found.experiment_id])) == 5


def test_a_server_that_is_too_slow_is_given_up(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, _ = made_up.experiment(results / "smoke")
    monkeypatch.setattr(syncing, "GRACE", 0.0)
    monkeypatch.setattr(syncing, "GRACE_PER_RUN", 0.0)
    assert "too slow" in refused(layout)
    monkeypatch.undo()
    export(layout)
    assert_equal_to_files(layout, runs_of(layout))


def test_the_way_to_the_runs_is_an_address_or_a_server_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    layout = Layout(tmp_path / "results" / "mine")
    page = "#/experiments/3/runs?workflowType=machine_learning"

    def told(uri: str) -> str:
        counts = tracking.CellCounts(1, 0, 0, 0)
        return tracking.way_to(layout, tracking.Exported(uri, "prunebench/mine", "3", counts, 1.0))

    assert told("http://host:5000/") == f"http://host:5000/{page}"
    # of an address that holds a password the rest is the reader's to know
    assert told("http://name:secret@host:5000") == f"{page}, behind the server's address"
    own = told(tracking.tracking_uri(layout))
    assert own.endswith(f"mlflow.db, then http://127.0.0.1:5000/{page}")
    assert " ui --backend-store-uri " in own
    assert told("sqlite:////elsewhere.db") == f"{page}, behind the server's address"


def test_what_is_printed_last_leads_to_the_runs(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    one, _ = made_up.experiment(results / "one", methods=())
    two, _ = made_up.experiment(results / "two", methods=())
    assert "#" not in tracking.where_to_look(one)  # nothing is there yet
    for layout in (one, two):
        export(layout)
    found = MlflowClient(tracking_uri(two)).get_experiment_by_name("prunebench/two")
    assert found is not None
    page = f"#/experiments/{found.experiment_id}/runs?workflowType=machine_learning"
    assert tracking.where_to_look(two).endswith(f"mlflow.db, then http://127.0.0.1:5000/{page}")
