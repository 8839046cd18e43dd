"""The whole way for real: a grid, nothing to do, one method's file edited, one sparsity added."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
import yaml

from prunebench.storage.records import COLUMNS
from tests.conftest import copy_of_checkout
from tests.docs.examples import commands
from tests.storage.crates import conforms, files

from .conftest import SMOKE, Workflow

Smoke = tuple[Workflow, str]
# what follows is made anew in half a minute, and says nothing about cells
TO_CELLS = ("--until", "collect")
NORMS = Path("prunebench", "pruning", "criteria", "norms.py")


def changed(before: dict[str, float], after: dict[str, float]) -> set[str]:
    """Cells that were computed in between."""
    return {cell for cell, time in after.items() if before.get(cell) != time}


def methods(cells: set[str]) -> set[str]:
    return {Path(cell).parts[4] for cell in cells}


def test_writes_every_result(smoke: Smoke) -> None:
    workflow, output = smoke
    results = workflow.folder / "results" / "smoke"
    cells = pd.read_csv(results / "cells.csv")
    assert list(cells.columns) == list(COLUMNS)
    # a baseline, and 3 methods at 2 sparsities
    assert len(cells) == 1 + 3 * 2
    assert not cells.duplicated(["task", "regime", "model", "method", "seed", "sparsity"]).any()
    measured = cells[cells["status"].isin(["ok", "collapsed"])]
    assert len(measured) > len(cells) / 2
    assert measured["test_error"].between(0, 1).all()
    for name in ("tables", "figures", "leaderboard.html", "leaderboard.md", "leaderboard.csv"):
        assert (results / name).exists(), name
    assert (workflow.folder / "results" / "mlflow.db").exists()
    assert json.loads((results / "jobs" / "track.json").read_text())["exported"]
    # progress with the time left, a short leaderboard, and where to look
    assert re.search(r"\[(\d+)/\1\] export", output)
    assert "of training left, then measures, and pages in about " in output
    assert "results/smoke/leaderboard.html" in output


def test_sparsity_is_exact_to_one_weight(smoke: Smoke) -> None:
    cells = pd.read_csv(smoke[0].folder / "results" / "smoke" / "cells.csv")
    single = cells[cells["method"].isin(["random", "imp"])]
    weights = 373_370  # no network here has more
    assert ((single["sparsity_achieved"] - single["sparsity"]).abs() < 1 / weights + 1e-5).all()


def test_again_nothing_is_done(smoke: Smoke) -> None:
    workflow, _ = smoke
    before = workflow.records()
    assert "Nothing to be done" in workflow.snakemake()
    assert workflow.records() == before


def test_the_results_are_a_crate(smoke: Smoke) -> None:
    workflow, _ = smoke
    results = workflow.folder / "results" / "smoke"
    crate = conforms(results)
    described = set(files(crate, results))
    made = [path.relative_to(results) for path in results.rglob("*") if path.is_file()]
    beside = {"cells", "jobs", "logs", "paper", "ro-crate-metadata.json"}
    assert described == {
        str(p) for p in made if p.parts[0] not in beside and not p.name.startswith(".")
    }
    run = crate.root_dataset["mentions"]
    assert run["description"].startswith(f"snakemake --cores 2 --configfile {SMOKE}\n")
    assert run["instrument"].id == "workflow/Snakefile"


def test_an_edited_analysis_is_named_anew(smoke: Smoke) -> None:
    """By provenance.json, though no record changes; a dry run leaves the configuration alone."""
    workflow, _ = smoke
    grid = yaml.safe_load((workflow.folder / SMOKE).read_text())
    config = workflow.folder / "config" / "judged.yaml"
    config.write_text(yaml.safe_dump(grid | {"analysis": {"equivalence": 1.25}}))
    resolved = workflow.folder / "results" / "smoke" / "config.json"
    before = resolved.read_bytes()
    output = workflow.snakemake("--dry-run", config=config)
    assert re.search(r"collect\s+1\b", output), output
    assert not re.search(r"measure\s+\d", output)
    assert resolved.read_bytes() == before


# ------------------------------------------------------------------------ the commands on the pages
# before anything is edited: what they would make is there


@pytest.mark.parametrize("block", [block for block in commands() if " ui " not in block])
def test_commands_of_the_pages(smoke: Smoke, block: str) -> None:
    # as they stand, on the grid that is there
    block = block.replace("results/default", "results/smoke")
    done = smoke[0].run("bash", "-euo", "pipefail", "-c", block)
    assert done.returncode == 0, done.stdout


def test_mlflow_command_of_the_pages(smoke: Smoke) -> None:
    [command] = [block for block in commands() if " ui " in block]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [*shlex.split(command), "--port", str(port)], cwd=smoke[0].folder, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        try:
            assert answer(f"http://127.0.0.1:{port}/health", server) == b"OK"
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def answer(url: str, server: subprocess.Popen[bytes], seconds: float = 300) -> bytes:
    """What a server says once it is up."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.read()
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")


