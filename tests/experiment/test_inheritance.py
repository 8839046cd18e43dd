"""Configurations that extend others: merged by key, beside the file, never in a circle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.experiment import catalog, config
from prunebench.experiment.inheritance import merged, read
from prunebench.experiment.plan import Plan
from prunebench.experiment.strict_yaml import read_yaml
from tests.conftest import ROOT

SMOKE = read_yaml(ROOT / "config" / "smoke.yaml")
MAPPINGS = st.recursive(
    st.integers() | st.lists(st.integers()),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner),
).filter(lambda value: isinstance(value, dict))


def write(path: Path, **value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))  # which is YAML, too
    return path


def test_what_is_not_said_is_inherited_by_key(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", **SMOKE)
    mine = write(
        tmp_path / "sub" / "mine.yaml", extends="../base.yaml", experiment="mine",
        methods=["random"], training={"epochs": 7}, seeds=[3],
    )  # fmt: skip
    experiment, base = config.load(mine), config.parse(SMOKE)
    assert experiment.experiment == "mine"
    assert [method.name for method in experiment.methods] == ["random"]  # a list is replaced whole
    assert experiment.training == base.training.model_copy(update={"epochs": 7})
    assert experiment.tasks == base.tasks
    written = read(mine)
    file = tmp_path / "sub" / ".." / "base.yaml"
    assert written.bases == [file]
    [line] = written.said()
    assert line.startswith(f"from {file}: tasks, regimes, models, sparsities, training.recovery_ep")
    assert "training.epochs" not in line
    assert config.load(Plan(experiment, tmp_path).write()) == experiment


def test_a_base_may_extend_another(tmp_path: Path) -> None:
    write(tmp_path / "one.yaml", **SMOKE)
    write(tmp_path / "two.yaml", extends="one.yaml", experiment="two", training={"epochs": 9})
    three = write(tmp_path / "three.yaml", extends="two.yaml", seeds=[1])
    experiment = config.load(three)
    assert (experiment.experiment, experiment.training.epochs, experiment.seeds) == ("two", 9, [1])
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    inherited = read(three).inherited
    assert inherited["training"] == two  # the nearest that has it
    assert inherited["training.batch_size"] == inherited["methods"] == one


def test_without_a_base_nothing_changes() -> None:
    for path in (ROOT / "config").glob("*.yaml"):
        written = read(path)
        assert (written.value, written.said()) == (read_yaml(path), [])


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a": {"extends": "a.yaml"}}, "extends itself: a.yaml extends a.yaml"),
        ({"a": {"extends": "b.yaml"}, "b": {"extends": "a.yaml"}}, "a.yaml extends b.yaml extends"),
        ({"a": {"extends": "none.yaml"}}, "none.yaml: no such file"),
        ({"a": {"extends": 3}}, "must be the path of a YAML file, e.g. base.yaml, found 3"),
        ({"a": {"extends": "b.py"}}, "must be the path of a YAML file"),
        ({"a": {"extends": "b.yaml"}, "b": {"__use_yte__": True}}, "makes it a template"),
        ({"a": {"extends": "b.yaml"}, "b": {**SMOKE, "sedes": [1]}}, "did you mean 'seeds'"),
    ],
)  # fmt: skip
def test_what_cannot_be_inherited_is_refused(
    files: dict[str, dict[str, Any]], told: str, tmp_path: Path
) -> None:
    for name, value in files.items():
        write(tmp_path / f"{name}.yaml", **value)
    with pytest.raises(PrunebenchError) as caught:
        config.load(tmp_path / "a.yaml")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_resolved_configuration_of_others_reads_no_further_file(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", **SMOKE)
    path = write(tmp_path / "config.json", extends="base.yaml", experiment="x")
    with pytest.raises(PrunebenchError, match="extends: unknown key"):
        config.load(path)


def test_the_schema_of_editors_knows_it() -> None:
    validator = jsonschema.Draft202012Validator(catalog.json_schema())
    assert validator.is_valid({"extends": "base.yaml", "seeds": [1]})
    assert not validator.is_valid({"seeds": [1]})
    assert validator.is_valid(SMOKE)


@given(MAPPINGS, MAPPINGS)
def test_merging_keeps_all_of_one_and_what_only_the_other_has(
    base: dict[str, Any], over: dict[str, Any]
) -> None:
    found = merged(base, over)
    assert merged(found, over) == found
    assert merged({}, over) == over == merged(over, {})
    assert found.keys() == base.keys() | over.keys()
    for key, value in over.items():
        if not (isinstance(value, dict) and isinstance(base.get(key), dict)):
            assert found[key] == value
