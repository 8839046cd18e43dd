"""Recipes of a method: whole configurations that run as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from prunebench.experiment import config
from prunebench.report.leaderboard.recipes import recipes
from prunebench.storage.files import write_text
from prunebench.storage.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    given = {
        "experiment": "trial",
        "tasks": ["digits"],
        "regimes": ["clean", {"name": "noisy-40", "label_noise": 0.4}],
        "models": ["seed-cnn"],
        "seeds": [0, 1, 2],
        "methods": ["random", "imp", {"name": "mine", "criterion": "l1-norm"}],
        "sparsities": [0.5, 0.75],
        "analysis": {"primary": ["imp", "mine"], "equivalence": 0.7},
    }
    layout = Layout(tmp_path)
    write_text(layout.config, config.parse(given).model_dump_json())
    return layout


def test_a_recipe_is_a_configuration_of_that_method_alone(layout: Layout) -> None:
    whole = config.load(layout.config)
    found = recipes(layout)
    assert list(found.methods) == ["dense", "random", "imp", "mine"]
    for name in found.methods:
        alone = config.parse(yaml.safe_load(found.configuration(name)))
        names = {"dense": ["random"], "random": ["random"]}.get(name, [name, "random"])
        assert [method.name for method in alone.methods] == names
        assert all(method in whole.methods for method in alone.methods)
        assert alone.experiment == f"trial-{name}"
        assert alone.analysis.primary == ([name] if name in ("imp", "mine") else [])
        assert alone.analysis.equivalence == 0.7
        for part in ("tasks", "regimes", "models", "seeds", "sparsities", "training", "compute"):
            assert getattr(alone, part) == getattr(whole, part)
    assert "Frankle 2019" in found.methods["imp"].about


def test_a_recipe_tells_of_files_elsewhere_the_last_part(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "of Jane" / "mine.py"
    write_text(file, "def score(view): ...\ndef build(**options): ...\n")
    settings = config.load(layout.config).model_dump(mode="json")
    method = {"name": "mine", "criterion": f"{file}:score"}
    settings |= {"models": [{"name": "net", "architecture": f"{file}:build"}], "methods": [method]}
    settings |= {"analysis": {}}
    write_text(layout.config, config.parse(settings).model_dump_json())
    told = recipes(layout).configuration("mine")
    assert "Jane" not in told
    assert "name: …/mine.py:score" in told
    assert "architecture: …/mine.py:build" in told


def test_the_command_writes_the_recipe_and_runs_it(layout: Layout, tmp_path: Path) -> None:
    found = recipes(layout)
    stub = 'python() { echo "$@" > said; }\n'
    subprocess.run(["bash", "-euc", stub + found.command("imp")], cwd=tmp_path, check=True)
    assert (tmp_path / "said").read_text() == (
        "-m prunebench workflow trial-imp.yaml --cores all\n"
    )
    assert (tmp_path / "trial-imp.yaml").read_text() == found.configuration("imp")


def test_without_a_configuration_there_is_no_recipe(tmp_path: Path) -> None:
    found = recipes(Layout(tmp_path))
    assert found.methods == {}
    assert found.missing == "config.json is not there"