# ------------------------------------------------------------------------------ what is edited


def test_a_comment_recomputes_no_cell(smoke: Smoke) -> None:
    workflow, _ = smoke
    before, file = workflow.records(), workflow.folder / NORMS
    file.write_text(file.read_text() + "\n# a remark\n")
    workflow.snakemake(*TO_CELLS)
    assert workflow.records() == before


def test_an_edited_method_reruns_only_its_curves(smoke: Smoke) -> None:
    workflow, _ = smoke
    before, file = workflow.records(), workflow.folder / NORMS
    # and stays so: as it was, its curves would be computed once more
    file.write_text(file.read_text().replace("norm(1, dim=1)", "norm(1, dim=1) * 2"))
    output = workflow.snakemake(*TO_CELLS)
    assert methods(changed(before, workflow.records())) == {"l1-filter"}
    assert "(Rule: curves_l1_filter)" in output
    assert "(Rule: curves_imp)" not in output
    assert "(Rule: baselines)" not in output


def test_an_added_sparsity_computes_only_its_cells(smoke: Smoke) -> None:
    workflow, _ = smoke
    before = workflow.records()
    grid = yaml.safe_load((workflow.folder / SMOKE).read_text())
    grid["sparsities"] = [0.5, 0.8, 0.9]
    config = workflow.folder / "config" / "more.yaml"
    config.write_text(yaml.safe_dump(grid))
    output = workflow.snakemake(*TO_CELLS, config=config)
    assert {Path(cell).name for cell in changed(before, workflow.records())} == {"0.8"}
    assert "(Rule: baselines)" not in output
    cells = pd.read_csv(workflow.folder / "results" / "smoke" / "cells.csv")
    assert len(cells) == 1 + 3 * 3


def test_a_checkout_whose_path_snakemake_would_read_wrong_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "a {b} é"
    place.mkdir()
    done = Workflow(copy_of_checkout(place)).run("snakemake", "-n", "--configfile", str(SMOKE))
    assert done.returncode == 2
    assert f"error: {place}: Snakemake takes {{}} in a path for wildcards" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_method_that_fails_does_not_stop_the_others(smoke: Smoke) -> None:
    workflow, _ = smoke
    grid = yaml.safe_load((workflow.folder / SMOKE).read_text())
    (workflow.folder / "broken.py").write_text(
        "def score(view):\n    raise ZeroDivisionError('a bug <b>in</b> a method')\n"
    )
    grid |= {
        "experiment": "broken",
        "methods": ["random", {"name": "mine", "criterion": "broken.py:score"}],
        "sparsities": [0.5],
        "probes": {"run": []},
    }
    config = workflow.folder / "config" / "broken.yaml"
    config.write_text(yaml.safe_dump(grid))
    workflow.snakemake(*TO_CELLS, config=config)
    cells = pd.read_csv(workflow.folder / "results" / "broken" / "cells.csv").set_index("method")
    assert cells["status"].to_dict() == {"dense": "ok", "random": "ok", "mine": "failed"}
    assert "ZeroDivisionError: a bug" in cells["message"]["mine"]
    assert pd.isna(cells["test_error"]["mine"])
    status = workflow.run(".venv/bin/python", "-m", "prunebench", "status", "results/broken")
    assert "2 of 3 cells done (2 ok), 1 failed" in status.stdout
