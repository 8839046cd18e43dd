"""The user's own command where the disk is full or not to be written, or MLflow's server fails."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from prunebench.storage.layout import Layout
from tests.tracking.looking import assert_equal_to_files, free_port, nonsense, runs_of, server

from .disturbed import Place, assert_same

pytestmark = pytest.mark.slow


def test_a_full_disk_and_one_that_may_not_be_written(
    tmp_path: Path, small_disk: Callable[[str], Path]
) -> None:
    undisturbed = Place.make(tmp_path / "undisturbed")
    undisturbed.run(*undisturbed.everything())
    # the checkout too, with what Snakemake itself notes: all that a user has is on one disk
    place = Place.make(small_disk("size=500m"))
    used = sum(path.stat().st_size for path in place.folder.rglob("*") if path.is_file())
    small_disk(f"size={(used >> 20) + 9}m")  # some of the cells fit
    full = place.run(*place.everything(), status=1)
    assert "No space left on device" in full
    assert "Some jobs failed" in full
    kept = place.records()
    assert 0 < len(kept) < len(undisturbed.records())
    small_disk("size=500m,ro")
    for options in ((), ("--dry-run",)):
        refused = place.run(*place.everything(*options), status=2)
        assert f"error: cannot write {place.folder}/.snakemake" in refused
        assert "Traceback" not in refused
    small_disk("size=500m,rw")
    place.run(*place.everything())
    assert_same(place.bits(), undisturbed.bits())
    assert all(place.records()[name] == written for name, written in kept.items())


def wait_for_runs(client: MlflowClient, least: int, process: subprocess.Popen[str]) -> None:
    """Until MLflow has so many runs of the grid."""
    until = time.monotonic() + 600
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        with suppress(MlflowException):
            found = client.get_experiment_by_name("prunebench/tiny")
            if found and len(client.search_runs([found.experiment_id])) >= least:
                return
        time.sleep(0.02)
    raise AssertionError("nothing was exported")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A grid whose export failed, since nobody listened."""
    place = Place.make(tmp_path_factory.mktemp("grid"))
    uri = f"http://127.0.0.1:{free_port()}"
    assert_not_exported(place, place.run(*place.everything(), MLFLOW_TRACKING_URI=uri))
    return place


def assert_not_exported(place: Place, output: str) -> None:
    """The grid is complete, and the export is told to be missing; it is tried again then."""
    track = place.results / "jobs" / "track.json"
    said = json.loads(track.read_text())
    assert not said["exported"]
    assert f"warning: not exported: {said['message']}" in output
    assert "python -m prunebench track results/tiny" in said["message"]
    assert (place.results / "report.html").is_file()
    track.unlink()


def test_a_server_with_faults(place: Place) -> None:
    with nonsense(500) as uri:
        assert_not_exported(place, place.run(*place.everything(), MLFLOW_TRACKING_URI=uri))


def test_a_server_that_never_answers(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert_not_exported(place, place.run(*place.everything(), MLFLOW_TRACKING_URI=uri))


def test_a_server_that_dies_under_the_export_and_comes_back(tmp_path: Path, place: Place) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with server(tmp_path, port) as kill:
        process = place.start(*place.everything(), MLFLOW_TRACKING_URI=uri)
        wait_for_runs(MlflowClient(uri), 3, process)
        kill()
        output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    assert_not_exported(place, output)
    layout = Layout(place.results)
    again = [sys.executable, "-m", "prunebench", "track", "results/tiny"]
    with server(tmp_path, port):
        place.run(*again, MLFLOW_TRACKING_URI=uri)
        assert_equal_to_files(layout, runs_of(layout, uri))
        assert "nothing new" in place.run(*again, MLFLOW_TRACKING_URI=uri)
