"""The results folder as a Workflow Run RO-Crate: read again, held to the profile, or refused.

``rocrate-validator`` (crs4) has the last word on the profile; it needs the network for two JSON-LD
contexts, so it is run by hand.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prunebench import cli
from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner.collect import collect
from prunebench.storage import provenance, ro_crate
from prunebench.storage.files import read_json, write_json, write_sealed, write_text
from prunebench.storage.layout import Layout
from prunebench.storage.records import row
from tests.conftest import ROOT
from tests.storage.crates import conforms, files, types

COMMIT = "0123456789012345678901234567890123456789"
RESULTS = {
    "cells.csv", "latency.csv", "layers.csv", "tables/scores.md", "tables/scores.tex",
    "figures/error é 50 %.png", "leaderboard.html", "leaderboard.csv", "report.md",
}  # fmt: skip
# beside them, and not of the crate
ELSE = ("cells/digits/clean/seed-cnn/seed-0/dense/0/record.json", "jobs/measured.txt",
        "logs/collect.log", "paper/paper.tex", "published/a.csv",
        "figures/.snakemake_timestamp")  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"experiment": "x", "task": "digits", "status": "ok", "commit": COMMIT, "dirty": True,
     "data_hash": "d" * 64, "code_hash": "c", "device": "cpu", "threads": 1},
    {"experiment": "x", "task": "digits", "status": "failed", "commit": COMMIT, "dirty": False,
     "data_hash": "d" * 64, "code_hash": None, "device": "cpu", "threads": 1},
]  # fmt: skip


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A finished experiment, as far as a crate looks at it."""
    layout = Layout(tmp_path / "x")
    for name in ("config.json", *RESULTS, *ELSE):
        write_text(layout.root / name, name)
    monkeypatch.setenv(provenance.COMMAND, "snakemake --cores 2")
    monkeypatch.setenv(provenance.STARTED, "2020-01-01T00:00:00+00:00")
    provenance.copy_workflow(layout.workflow)
    origin = provenance.experiment_origin(layout.config, layout.cells_csv, ROWS)
    write_json(layout.provenance, origin | {"dirty": True, "diff_hash": "f" * 64})
    return layout


def test_it_has_what_the_profile_demands(layout: Layout) -> None:
    assert ro_crate.write(layout) == layout.root / "ro-crate-metadata.json"
    found = conforms(layout.root)
    run, workflow = found.root_dataset["mentions"], found.mainEntity
    results = {*RESULTS, "provenance.json"}
    assert {part["name"] for part in run["result"]} == results
    assert [entity.id for entity in run["object"]] == ["config.json", "#data-digits"]
    assert {frozenset(types(part)) for part in workflow["hasPart"]} == {
        frozenset({"File", "SoftwareSourceCode"})
    }
    sources = {"workflow/Snakefile", *(part.id for part in workflow["hasPart"])}
    assert set(files(found, layout.root)) == results | sources | {"config.json"}
    assert {part.id for part in found.root_dataset["hasPart"]} == {
        entity.id for entity in found.data_entities
    }


def test_what_ran_and_what_it_needs(layout: Layout) -> None:
    ro_crate.write(layout)
    found, origin = conforms(layout.root), read_json(layout.provenance)
    workflow, run = found.mainEntity, found.root_dataset["mentions"]
    assert run["description"].startswith("snakemake --cores 2\n")
    assert (run["startTime"], run["endTime"]) == (origin["started"], origin["ended"])
    said = {entity["name"]: entity["value"] for entity in run["additionalProperty"]}
    assert said["dirty"] is True
    assert said["diff_hash"] == "f" * 64
    assert said["dirty_cells"] == 1
    assert said["commits"] == f"{COMMIT}: 2 records"
    assert said["lock_hash"] == origin["lock_hash"]
    assert (said["devices"], said["threads"]) == ("cpu", 1)
    assert workflow["version"] == origin["commit"]
    assert workflow["programmingLanguage"]["version"] == origin["packages"]["snakemake"]
    needed = {
        entity["name"]: entity["softwareVersion"] for entity in workflow["softwareRequirements"]
    }
    assert needed["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {name: needed[name] for name in needed if name != "python"} == {
        name: origin["packages"][name] for name in ("torch", "torchvision", "timm", "numpy")
    }
    assert found.get("#data-digits")["sha256"] == "d" * 64
    assert workflow["license"].id == "https://spdx.org/licenses/Apache-2.0"
    assert found.root_dataset["license"]["name"] == "No licence was stated"
    assert "2 cells (1 failed, 1 ok)" in found.root_dataset["description"]


def test_the_workflow_is_the_one_that_ran(layout: Layout) -> None:
    """With what it includes, by the paths that it includes it by."""
    kept = {str(p.relative_to(layout.workflow)) for p in layout.workflow.rglob("*") if p.is_file()}
    assert kept == {"Snakefile", *(f"workflows/{p.name}" for p in ROOT.glob("workflows/*.smk"))}
    for name in kept:
        assert (layout.workflow / name).read_bytes() == (ROOT / name).read_bytes()
    included = [
        line for line in (ROOT / "Snakefile").read_text().splitlines() if "include:" in line
    ]
    assert {line.split('"')[1] for line in included} == kept - {"Snakefile"}


