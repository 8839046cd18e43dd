"""The anchors through the workflow: what they would run, and one epoch of each for real."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.published.anchors import NOT_RUN, judge_folder
from prunebench.storage.layout import Layout
from tests.conftest import ROOT, copy_of_checkout

from .conftest import Workflow

ANCHORS = Path("config/anchors")
NAMES = ("fang-2023", "renda-2020", "tanaka-2020")
# digits in the shape of CIFAR-10, and networks narrow enough for a processor
STAND_IN = {
    "name": "cifar10", "base": "digits", "image_size": 32, "mode": "rgb", "train": 400, "val": 50,
    "test": 100, "augmentation": {"crop": 4, "flip": True},
}  # fmt: skip
NARROW = {
    "resnet20": {"width": 8}, "resnet56": {"width": 8},
    "vgg16-cifar": {"widths": [16, 16, 32, 32, 32], "average_pool": True, "fan_in": True},
}  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    return Workflow(copy_of_checkout(tmp_path_factory.mktemp("anchors")))


def test_every_anchor_is_tried_here() -> None:
    assert {path.stem for path in (ROOT / ANCHORS).glob("*.yaml")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_lists_every_job(checkout: Workflow, name: str) -> None:
    path = ANCHORS / f"{name}.yaml"
    plan = Plan(config.load(ROOT / path))
    output = checkout.snakemake("--dry-run", config=path)
    # the table of jobs stands there twice
    jobs = dict(re.findall(r"^(curves_\w+)\s+(\d+)$", output, re.MULTILINE))
    assert sum(map(int, jobs.values())) == len(plan.curve_jobs) == 5 * len(plan.experiment.methods)
    assert re.search(rf"^baselines\s+{len(plan.baseline_jobs)}$", output, re.MULTILINE)


def brief(name: str) -> dict[str, object]:
    """An anchor's configuration with a seed and an epoch of everything, on other images."""
    written = yaml.safe_load((ROOT / ANCHORS / f"{name}.yaml").read_text(encoding="utf-8"))
    model = written["models"][0]
    architecture = model if isinstance(model, str) else model["name"]
    written |= {
        "tasks": [STAND_IN], "seeds": [0],
        "models": [{"name": architecture, "arguments": NARROW[architecture]}],
        "training": {**written["training"], "epochs": 1, "batch_size": 8, "learning_rate": 0.02},
    }  # fmt: skip
    for method in written["methods"]:
        recovery = method.get("recovery") if isinstance(method, dict) else None
        if isinstance(recovery, dict):
            recovery["epochs"] = 1
    return written


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_epoch_of_an_anchor_is_judged(checkout: Workflow, name: str) -> None:
    short = checkout.folder / "config" / "short" / f"{name}.yaml"
    short.parent.mkdir(exist_ok=True)
    short.write_text(yaml.safe_dump(brief(name)), encoding="utf-8")
    figures = ROOT / ANCHORS / f"{name}.published.csv"
    (short.parent / figures.name).write_text(figures.read_text("utf-8"), encoding="utf-8")
    done = checkout.run("python", "-m", "prunebench", "run", str(short))
    assert done.returncode == 0, done.stdout
    results = checkout.folder / "results"
    cells = pd.read_csv(Layout(results / name).cells_csv)
    assert set(cells["status"]) <= {"ok", "collapsed"}, cells[["method", "status", "message"]]
    for other in short.parent.glob("*.yaml"):
        if other != short:
            other.unlink()
    found = judge_folder(short.parent, results)
    assert all(each.seeds == 1 for each in found if each.verdict != NOT_RUN)
    reached = {each.method for each in found if each.verdict != NOT_RUN}
    assert {"dense"} < reached
    # a channel more or less is more than a percent of so narrow a network; weights go one by one
    if name != "fang-2023":
        assert len(reached) == len(config.load(short).methods) + 1
