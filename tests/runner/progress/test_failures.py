"""What failed is told once, with its reason and its log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner.progress import failures
from prunebench.storage.files import write_sealed
from prunebench.storage.layout import RECORD
from prunebench.storage.records import FAILED
from tests.messages import unsaid

from .tiny_grid import GRID

SMALL = {
    **GRID,
    "regimes": ["clean"],
    "methods": ["random", {"name": "imp", "schedule": {"name": "iterative", "rate": 0.5}}],
}


def failed(message: str) -> dict[str, Any]:
    return {"identity": "i", "status": FAILED, "message": message, "files": {}}


def plan_in(folder: Path, **changes: Any) -> Plan:
    return Plan(config.parse({**SMALL, **changes}), folder / "results")


def test_a_thousand_failures_of_one_method_do_not_hide_those_of_another(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, seeds=list(range(500)), sparsities=[0.5, 0.75])
    for name, job in plan.curve_jobs.items():
        for cell in plan.cells_of("curves", name):
            seed = cell.baseline.seed
            if job.method.name == "imp" or seed == 7:
                own = f" of seed {seed}" if job.method.name == "imp" and seed % 20 == 0 else ""
                write_sealed(cell.folder / RECORD, failed(f"a bug{own}"))
    title, most, *rest, last = failures.text(plan).splitlines()
    assert title.startswith("Cells that failed")
    assert unsaid(most, "seed 1 and 474 more", "imp (950 cells)", "a bug") == []
    assert any(not unsaid(line, "seed 7", "random (2 cells)", "a bug") for line in rest)
    assert last == "  - and 15 more"
    assert len(rest) == failures.SHOWN - 1


def test_jobs_that_failed_are_told_with_their_last_words(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    logs = plan.layout.root / "logs" / "curves"
    logs.mkdir(parents=True)
    (logs / "imp@digits-0.log").write_text("[1/3] digits: ok\nerror: cannot write x: No space\n")
    (logs / "random@digits-0.log").write_text("[1/3] digits clean seed-cnn seed 0: ok\n")
    (logs / "other@digits-0.log").write_text("of an earlier configuration\n")
    _, killed, full = failures.text(plan).splitlines()
    name = "random@digits-0"
    assert unsaid(killed, f"curves/{name}: it was killed", f"log: {logs}/{name}.log") == []
    name = "imp@digits-0"
    assert unsaid(full, f"curves/{name}: error: ", "No space", f"log: {logs}/{name}.log") == []
    assert failures.text(plan, since=2e10) == ""


@pytest.mark.parametrize("name", ["download/digits", "prepare/digits", "tables", "kit", "track"])
def test_what_is_no_job_of_the_grid_is_told_of_in_the_run_where_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = plan_in(Path())
    log = plan.layout.root / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True)
    log.write_text("error: no such thing\n")
    told = failures.text(plan, since=0)
    assert told.splitlines()[1:] == [f"  - {name}: error: no such thing; log: {log}"]
    assert failures.text(plan) == failures.text(plan, since=2e10) == ""


def test_a_method_has_wholly_failed_once_each_of_its_cells_has(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, sparsities=[0.5, 0.75])
    [baseline] = plan.baselines
    random, imp = plan.experiment.methods
    assert failures.wholly_failed(plan) == []
    assert failures.wholly_failed(plan, as_far_as_computed=True) == []
    for method, sparsity in ((random, 0.5), (imp, 0.5), (imp, 0.75)):
        cell = plan.cell(baseline, method, sparsity)
        write_sealed(cell.folder / RECORD, failed("a bug"))
    assert failures.wholly_failed(plan) == ["imp"]
    assert failures.wholly_failed(plan, as_far_as_computed=True) == ["random", "imp"]
    ok = {"status": "ok", "message": ""}
    write_sealed(plan.cell(baseline, imp, 0.75).folder / RECORD, ok)
    assert failures.wholly_failed(plan) == []


def test_of_a_log_the_end_alone_is_read(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("wb") as file:
        file.seek(2**42)
        file.write("\n\u00e9rror: no such file\n".encode())
    assert failures.last_words(log) == "\u00e9rror: no such file"
    log.write_text("short")
    assert failures.last_words(log) == "short"
