"""Jobs at work are told from those that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment.plan import Plan
from prunebench.runner.progress import at_work, running, state
from prunebench.runner.progress.running_jobs import holding
from prunebench.storage.files import write_text
from prunebench.storage.layout import Layout


def test_a_job_is_running_as_long_as_it_holds_its_lock(plan: Plan) -> None:
    with holding(plan.layout, "curves", "magnitude@digits-0"):
        [found] = running(plan.layout)
        assert (found.kind, found.job, found.process) == (
            "curves", "magnitude@digits-0", os.getpid(),
        )  # fmt: skip
        assert found.alive
        assert abs(found.started - time.time()) < 60
        assert running(plan.layout)[0].alive  # looking does not take the lock away
        with holding(plan.layout, "curves", "magnitude@digits-0"):
            pass  # another that computes the same waits for nobody
    assert running(plan.layout) == []


def test_a_job_that_raises_is_not_running(plan: Plan) -> None:
    @at_work("curves")
    def fails(plan: Plan, name: str) -> None:
        [found] = running(plan.layout)
        assert found.job == name
        raise PrunebenchError("no")

    @at_work()
    def looks(plan: Plan, kind: str, name: str, *, more: int = 0) -> tuple[str, str, int]:
        [found] = running(plan.layout)
        return found.kind, found.job, more

    with pytest.raises(PrunebenchError, match="no"):
        fails(plan, "a@digits-0")
    assert running(plan.layout) == []
    assert looks(plan, "probes", "digits-0", more=3) == ("probes", "digits-0", 3)


def test_a_killed_job_is_told_from_a_running_one(plan: Plan) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom prunebench.storage.layout import Layout\n"
        "from prunebench.runner.progress.running_jobs import holding\n"
        f"with holding(Layout(Path({str(plan.layout.root)!r})), 'baselines', 'digits-0'):\n"
        "    print('held', flush=True)\n    time.sleep(600)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        [found] = running(plan.layout)
        assert (found.alive, found.process) == (True, child.pid)
        text = str(state(plan))
        assert "running:\n  baselines/digits-0 (process" in text
        assert "0 of 1 cells, at digits clean seed-cnn seed 0 dense" in text
    finally:
        child.kill()
        child.communicate()
    [found] = running(plan.layout)
    assert not found.alive
    assert "killed; the same command goes on:\n  baselines/digits-0" in str(state(plan))
    assert state(plan).at_once == 0


def test_a_marker_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    write_text(tmp_path / "jobs", "a file where the folder should be")
    with holding(Layout(tmp_path), "curves", "a"):
        assert running(Layout(tmp_path)) == []


def test_a_marker_that_is_damaged_is_nobody(plan: Plan) -> None:
    write_text(plan.layout.root / "jobs" / "running" / "curves" / "a.json", "{")
    assert running(plan.layout) == []
