"""Folders with names that shells, patterns, addresses or templates would read as something else.

Each command is called on a finished experiment whose folder, and the working directory above it,
have such a name: it does its work, runs nothing that the name says, and writes nothing beside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner, Result

from prunebench import cli
from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner import pipeline
from prunebench.storage.files import write_text
from prunebench.storage.layout import Layout
from tests.conftest import ROOT, copy_of_checkout
from tests.robustness.disturbed import GRID

SPRUNG = "sprung"  # the file that a name would make
ODD = {
    "spaces": "  two  words ",
    "quotes": 'it\'s "so"',
    "commands": f"$(touch {SPRUNG}) `touch {SPRUNG}`; touch {SPRUNG} & touch {SPRUNG} | #",
    "an option": "--help",
    "a pattern": "[a-z]*?{x}~!",
    "a format": "%s %(x)s {0} {{job}} \\n \\",
    "an address": "http:&x=y#z@host:1",
    "a tag": "<script>alert(1)</script>".replace("/", "\\"),
    "two lines": "one\ntwo",
    "other letters": "é 数据 😀 \u202eabc",
}
ALL = "".join(ODD.values())  # in one
SMALL = {**GRID, "experiment": "x", "seeds": [0], "methods": ["random"], "sparsities": [0.5]}
SMALL |= {"tasks": [{"name": "digits", "train": 200, "val": 100, "test": 100}], "compute": {}}
SMALL |= {"training": {"epochs": 15, "recovery_epochs": 2, "batch_size": 20, "learning_rate": 0.1}}
# words of commands; RESULTS stands for the folder, OUT for one that is not there
COMMANDS: Sequence[tuple[str, ...]] = (
    ("status", "RESULTS"), ("summary", "RESULTS"), ("check-files", "RESULTS"),
    ("verify", "RESULTS", "--tables"), ("tables", "RESULTS"), ("compare", "RESULTS", "RESULTS"),
    ("export", "CELL", "--to", "safetensors", "--output", "OUT", "--data", "DATA"),
    ("submit", "pack", "RESULTS", "MINE", "--method", "random"),
    ("remove", "RESULTS", "--yes"),
)  # fmt: skip
CELL = "cells/digits/clean/seed-cnn/seed-0/random/0.5"
PAGES = tuple(
    (name, "RESULTS") for name in ("figures", "leaderboard", "report", "paper", "ro-crate")
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment of two cells, with its tables."""
    folder = tmp_path_factory.mktemp("finished")
    deterministic = torch.are_deterministic_algorithms_enabled()
    pipeline.run(Plan(config.parse(SMALL), folder / "results"), folder / "data")
    # as where that ran it; where this process knows Snakemake it has been kept
    if not (snakefile := folder / "results/x/workflow/Snakefile").exists():
        write_text(snakefile, "rule all:\n")
    torch.use_deterministic_algorithms(deterministic)
    return folder / "results" / "x"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


@pytest.mark.parametrize(
    ("name", "pages"),
    [
        pytest.param(ALL, (), id="all"),
        *(pytest.param(name, PAGES, id=kind, marks=pytest.mark.slow) for kind, name in ODD.items()),
    ],
)
def test_every_command_works_in_a_folder_of_any_name(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str,
    pages: Sequence[tuple[str, ...]],
) -> None:  # fmt: skip
    """Named from the working directory, ``./--help``, and by its whole path, in turns."""
    work = tmp_path / name
    results = shutil.copytree(finished, work / name, copy_function=shutil.copy2)
    monkeypatch.chdir(work)
    places = (f"./{name}", str(results))
    for number, command in enumerate((*pages, *COMMANDS)):
        place = places[number % 2]
        words = {
            "RESULTS": place, "CELL": f"{place}/{CELL}", "OUT": f"{place}-{number}",
            "MINE": str(Path(place).parent / "mine"), "DATA": str(finished.parents[1] / "data"),
        }  # fmt: skip
        done = invoke(*(words.get(word, word) for word in command))
        assert done.exit_code == 0, (command, done.output, done.exception)
    assert [path.name for path in tmp_path.iterdir()] == [work.name]
    assert not results.exists()
    assert not list(tmp_path.rglob(f"*{SPRUNG}"))


