"""The smoke grid through a real Slurm: a job killed in the middle, the same bits as without Slurm.

Run by hand, `make test-slurm`: it needs Debian's slurmctld, slurmd, slurm-client and munge, and
starts them on loopback in a folder of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import copy_of_checkout

from .cluster import Cluster, cluster, missing

PROFILE = "workflows/profiles/slurm"
# the site: its partition, no accounting, one controller that may be asked often
SITE = (
    "--default-resources", "slurm_partition=main", "--slurm-no-account",
    "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2",
    "--latency-wait", "20",
)  # fmt: skip
# what no two runs share
TIMES = ("train_seconds", "prune_seconds", "latency", "speedup")

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}"),
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_of_checkout(tmp_path_factory.mktemp("slurm"))
    grid = yaml.safe_load((folder / "config" / "smoke.yaml").read_text())
    grid["latency"] = {"engines": ["eager"], "batches": [1], "repeats": 3, "warm_up": 1}
    for name in ("slurm", "local"):
        grid["experiment"] = name
        (folder / "config" / f"{name}.yaml").write_text(yaml.safe_dump(grid))
    return folder


def start(folder: Path, log: Path, *options: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    tools = Path(sys.executable).parent
    command = [str(tools / "snakemake"), *options]
    # the cluster's own srun, then this environment
    path = f"{env['PATH'].partition(':')[0]}:{tools}:{env['PATH']}"
    with log.open("wb") as out:
        return subprocess.Popen(
            command, cwd=folder, env={**env, "PATH": path}, stdout=out, stderr=subprocess.STDOUT
        )


def until(there: Callable[[], bool], run: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for what a running workflow must bring about."""
    end = time.monotonic() + 1200
    while not there():
        assert run.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.2)


def records(folder: Path) -> dict[Path, float]:
    found = folder.glob("results/slurm/cells/*/*/*/*/*/*/record.json")
    return {path: path.stat().st_mtime for path in found}


def running(slurm: Cluster, rule: str) -> list[str]:
    return [
        job
        for job, (state, comment, _) in slurm.jobs().items()
        if state == "RUNNING" and rule in comment
    ]


def cells(folder: Path, experiment: str) -> pd.DataFrame:
    table = pd.read_csv(folder / "results" / experiment / "cells.csv")
    times = [column for column in table if any(word in column for word in TIMES)]
    return table.drop(columns=[*times, "experiment"])


def test_a_killed_job_is_tried_again_and_the_bits_are_those_of_a_local_run(
    checkout: Path, tmp_path: Path
) -> None:
    log = tmp_path / "slurm.log"
    with cluster() as slurm:
        began = time.monotonic()
        run = start(
            checkout, log, "--profile", PROFILE, "--configfile", "config/slurm.yaml", *SITE,
            env=slurm.environment,
        )  # fmt: skip
        try:

            def begun() -> set[Path]:
                return {path for path in records(checkout) if "/imp/" in str(path)}

            until(lambda: bool(begun()), run, log)
            [job] = running(slurm, "rule_curves_imp")
            slurm.call("scancel", job)
            until(lambda: slurm.jobs()[job][0] not in ("RUNNING", "COMPLETING"), run, log)
            before = records(checkout)
            done_by_killed = {path: before[path] for path in before if "/imp/" in str(path)}
            assert run.wait(1800) == 0, log.read_text()
            print(f"through Slurm: {time.monotonic() - began:.0f} s")
            jobs = slurm.jobs()
        finally:
            if run.poll() is None:
                run.terminate()
                run.wait()
    # nobody took more memory or time than its rule says: Slurm kills who does
    states = [state for state, _, _ in jobs.values() if state != "COMPLETED"]
    assert states == ["CANCELLED"], {j: said for j, said in jobs.items() if said[0] != "COMPLETED"}
    assert jobs[job][0] == "CANCELLED"
    # what needs the network or one writer ran here
    assert not [said for _, said, _ in jobs.values() if re.search("rule_(download|track)", said)]
    # tried again in another job, which went on from the cells that were there
    tried = [state for state, comment, _ in jobs.values() if "rule_curves_imp" in comment]
    assert sorted(tried) == ["CANCELLED", "COMPLETED"]
    assert 0 < len(done_by_killed) < 8
    after = records(checkout)
    assert {path: after[path] for path in done_by_killed} == done_by_killed
    # times are taken with the whole node
    assert {cpus for _, comment, cpus in jobs.values() if "rule_latencies" in comment} == {"2"}
    assert {cpus for _, comment, cpus in jobs.values() if "rule_curves" in comment} == {"1"}

    began = time.monotonic()
    local = start(
        checkout, tmp_path / "local.log", "--cores", "2", "--configfile", "config/local.yaml",
        env=dict(os.environ),
    )  # fmt: skip
    assert local.wait(1800) == 0, (tmp_path / "local.log").read_text()
    print(f"on this machine alone: {time.monotonic() - began:.0f} s")
    there, here = cells(checkout, "slurm"), cells(checkout, "local")
    pd.testing.assert_frame_equal(there, here)