def test_without_a_workflow_none_is_kept(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(provenance.COMMAND)
    provenance.copy_workflow(layout.workflow)
    assert not layout.workflow.exists()


def test_the_same_folder_gives_the_same_bytes(layout: Layout, tmp_path: Path) -> None:
    first = ro_crate.write(layout).read_bytes()
    assert ro_crate.write(layout).read_bytes() == first
    shutil.copytree(layout.root, tmp_path / "elsewhere" / "y")  # other times, other paths
    for path in (tmp_path / "elsewhere" / "y").rglob("*"):
        os.utime(path, (0, 0))
    code = (
        "import sys, pathlib; from prunebench.storage import ro_crate; "
        "from prunebench.storage.layout import Layout;"
        " ro_crate.write(Layout(pathlib.Path(sys.argv[1])));"
        " sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "elsewhere" / "y")], cwd=ROOT, check=True,
        env={**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
    )  # fmt: skip
    assert (tmp_path / "elsewhere" / "y" / "ro-crate-metadata.json").read_bytes() == first


def test_no_path_and_no_name_of_a_machine(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((socket, "gethostname"), (socket, "getfqdn"), (platform, "node")):
        monkeypatch.setattr(module, name, lambda *_: "node-of-somebody")
    origin = provenance.experiment_origin(layout.config, layout.cells_csv, ROWS)
    write_json(layout.provenance, origin)
    text = ro_crate.write(layout).read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert "node-of-somebody" not in text + layout.provenance.read_text(encoding="utf-8")


def test_what_git_does_not_know_is_left_out(layout: Layout) -> None:
    unknown = {"commit": None, "dirty": None, "diff_hash": None, "lock_hash": None}
    write_json(layout.provenance, read_json(layout.provenance) | unknown)
    ro_crate.write(layout)
    found = conforms(layout.root)
    assert "version" not in found.mainEntity
    names = {entity["name"] for entity in found.root_dataset["mentions"]["additionalProperty"]}
    assert not names & set(unknown)
    assert "null" not in json.dumps(found.metadata.generate())


def without(name: str) -> Callable[[Layout], None]:
    return lambda layout: shutil.move(layout.root / name, layout.root.parent / "gone")


def lacking(key: str, value: Any = None) -> Callable[[Layout], None]:
    return lambda layout: write_json(layout.provenance, read_json(layout.provenance) | {key: value})


REFUSALS: dict[str, tuple[Callable[[Layout], None], str]] = {
    "records": (without("cells.csv"), "x/cells.csv is missing; run the grid first"),
    "configuration": (without("config.json"), "x/config.json is missing; run the grid first"),
    "provenance": (without("provenance.json"), "x: there is no provenance.json: the command"),
    "workflow": (without("workflow"), "x/workflow/Snakefile is missing, the workflow that ran"),
    "key": (lacking("ended"), "x/provenance.json is damaged: it has no ended"),
    "kind": (
        lacking("packages", ["torch"]), "x/provenance.json is damaged: packages is no mapping"
    ),
    "other records": (
        lambda layout: write_text(layout.cells_csv, "changed"),
        "x: provenance.json names another cells.csv, changed since",
    ),
    "no mapping": (
        lambda layout: write_json(layout.provenance, []),
        "x/provenance.json is damaged: it is not a mapping",
    ),
    "no JSON": (
        lambda layout: write_text(layout.provenance, "{"), "x/provenance.json is damaged: "
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_described_is_refused(layout: Layout, what: str) -> None:
    change, told = REFUSALS[what]
    change(layout)
    with pytest.raises(PrunebenchError) as caught:
        ro_crate.write(layout)
    assert told in str(caught.value)
    assert not layout.crate.exists()


def test_what_is_collected_again_is_described_no_longer(tmp_path: Path) -> None:
    grid = {"experiment": "x", "tasks": ["digits"], "regimes": ["clean"], "models": ["seed-cnn"],
            "seeds": [0], "methods": ["random"], "sparsities": [0.5]}  # fmt: skip
    plan = Plan(config.parse(grid), tmp_path)
    write_text(plan.layout.crate, "of other records")
    rows = [
        row(ROWS[0] | cell.coordinates._asdict()) for cell in plan.cells_of("measures", "digits-0")
    ]
    write_sealed(plan.layout.measured("digits-0"), {"cells": rows})
    collect(plan, [plan.layout.measured("digits-0")])
    assert plan.layout.cells_csv.is_file()
    assert not plan.layout.crate.exists()


def test_the_command(layout: Layout) -> None:
    done = CliRunner().invoke(cli.app, ["ro-crate", str(layout.root)])
    assert (done.exit_code, done.output) == (0, "")
    conforms(layout.root)
