"""What MLflow holds of an experiment, and whether that is what its files say."""

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

from prunebench.errors import PrunebenchError
from prunebench.storage import records
from prunebench.storage.layout import Layout
from prunebench.tracking import Exported, export, tracking_uri

NUMBERS = (*records.SIZE, *records.QUALITY, *records.COST)


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
    curves = {key for key, run in runs.items() if run.data.tags["level"] == "curve"}
    assert len(runs) == len(table) + len(curves) + 1
    pruned = table[table["method"] != "dense"]
    assert len(curves) == len(pruned.groupby(["task", "regime", "model", "seed", "method"]))
    assert not any("mlflow.parentRunId" in runs[key].data.tags for key in curves)
    for row in table.to_dict("records"):
        group = f"{row['task']}/{row['regime']}/{row['model']}/seed-{row['seed']}"
        run = runs[f"{group}/{row['method']}/{row['sparsity']:.10g}"]
        above = "experiment" if row["method"] == "dense" else f"{group}/{row['method']}"
        assert run.data.tags["mlflow.parentRunId"] == runs[above].info.run_id
        there = {name: value for name, value in run.data.metrics.items() if "/" not in name}
        expected = {name: float(row[name]) for name in NUMBERS if pd.notna(row[name])}
        assert there == expected
        assert run.data.tags["prunebench.content"]
        assert run.info.status in ("FINISHED", "FAILED")
    assert runs["experiment"].data.tags["prunebench.content"]


def counts(done: Exported) -> tuple[int, int, int, int]:
    return done.cells


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


@contextmanager
def nonsense(status: int) -> Iterator[str]:
    """The address of something that answers everything with a status and a page."""
    handler = type("Handler", (_Answers,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as broken:
        thread = threading.Thread(target=broken.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{broken.server_port}"
        finally:
            broken.shutdown()
            thread.join()


# -- a real server -------------------------------------------------------------------------------


# its job runners are processes of their own that take long to start
_NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


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
