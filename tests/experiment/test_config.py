"""Reading a configuration: presets, refinement, refusals of YAML, and no other exception."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import PARTS
from prunebench.experiment.strict_yaml import read_yaml

ROOT = Path(__file__).resolve().parents[2]
GRIDS = sorted((ROOT / "config").glob("*.yaml"))
SMOKE = read_yaml(ROOT / "config" / "smoke.yaml")
PLUGIN = """
from prunebench.experiment.registry import criterion
@criterion(patterns=("weight",))
def score(view, *, power: float, depth: int = 1): ...
"""


def refusal(value: Any) -> str:
    """The message with which a configuration is refused: one line."""
    with pytest.raises(PrunebenchError) as caught:
        config.parse(value, "grid.yaml")
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert text.startswith("grid.yaml: ")
    return text


def with_method(**entry: Any) -> dict[str, Any]:
    return {**SMOKE, "methods": [{"name": "mine", **entry}]}


def yaml_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "grid.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ------------------------------------------------------------------------ what ships


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_every_grid_that_ships_parses_and_is_kept_equal(path: Path, tmp_path: Path) -> None:
    experiment = config.load(path)
    assert experiment.experiment == path.stem
    written = Plan(experiment, tmp_path).write()
    assert config.load(written) == experiment


def test_every_preset_parses() -> None:
    for kind in ("tasks", "regimes", "methods"):
        for name, preset in config.presets(kind).items():
            assert preset["name"] == name
            [entry] = getattr(config.parse({**SMOKE, kind: [name]}), kind)
            assert entry.name == name


# ------------------------------------------------------------------------ refinement


def test_a_preset_is_refined_by_its_own_name() -> None:
    [task] = config.parse({**SMOKE, "tasks": [{"name": "digits", "train": 20}]}).tasks
    assert (task.name, task.train, task.source, task.test) == ("digits", 20, "digits", 1000)


def test_a_preset_is_refined_under_a_name_of_its_own() -> None:
    entry = {"name": "few", "base": "digits", "train": 20}
    [task] = config.parse({**SMOKE, "tasks": [entry]}).tasks
    assert (task.name, task.train, task.source) == ("few", 20, "digits")
    mine = config.method({"name": "mine", "base": "imp", "allocation": "uniform"})
    imp = config.method("imp")
    assert mine.allocation.name == "uniform"
    assert all(getattr(mine, kind) == getattr(imp, kind) for kind in set(PARTS) - {"allocation"})


def test_refining_leaves_the_preset_as_it_was() -> None:
    before = copy.deepcopy(config.presets("methods"))
    config.method({"name": "imp", "schedule": {"name": "iterative", "rate": 0.5}})
    assert config.presets("methods") == before


def test_the_family_follows_from_the_parts_unless_it_is_given() -> None:
    def family(**entry: Any) -> str:
        return config.method({"name": "mine", **entry}).family

    assert family(criterion="magnitude") == "weight"
    assert family(criterion="l1-norm") == "structure"
    assert family(criterion="apoz") == "activation"
    assert family(base="magnitude", criterion="l1-norm") == "structure"  # not the preset's
    assert family(base="weight-activation", allocation="uniform") == "hybrid"
    assert family(criterion="magnitude", family="hybrid") == "hybrid"


def test_parts_that_are_left_out_have_their_defaults() -> None:
    mine = config.method({"name": "mine", "criterion": "l1-norm"})
    names = {kind: getattr(mine, kind).name for kind in PARTS}
    assert names == {
        "criterion": "l1-norm", "pattern": "filter", "allocation": "global",
        "schedule": "one-shot", "recovery": "fine-tuning",
    }  # fmt: skip


# ------------------------------------------------------------- parts and their parameters


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"criterion": "l1-norm", "pattern": "weight"},
         "criterion 'l1-norm' goes with pattern 'filter' or 'row', not 'weight'"),
        ({"criterion": "magnitude", "pattern": "filter"},
         "or 'n-m' or 'row' or 'column', not 'filter'"),
        ({"criterion": "snip", "schedule": "at-initialization"},
         "not 'fine-tuning': there are no trained weights"),
        ({"base": "imp", "recovery": {"name": "weight-rewinding", "to_epoch": 2}},
         "epoch 2, which is not kept: add it to training.rewind_epochs"),
        ({}, "mine: needs a criterion"),
        ({"criterion": None}, "criterion must be a name or a mapping"),
        ({"criterion": "magnitud"}, "unknown criterion 'magnitud'; did you mean 'magnitude'?"),
        ({"criterion": "magnitude", "schedul": "iterative"},
         "mine: schedul: unknown key; did you mean 'schedule'?"),
        ({"base": "inp"}, "unknown base 'inp'; did you mean 'imp'?"),
        ({"base": [1]}, "unknown base [1]"),
        ({"criterion": "random", 3: 4}, "mine: 3: unknown key"),
        ({"criterion": "random", "family": "wait"}, "mine: family: input should be 'weight'"),
        ({"base": "imp", "schedule": {"name": "iterative", "rat": 1}},
         "schedule 'iterative' has no parameter 'rat'; did you mean 'rate'?"),
        ({"criterion": {"name": "magnitude", "power": 1}},
         "criterion 'magnitude' has no parameter 'power'; it has none"),
        ({"base": "imp", "schedule": {"name": "iterative", "rate": "x"}},
         "rate must be float, found 'x'"),
        ({"base": "imp", "schedule": {"name": "iterative", "rate": True}}, "found True"),
        ({"base": "imp", "schedule": {"name": "iterative", "rate": float("nan")}}, "found nan"),
        ({"base": "imp", "schedule": {"name": "iterative", "rate": 0.2, "parameters": {}}},
         "has no parameter 'parameters'"),
        ({"base": "magnitude", "recovery": {"name": "fine-tuning", "epochs": "ten"}},
         "epochs must be int or null, found 'ten'"),
    ],
)  # fmt: skip
def test_a_method_that_makes_no_sense_is_refused_with_the_reason(
    entry: dict[Any, Any], reason: str
) -> None:
    text = refusal({**SMOKE, "methods": [{"name": "mine", **entry}]})
    assert "methods: mine" in text
    assert reason in text


def test_a_missing_parameter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    name = f"{tmp_path}/plugin.py:score"
    text = refusal(with_method(criterion=name))
    assert text.endswith("plugin.py:score' needs power")
    whole = config.method({"name": "mine", "criterion": {"name": name, "power": 2}})
    assert whole.criterion.parameters == {"power": 2.0, "depth": 1}


def test_numbers_that_yaml_reads_as_text_and_whole_numbers_are_one_setting() -> None:
    rates = [
        config.method({"name": "mine", "base": "imp", "schedule": {"name": "iterative", "rate": r}})
        for r in (0.5, "5e-1")
    ]
    assert rates[0] == rates[1]


# --------------------------------------------------------------------------------- YAML


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be a mapping of keys to values, found None"),
        ("[1, 2]", "must be a mapping of keys to values, found [1, 2]"),
        ("just words", "found 'just words'"),
        ("a: [1", "not valid YAML"),
        ("a: 1\n\tb: 2", "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("a: !mine 1", "not valid YAML"),
        ("a: 2020-13-45", "not valid YAML"),
        ("a: " + "9" * 5000, "not valid YAML"),
        ("a: " + "[" * 5000, "not valid YAML"),
        ("a: 1\nb: 2\na: 3", "key 'a' stands twice, in lines 1 and 3"),
        ("a: [{b: 1, b: 1}]", "key 'b' stands twice"),
        ("1: x", "1: unknown key"),
        ('"exp\\nb": x', "exp b: unknown key"),
    ],
)  # fmt: skip
def test_yaml_that_is_no_configuration_is_refused(
    tmp_path: Path, text: str | bytes, reason: str
) -> None:
    path = yaml_file(tmp_path, text)
    with pytest.raises(PrunebenchError, match=re.escape(reason)) as caught:
        config.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_anchors_and_merges_that_stay_small_are_welcome(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, x: 4}\nd: *a"
    assert read_yaml(yaml_file(tmp_path, text)) == {
        "a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 4, "y": 2}, "d": {"x": 1, "y": 2},
    }  # fmt: skip


def test_aliases_that_expand_beyond_reason_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    for text in ("\n".join(lines), "seeds: &a [*a]"):
        with pytest.raises(PrunebenchError, match="too large or too deep"):
            config.load(yaml_file(tmp_path, text))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"grid\.yaml: No such file"):
        config.load(tmp_path / "grid.yaml")
    with pytest.raises(PrunebenchError, match="Is a directory"):
        config.load(tmp_path)


# --------------------------------------------------------------- never another exception

_ODD = st.sampled_from(
    ["digits", "imp", "name", "base", "dense", "", "a b", "../x", "a\nb", "a\0", "5e-1", "x" * 300,
     "a.py:b", "yaml:load", "yaml.nodes:", ":", 0, 1, -1, 10**400, 0.5, 1.5, -0.0]
)  # fmt: skip
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _ODD
_VALUES = st.recursive(
    _SCALARS | st.dates() | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_ODD | st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    sorted({*config.Experiment.model_fields, *config.Method.model_fields, "parameters", "rate",
            "base", "epochs", "train", "val", "path", "augmentation", "arguments", "training"})
) | st.text(max_size=4)  # fmt: skip


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    inner = [
        place
        for key, item in items
        for place in ([(*at, key)] + (_places(item, (*at, key)) if _is_box(item) else []))
    ]
    return inner


def _is_box(value: Any) -> bool:
    return isinstance(value, dict | list)


WHOLE = json.loads(config.parse(SMOKE).model_dump_json())


@settings(max_examples=250, deadline=None)
@given(data=st.data(), base=st.sampled_from([SMOKE, WHOLE]), times=st.integers(1, 2))
def test_a_configuration_is_read_or_refused_and_nothing_else(
    data: st.DataObject, base: dict[str, Any], times: int
) -> None:
    value = copy.deepcopy(base)
    for _ in range(times):
        *path, last = data.draw(st.sampled_from(_places(value)))
        box: Any = value
        for key in path:
            box = box[key]
        if isinstance(box, dict) and data.draw(st.booleans()):
            last = data.draw(_KEYS)  # a new key beside
        box[last] = data.draw(_VALUES)
    try:
        read = config.parse(value)
    except PrunebenchError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017  # or nothing is raised
        return
    # what is read can be written, and read again, and has jobs
    assert config.parse(json.loads(read.model_dump_json())) == read
    plan = Plan(read)
    assert all(plan.job_digest(job) for job in plan.curve_jobs.values())


@given(_VALUES)
def test_any_value_is_refused_as_a_configuration(value: Any) -> None:
    with pytest.raises(PrunebenchError):
        config.parse(value)


def test_methods_that_are_no_list_beside_methods_to_probe() -> None:
    given = {"methods": True, "probes": {"sensitivity": ["magnitude"]}}
    with pytest.raises(PrunebenchError, match="methods"):
        config.parse(given)