def copied_here(finished: Path, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy the experiment, and work beside the copy."""
    shutil.copytree(finished, to, copy_function=shutil.copy2)
    monkeypatch.chdir(to.parent)


@pytest.mark.parametrize("name", ["http:x", "https:", "file:", "s3:x", "~root", "~", "$HOME"])
def test_a_relative_name_is_no_address_and_no_home(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """pandas would fetch the first, and look in somebody's home for the others."""
    copied_here(finished, tmp_path / name, monkeypatch)
    for command in ("summary", "tables", "status"):
        done = invoke(command, name)
        assert done.exit_code == 0, (command, done.output, done.exception)


@pytest.mark.parametrize("name", ["-x", "--"])
def test_a_name_that_begins_with_a_dash_is_an_option_unless_it_stands_behind_two(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    copied_here(finished, tmp_path / name, monkeypatch)
    for command in ("status", "summary", "check-files"):
        assert invoke(command, name).exit_code == 2
        assert invoke(command, "--", name).exit_code == 0
    invoke("remove", name)
    assert (tmp_path / name / "cells.csv").exists()


def test_a_folder_whose_name_is_no_utf8_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers of tensors could not open a file in it, which then looked damaged."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "x.yaml").write_text(json.dumps(SMALL))
    for words in (["summary", str(folder)], ["run", str(folder / "x.yaml")], ["status", "x"]):
        with pytest.raises(PrunebenchError, match=r"caf\\udce9.*is no UTF-8: rename it"):
            CliRunner().invoke(cli.app, words, catch_exceptions=False)
        monkeypatch.chdir(folder)  # so for the last
    done = invoke("status", "x", "--json")
    assert "is no UTF-8" in json.loads(done.stdout)["error"]
    with pytest.raises(PrunebenchError, match="is no UTF-8"):
        Plan(config.parse(SMALL))  # from Python, and from Snakemake
    assert [path.name for path in folder.iterdir()] == ["x.yaml"]


# ------------------------------------------------------------------------------- the workflow

OWN = {
    "cri t.py": (
        "def own(view):\n    return {name: weight.abs() for name, weight in view.weights.items()}\n"
    ),
    "mea s.py": "def own(p):\n    return 0.5\n",
    "fi g.py": (
        "from matplotlib.figure import Figure\n\n\ndef own(cells, context):\n"
        "    drawn = Figure()\n    drawn.subplots().plot([1, 2])\n    return drawn\n"
    ),
    "ne t.py": (
        "from torch import nn\n\n\ndef own(**options):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))\n"
    ),
    "da t.py": (
        "import numpy as np\n\n\ndef own():\n    draw = np.random.default_rng(0)\n"
        "    labels = np.arange(400) % 10\n"
        "    inputs = draw.normal(size=(10, 64))[labels] + 0.3 * draw.normal(size=(400, 64))\n"
        "    inputs = inputs.astype(np.float32).reshape(400, 1, 8, 8)\n"
        "    return {'train': (inputs[:200], labels[:200]), 'test': (inputs[200:], labels[200:])}\n"
    ),
}


def own_study(folder: Path) -> dict[str, object]:
    """A configuration whose parts are all files of one's own in a folder, named as it is."""
    folder.mkdir(parents=True)
    for name, code in OWN.items():
        (folder / name).write_text(code)
    criterion, measure, figure, network, data = (f"{folder.name}/{name}:own" for name in OWN)
    return SMALL | {
        "tasks": [{"name": "mine", "source": "own", "path": data, "val": 50}],
        "models": [{"name": "net", "architecture": network}],
        "methods": ["random", {"name": "mine", "criterion": criterion}],
        "report": {"measures": [measure], "figures": [figure]},
    }


@pytest.mark.slow
def test_the_whole_workflow_from_a_folder_of_any_name(tmp_path: Path) -> None:
    """Checkout, environment, working directory, configuration and own code, all named so."""
    odd = f"-a b'\"$(touch {SPRUNG});`touch {SPRUNG}`; touch {SPRUNG} & | é 数*<>!~"
    (tmp_path / odd).mkdir()
    checkout = copy_of_checkout(tmp_path / odd)
    grid = f"{odd}.yaml"
    (checkout / grid).write_text(yaml.safe_dump(own_study(checkout / f"{odd} own")))
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(
        [".venv/bin/python", "-m", "prunebench", "workflow", f"./{grid}", "--cores", "2"],
        cwd=checkout, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    layout = Layout(checkout / "results" / "x")
    cells = pd.read_csv(layout.cells_csv)
    assert cells["status"].tolist() == ["ok"] * 3
    assert cells["own"].tolist() == [0.5] * 3
    assert (layout.figures / "own.png").exists()
    # what MLflow itself cannot do is told in a line
    assert "the working directory may hold no" in layout.steps()["track"].read_text()
    assert not list(tmp_path.rglob(f"{SPRUNG}*"))
    assert [path.name for path in tmp_path.iterdir()] == [odd]


def test_braces_in_the_path_of_own_code_are_refused_in_a_line(tmp_path: Path) -> None:
    """Snakemake takes them for wildcards."""
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(own_study(tmp_path / "my {parts}")))
    done = subprocess.run(
        [sys.executable, "-m", "prunebench", "workflow", "x.yaml", "--dry-run"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "error: my {parts}/" in done.stderr
    assert "Traceback" not in done.stderr
