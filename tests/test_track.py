"""The export to MLflow: SQLite, and a real server that is started, killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as Live

from prunebench import records
from prunebench.errors import PrunebenchError
from prunebench.files import write_json
from prunebench.layout import HISTORY, Layout
from prunebench.track import Exported, export, server_command, tracking_uri
from prunebench.track import sync as syncing
from tests import track_helpers as made_up

# third parties' own, met inside mlflow
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]
NUMBERS = (*records.SIZE, *records.QUALITY, *records.COST)


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty database: making one takes longer than most of the tests."""
    layout, _ = made_up.experiment(tmp_path_factory.mktemp("schema") / "e", methods=())
    export(layout)
    path = layout.root.parent / "mlflow.db"
    client = MlflowClient(f"sqlite:///{path}")
    found = client.get_experiment_by_name("prunebench/e")
    assert found is not None
    client.rename_experiment(found.experiment_id, "old")
    client.delete_experiment(found.experiment_id)
    return path.read_bytes()


@pytest.fixture
def results(tmp_path: Path, schema: bytes) -> Path:
    """A results folder with a database that has no experiment yet."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "mlflow.db").write_bytes(schema)
    return tmp_path / "results"


def runs_of(layout: Layout, uri: str | None = None) -> dict[str, Live]:
    """The runs that MLflow shows, by their cell; fails where one is there twice."""
    client = MlflowClient(uri or tracking_uri(layout))
    experiment = client.get_experiment_by_name(f"prunebench/{layout.root.name}")
    assert experiment is not None
    runs = list(client.search_runs([experiment.experiment_id], max_results=1000))
    by_key = {run.data.tags["prunebench.cell"]: run for run in runs}
    assert len(by_key) == len(runs)
    return by_key


def assert_equal_to_files(layout: Layout, runs: dict[str, Live]) -> None:
    """Nesting, metrics and completeness as the table says."""
    table = pd.read_csv(layout.cells_csv)
    assert len(runs) == len(table) + 1
    for row in table.to_dict("records"):
        group = f"{row['task']}/{row['regime']}/{row['model']}/seed-{row['seed']}"
        run = runs[f"{group}/{row['method']}/{row['sparsity']:.10g}"]
        above = "experiment" if row["method"] == "dense" else f"{group}/dense/0"
        assert run.data.tags["mlflow.parentRunId"] == runs[above].info.run_id
        there = {name: value for name, value in run.data.metrics.items() if "/" not in name}
        expected = {name: float(row[name]) for name in NUMBERS if pd.notna(row[name])}
        assert there == expected
        assert run.data.tags["prunebench.content"]
        assert run.info.status in ("FINISHED", "FAILED")
    assert runs["experiment"].data.tags["prunebench.content"]


def counts(done: Exported) -> tuple[int, int, int, int]:
    return done.created, done.replaced, done.removed, done.unchanged


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


def test_what_a_person_reads(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke")
    export(layout)
    runs = runs_of(layout)
    run = runs["digits/noisy-40/test_resnet/seed-0/imp/0.9375"]
    assert run.info.run_name == "imp 93.75 % · noisy-40 · test_resnet · seed 0"
    assert run.info.end_time - run.info.start_time == 3250  # the seconds of training
    wanted = {"family": "weight", "method": "imp", "regime": "noisy-40", "sparsity": "0.9375"}
    assert wanted.items() <= run.data.tags.items()
    assert run.data.tags["mlflow.note.content"] == "prunes by imp"
    assert run.data.params["method.criterion"] == "imp"
    assert run.data.params["method.criterion.power"] == "2"
    assert run.data.params["regime.label_noise"] == "0.4"
    assert run.data.params["training.epochs"] == "99"  # the model's own goes before the common
    assert "task.path" not in run.data.params
    ordered = sorted(runs.values(), key=lambda r: r.info.start_time, reverse=True)
    assert ordered[0].info.run_name == "smoke"
    assert ordered[1].info.run_name.startswith("dense")
    assert "0.31 ± 0.01" in runs["experiment"].data.tags["mlflow.note.content"]


def test_history_has_steps_and_no_missing_values(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke")
    where = layout.cell("digits", "noisy-40", "test_resnet", 0, "imp", 0.5) / HISTORY
    write_json(where, made_up.history(3) + made_up.history(3))  # two rounds, each from epoch 0
    export(layout)
    client, runs = MlflowClient(tracking_uri(layout)), runs_of(layout)

    def steps(key: str, metric: str) -> list[int]:
        return [m.step for m in client.get_metric_history(runs[key].info.run_id, metric)]

    group = "digits/noisy-40/test_resnet/seed-0"
    assert sorted(steps(f"{group}/dense/0", "history/train_loss")) == [0, 1, 2, 3]
    assert sorted(steps(f"{group}/dense/0", "history/val_error")) == [1, 3]
    assert sorted(steps(f"{group}/imp/0.5", "history/train_loss")) == [0, 1, 2, 3, 4, 5]
    assert steps(f"{group}/imp/0.5", "test_error") == [5000]
    assert "memorized" in runs[f"{group}/imp/0.5"].data.metrics
    assert "corrupted_error" not in runs[f"{group}/imp/0.5"].data.metrics


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


def test_artifacts_follow_the_files(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke", methods=())
    export(layout)
    client = MlflowClient(tracking_uri(layout))

    def stored() -> dict[str, bytes]:
        root = Path(client.download_artifacts(runs_of(layout)["experiment"].info.run_id, ""))
        files = [path for path in root.rglob("*") if path.is_file()]
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}

    names = {"cells.csv", "config.json", "leaderboard.html", "leaderboard.md"}
    assert set(stored()) == names | {"figures/error.png", "tables/test_error.md"}
    layout.leaderboard("html").write_text("<p>new", encoding="utf-8")
    export(layout)
    assert stored()["leaderboard.html"] == b"<p>new"
    (layout.figures / "error.png").unlink()
    export(layout)
    assert set(stored()) == names | {"tables/test_error.md"}
    assert_equal_to_files(layout, runs_of(layout))


@pytest.mark.parametrize("method", ["create_run", "log_batch", "set_terminated", "log_artifact"])
@pytest.mark.parametrize("calls", [1, 4])
def test_an_interrupted_export_is_completed(
    results: Path, monkeypatch: pytest.MonkeyPatch, method: str, calls: int
) -> None:
    layout, _ = made_up.experiment(results / "smoke")
    original: Callable[..., Any] = getattr(MlflowClient, method)
    left = [calls]

    def dies(self: MlflowClient, *args: Any, **kwargs: Any) -> Any:
        done = original(self, *args, **kwargs)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, method, dies)
        with pytest.raises(KeyboardInterrupt):
            export(layout)
    export(layout)
    assert_equal_to_files(layout, runs_of(layout))
    assert counts(export(layout)) == (0, 0, 0, 5)


def test_a_killed_process_leaves_nothing_that_the_next_export_does_not_mend(tmp_path: Path) -> None:
    layout, _ = made_up.experiment(tmp_path / "r" / "smoke", seeds=8)
    code = f"from pathlib import Path; from prunebench.layout import Layout; from prunebench.track \
import export; export(Layout(Path({str(layout.root)!r})))"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[1])
    database = tmp_path / "r" / "mlflow.db"
    limit = time.monotonic() + 40
    while not database.exists() and time.monotonic() < limit:
        time.sleep(0.02)
    time.sleep(0.5)  # into the middle of the runs
    child.kill()
    child.wait()
    export(layout)
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


def test_names_that_pandas_would_take_for_missing(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke", regimes=("NA", "none"), methods=())
    export(layout)
    regimes = {run.data.tags.get("regime") for run in runs_of(layout).values()}
    assert regimes == {None, "NA", "none"}


def _spoil_table(layout: Layout) -> None:
    layout.cells_csv.write_bytes(b"\xff\xfe\x00")


def _drop_column(layout: Layout) -> None:
    pd.read_csv(layout.cells_csv).drop(columns="test_nll").to_csv(layout.cells_csv, index=False)


def _double_row(layout: Layout) -> None:
    text = layout.cells_csv.read_text(encoding="utf-8")
    layout.cells_csv.write_text(text + text.splitlines()[1] + "\n", encoding="utf-8")


def _spoil_history(layout: Layout) -> None:
    next(layout.root.rglob(HISTORY)).write_text('[{"epoch": 1,', encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda layout: layout.cells_csv.unlink(), "is missing"),
        (_spoil_table, "damaged"),
        (_drop_column, "test_nll"),
        (_double_row, "twice"),
        (_spoil_history, "history.json is damaged"),
    ],
)
def test_damaged_files_are_named(
    tmp_path: Path, spoil: Callable[[Layout], None], says: str
) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    spoil(layout)
    with pytest.raises(PrunebenchError, match=says):
        export(layout)
    assert not (tmp_path / "mlflow.db").exists()


def refused(layout: Layout, uri: str | None = None) -> str:
    """The message of an export that fails, within bounded time."""
    start = time.monotonic()
    with pytest.raises(PrunebenchError) as caught:
        export(layout, uri)
    assert time.monotonic() - start < 20
    text = str(caught.value)
    assert "\n" not in text
    print(text)  # shown where one of the assertions below fails
    assert f"python -m prunebench track {layout.root}" in text
    return text


def test_unusable_stores_are_one_line(tmp_path: Path) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    (tmp_path / "not.db").write_bytes(b"this is no database, but long enough to be read" * 50)
    assert "not a database" in refused(layout, f"sqlite:///{tmp_path / 'not.db'}")
    (tmp_path / "folder.db").mkdir()
    assert "unable to open" in refused(layout, f"sqlite:///{tmp_path / 'folder.db'}")
    refused(layout, "nonsense://user:secret@host/x")
    text = refused(layout, f"http://user:secret@127.0.0.1:{free_port()}")
    assert "refused" in text
    assert "secret" not in text


def test_a_server_that_is_too_slow_is_given_up(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, _ = made_up.experiment(results / "smoke")
    monkeypatch.setattr(syncing, "GRACE", 0.05)
    monkeypatch.setattr(syncing, "GRACE_PER_RUN", 0.0)
    assert "too slow" in refused(layout)
    monkeypatch.undo()
    export(layout)
    assert_equal_to_files(layout, runs_of(layout))


def test_the_command_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = server_command(Layout(Path("results/smoke")))
    assert command.endswith("mlflow ui --backend-store-uri sqlite:///results/mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@server:5000")
    assert server_command(Layout(Path("results/smoke"))) == "http://***@server:5000"


# -- a real server -------------------------------------------------------------------------------


# its job runners are processes of their own that take long to start
_NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(folder: Path, port: int) -> Iterator[Callable[[], None]]:
    """A running ``mlflow server``; yields what kills it with all its workers."""
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **_NO_JOBS},
        )  # fmt: skip

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    try:
        limit = time.monotonic() + 300  # a busy machine takes long to start it
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < limit
                time.sleep(0.1)
        yield kill
    finally:
        kill()


class _Answers(BaseHTTPRequestHandler):
    """What stands between: a broken server, or a page of something else."""

    status, body = 500, b"<html>oops"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Retry-After", "3600")
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.mark.parametrize(("status", "says"), [(500, "500"), (404, "404"), (200, "")])
def test_a_server_that_answers_nonsense(tmp_path: Path, status: int, says: str) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    handler = type("Handler", (_Answers,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as broken:
        thread = threading.Thread(target=broken.serve_forever)
        thread.start()
        text = refused(layout, f"http://127.0.0.1:{broken.server_port}")
        broken.shutdown()
        thread.join()
    assert says in text


def test_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # the user's own goes before ours
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = refused(layout, f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "timed out" in text
    assert "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR" not in os.environ  # ours are gone afterwards


def test_a_server_that_dies_in_the_middle_and_comes_back(
    tmp_path: Path, results: Path, schema: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, _ = made_up.experiment(results / "smoke", seeds=2)
    (tmp_path / "server.db").write_bytes(schema)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    original = MlflowClient.log_batch
    calls = [0]
    with server(tmp_path, port) as kill, monkeypatch.context() as patch:

        def dies(self: MlflowClient, *args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] == 4:
                kill()
            return original(self, *args, **kwargs)

        patch.setattr(MlflowClient, "log_batch", dies)
        assert uri in refused(layout)
    assert uri in refused(layout)
    with server(tmp_path, port):
        done = export(layout)
        assert done.created + done.replaced == 7
        assert done.unchanged == 3
        assert_equal_to_files(layout, runs_of(layout, uri))
        assert counts(export(layout)) == (0, 0, 0, 10)
        client = MlflowClient(uri)
        top = runs_of(layout, uri)["experiment"].info.run_id
        assert "leaderboard.html" in {item.path for item in client.list_artifacts(top)}
    assert not (results / "mlartifacts").exists()
