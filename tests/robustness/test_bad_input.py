"""Bad input through the real thing: one clear message, before anything is trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.runner import pipeline
from prunebench.storage.files import write_json, write_text

ROOT = Path(__file__).resolve().parents[2]
GRID: dict[str, Any] = {
    "experiment": "tiny",
    "tasks": [{"name": "digits", "image_size": 8, "train": 60, "val": 40, "test": 50}],
    "regimes": ["clean"],
    "models": ["seed-cnn"],
    "seeds": [0],
    "methods": ["magnitude"],
    "sparsities": [0.5],
    "training": {"epochs": 1},
}


def dry_run(folder: Path, text: str, *arguments: str) -> list[str]:
    """The lines of standard error with which Snakemake refuses a grid."""
    write_text(folder / "bad.yaml", text)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("snakemake")), "-n", "--snakefile",
         str(ROOT / "Snakefile"), "--configfile", "bad.yaml", *arguments],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert "Job stats" not in done.stdout + done.stderr
    # Snakemake names the profile that it found
    lines = [line for line in done.stderr.splitlines() if "profiles/default" not in line]
    return [line for line in lines if line.strip()]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps({**GRID, "sparsities": [0.5, 1.5]}),
         "sparsities[1]: input should be less than 1 (found 1.5)"),
        (json.dumps({key: value for key, value in GRID.items() if key != "experiment"}),
         "experiment: field required"),  # nor is the default grid run in its place
        ("experiment: tiny\nseeds: [0]\nseeds: [1]\n", "key 'seeds' stands twice, in lines 2 and"),
    ],
    ids=["sparsity", "no experiment", "key twice"],
)  # fmt: skip
def test_a_grid_is_refused_before_any_job(tmp_path: Path, text: str, reason: str) -> None:
    [line] = dry_run(tmp_path, text)
    assert line.startswith(f"error: {tmp_path}/bad.yaml: ")
    assert reason in line
    assert not (tmp_path / "results").exists()


def test_a_results_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the results should lie")
    *said, line = dry_run(tmp_path, json.dumps(GRID))
    assert line == "error: cannot write results/tiny/config.json: Not a directory"
    assert all(text.startswith(("smallest p", "caution:")) for text in said)  # the plan is right


# ---------------------------------------------------------- found once the data are there


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    pipeline.prepare(Plan(config.parse(GRID)), "digits", folder)
    return folder


def plan(folder: Path, **changes: Any) -> Plan:
    return Plan(config.parse({**GRID, **changes}), folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"models": ["seed-cnm"]}, "models: unknown model 'seed-cnm'; did you mean 'seed-cnn'?"),
        ({"models": ["resnet81"]}, "models: unknown model 'resnet81'; did you mean 'resnet"),
        ({"models": [{"name": "seed-cnn", "arguments": {"widht": 2}}]}, "models: seed-cnn: "),
        ({"models": [{"name": "seed-cnn", "pretrained": True}]}, "has no pretrained weights"),
        ({"models": [{"name": "seed-cnn", "stem": "small"}]}, "stem: small"),
        ({"prunable": {"exclude": ["*"]}}, "prunable"),
        (
            {"prunable": {"exclude": ["feature.0"]}},
            "'feature.0' fits no layer or weight; did you mean 'features.0'?",
        ),
        (
            {"models": ["seed-cnn", "test_resnet"], "prunable": {"classifier": ["fcc"]}},
            "prunable: classifier: 'fcc' fits no layer or weight",
        ),
    ],
)
def test_a_model_that_cannot_be_is_refused_before_training(
    tmp_path: Path, data: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PrunebenchError) as caught:
        pipeline.check(plan(tmp_path, **changes), data)
    assert reason in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_model_that_can_be_is_weighed(tmp_path: Path, data: Path) -> None:
    [found] = pipeline.check(plan(tmp_path), data)
    assert (found["task"], found["model"], found["prunable_layers"]) == ("digits", "seed-cnn", 4)
    assert (found["classifier"], found["excluded"]) == (["head.weight"], [])
    assert found["input"] == "image"


def test_what_is_protected_is_told_of_each_model(tmp_path: Path, data: Path) -> None:
    """A name that only one of the models has is no fault."""
    models = {"models": ["seed-cnn", "test_resnet"]}
    grid = plan(tmp_path, **models, prunable={"exclude": ["features.0", "conv1"]})
    cnn, resnet = pipeline.check(grid, data)
    assert cnn["excluded"] == ["features.0.weight"]
    assert list(cnn["unfitting"]) == ["conv1"]
    assert (resnet["classifier"], resnet["excluded"]) == (
        ["fc.weight"],
        [f"conv1.{n}.weight" for n in (0, 3, 6)],  # a module means all weights in it
    )
    assert list(resnet["unfitting"]) == ["features.0"]


def test_a_baseline_that_learned_nothing_is_an_error_and_no_row(tmp_path: Path, data: Path) -> None:
    grid = plan(tmp_path, training={"epochs": 1, "learning_rate": 1e-12})
    with pytest.raises(PrunebenchError, match=r"digits/clean/seed-cnn/seed 0 learned nothing"):
        pipeline.baselines(grid, "digits-0", data)
    assert grid.layout.records() == []


def test_a_missing_prepared_file_says_what_to_do(tmp_path: Path, data: Path) -> None:
    grid = plan(tmp_path, tasks=[{**GRID["tasks"][0], "split_seed": 1}])
    with pytest.raises(PrunebenchError, match=r"is not there: the task's data are not prepared"):
        pipeline.baselines(grid, "digits-0", data)
    with pytest.raises(PrunebenchError, match=r"is not there: the task's data are not prepared"):
        pipeline.check(grid, data)


def test_a_file_that_describes_other_data_is_refused(tmp_path: Path, data: Path) -> None:
    copy = tmp_path / "data"
    grid = plan(tmp_path)
    path = prepared(grid.experiment.tasks[0], data)
    other = prepared(grid.experiment.tasks[0], copy)
    other.parent.mkdir(parents=True)
    other.write_bytes(path.read_bytes())
    about = json.loads(path.with_name(f"{path.name}.json").read_text())
    write_json(other.with_name(f"{other.name}.json"), {**about, "sha256": "0" * 64})
    with pytest.raises(PrunebenchError, match="damaged or truncated"):
        pipeline.baselines(grid, "digits-0", copy)
