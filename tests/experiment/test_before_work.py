"""What is refused before any job: networks and functions that do not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm

from prunebench.errors import PrunebenchError
from prunebench.experiment import before_work, config
from prunebench.experiment.strict_yaml import read_yaml
from tests.conftest import ROOT

SMOKE = read_yaml(ROOT / "config" / "smoke.yaml")


def check(**changes: Any) -> None:
    before_work.check(config.parse({**SMOKE, **changes}))


def test_the_names_read_from_timms_source_are_those_that_it_knows() -> None:
    listed = {name.partition(".")[0] for name in timm.list_models()}
    names = before_work.timm_names()
    assert listed <= names
    assert all(map(timm.is_model, names))


@pytest.mark.parametrize("name", ["seed-cnn", "resnet18", "resnet18.a1_in1k", "tv_resnext50_32x4d"])
def test_a_network_that_exists(name: str) -> None:
    check(models=[name])
    check(models=[{"name": "mine", "architecture": name}])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("resnet81", "models: resnet81: unknown model 'resnet81'; did you mean 'resnet"),
        ({"name": "mine", "architecture": "seed-cnm"}, "mine: unknown model 'seed-cnm'; did you"),
        ("qqq", "`timm.list_models()` lists timm's"),
    ],
)
def test_a_network_that_does_not_exist_is_refused(model: Any, reason: str) -> None:
    with pytest.raises(PrunebenchError) as caught:
        check(models=["seed-cnn", model])
    assert reason in str(caught.value)


def test_a_function_that_gives_data_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("def squares(): ...\n")
    task = {"name": "mine", "source": "own", "val": 5}
    check(tasks=[{**task, "path": f"{tmp_path}/data.py:squares"}])
    with pytest.raises(PrunebenchError, match=r"tasks: mine: path.*'square'; did you mean"):
        check(tasks=[{**task, "path": f"{tmp_path}/data.py:square"}])
