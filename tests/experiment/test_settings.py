"""What a configuration may hold: keys, ranges, types, names; and how a refusal says so."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.settings import Experiment, Model, Name, Training
from prunebench.experiment.settings.experiment import Compute
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.experiment.validation import Settings, takes_numbers, validated
from tests.messages import unsaid

SMOKE = read_yaml(Path(__file__).resolve().parents[2] / "config" / "smoke.yaml")


def changed(path: str, value: Any) -> dict[str, Any]:
    """The smoke grid with ``a.0.b`` set to ``value``."""
    whole = box = copy.deepcopy(SMOKE)
    *keys, last = (int(key) if key.isdigit() else key for key in path.split("."))
    for key in keys:
        box = box[key]
    box[last] = value
    return whole


def refusal(path: str, value: Any) -> str:
    with pytest.raises(PrunebenchError) as caught:
        config.parse(changed(path, value), "grid.yaml")
    text = str(caught.value)
    assert text.startswith("grid.yaml: ")
    assert len(text.splitlines()) == 1
    return text.removeprefix("grid.yaml: ")


# -------------------------------------------------------------------------- unknown keys


@pytest.mark.parametrize(
    ("path", "entry", "place", "nearest"),
    [
        ("sparsity", [0.5], "sparsity", "sparsities"),
        ("training.epoch", 1, "training.epoch", "epochs"),
        ("compute.thread", 1, "compute.thread", "threads"),
        ("prunable", {"heads": True}, "prunable.heads", "head"),
        ("tasks.0.imagesize", 8, "tasks: digits: imagesize", "image_size"),
        ("tasks.0.augmentation", {"crops": 1}, "tasks: digits: augmentation.crops", "crop"),
        ("regimes.1", {"name": "loud", "labelnoise": 0.1}, "regimes: loud: labelnoise",
         "label_noise"),
        ("models.0.stems", "small", "models: seed-cnn: stems", "stem"),
        ("models.0.training", {"epoch": 3}, "models: seed-cnn: training: epoch", "epochs"),
        ("methods.1.recover", "none", "methods: imp: recover", "recovery"),
        ("methods.1.schedule", {"name": "iterative", "rates": 0.1},
         "methods: imp: schedule 'iterative' has no parameter 'rates'", "rate"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_refused_with_the_nearest(
    path: str, entry: Any, place: str, nearest: str
) -> None:
    text = refusal(path, entry)
    assert text.startswith(place)
    assert text.endswith(f"; did you mean {nearest!r}?")


def test_without_a_near_key_all_are_named() -> None:
    told = refusal("compute.zzz", 1)
    assert unsaid(told, "compute.zzz: unknown key", *sorted(Compute.model_fields)) == []


def test_every_fault_is_told_and_the_file_once() -> None:
    text = refusal("training", {"epochs": -1, "gamma": 2, "epoch": 1})
    assert [part.partition(":")[0] for part in text.split("; ")[:2]] == [
        "training.epochs",
        "training.gamma",
    ]
    assert "grid.yaml" not in text


@pytest.mark.parametrize(("kind", "near"), [("tasks", "digits"), ("regimes", "clean"),
                                            ("methods", "random")])  # fmt: skip
def test_an_unknown_name_is_refused_with_the_nearest(kind: str, near: str) -> None:
    text = refusal(kind, [f"{near}x"])
    assert text == f"{kind}: unknown {kind[:-1]} '{near}x'; did you mean {near!r}?"


# -------------------------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("sparsities", [], "at least 1 item"),
        ("sparsities", [0.5, 1], "sparsities[1]: input should be less than 1 (found 1)"),
        ("sparsities", [-0.1], "greater than or equal to 0"),
        ("sparsities", [0.0, 0.5], "0 is the dense baseline, which every grid has: leave it out"),
        ("sparsities", [-0.0], "0 is the dense baseline"),
        ("sparsities", [0.5, 0.5], "sparsities: given more than once: 0.5"),
        ("sparsities", [0.5, 0.5 + 1e-12], "sparsities: given more than once: 0.5"),
        ("sparsities", [math.nan], "sparsities[0]: "),
        ("sparsities", [[0.5]], "sparsities[0]: input should be a valid number"),
        ("sparsities", 0.5, "sparsities: must be a list, e.g. [0.5] (found 0.5)"),
        ("sparsities", None, "sparsities: must be a list (found None)"),
        ("seeds", [], "at least 1 item"),
        ("seeds", [0, 1, 0], "seeds: given more than once: 0"),
        ("seeds", [-1], "greater than or equal to 0"),
        ("seeds", [0.5], "valid integer"),
        ("seeds", [True], "seeds: input should be a valid number, not a boolean"),
        ("regimes.0", {"name": "x", "label_noise": 1.0}, "regimes: x: label_noise"),
        ("regimes.0", {"name": "x", "label_noise": -0.1}, "greater than or equal to 0"),
        ("regimes.0", {"name": "x", "train_fraction": 0}, "greater than 0"),
        ("regimes.0", {"name": "x", "train_fraction": 1.5}, "less than or equal to 1"),
        ("training.epochs", -1, "epochs: input should be greater than or equal to 0"),
        ("training.epochs", 2.5, "valid integer"),
        ("training.epochs", True, "not a boolean"),
        ("training.epochs", 10**400, "less than or equal to 1000000"),
        ("training.batch_size", 1, "greater than 1"),
        ("training.learning_rate", 0, "greater than 0"),
        ("training.learning_rate", math.inf, "finite number"),
        ("training.milestones", [math.nan], "training.milestones[0]: input should be a finite"),
        ("training.optimizer", "sdg", "'sgd' or 'adamw' (found 'sdg')"),
        ("training.warmup_epochs", 4, "warmup_epochs must be fewer than epochs"),
        ("training.rewind_epochs", [4], "rewind_epochs must lie between 1 and 3"),
        ("models.0.training", {"epochs": -1}, "models: seed-cnn: training: epochs: input should"),
        ("models.0.training", {"warmup_epochs": 12}, "models: seed-cnn: training: warmup_epochs"),
        ("models.0.arguments", {"x": {1}}, "models: seed-cnn: arguments.x: input was not a valid"),
        ("models.0.arguments", {"x": math.nan}, "arguments.x: input should be a finite number"),
        ("compute.threads", 0, "greater than 0"),
        ("compute.device", "gpu", "compute.device: string should match"),
        ("compute.precision", True, "compute.precision: input should be 'auto'"),
        ("tasks.0.train", 0, "tasks: digits: train: input should be greater than 0"),
        ("tasks.0.val", 1.5, "tasks: digits: val: a share must be less than 1"),
        ("tasks.0.val", "x", "tasks: digits: val: input should be a valid integer"),
        ("tasks.0.source", "digit", "unknown source 'digit'; did you mean 'digits'?"),
        ("tasks.0.path", "no/such", "tasks: digits: path 'no/such' does not exist"),
        ("tasks.0.path", "x" * 5000, "does not exist"),
        ("tasks.0.path", "a\0b", "holds a zero byte"),
        ("prunable", {"exclude": "*"}, "prunable.exclude: must be a list, e.g. ['*']"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(path: str, value: Any, reason: str) -> None:
    assert reason in refusal(path, value)


@pytest.mark.parametrize("key", sorted(Experiment.model_fields))
@pytest.mark.parametrize("value", [None, 1, "x", [None], [[]], {"x": 1}, [{"name": None}], True])
def test_null_and_wrong_types_are_refused_at_the_top(key: str, value: Any) -> None:
    if key == "experiment" and value in (1, "x") and value is not True:
        return  # a name, which YAML may read as a number
    assert key in refusal(key, value)


@pytest.mark.parametrize("kind", ["tasks", "regimes", "models", "methods"])
@pytest.mark.parametrize("entry", [None, 1, [], {}, {"name": []}, {"base": "x"}, 2.5, True])
def test_an_entry_is_a_name_or_a_mapping_with_a_name(kind: str, entry: Any) -> None:
    assert kind in refusal(kind, [entry])


def test_numbers_that_yaml_reads_as_text_are_numbers() -> None:
    read = config.parse(changed("training.learning_rate", "5e-2"))
    assert read.training.learning_rate == 0.05


def test_grids_are_sorted_so_that_their_order_names_nothing() -> None:
    read = config.parse({**SMOKE, "seeds": [2, 0, 1], "sparsities": [0.9, 0.5]})
    assert read.seeds == [0, 1, 2]
    assert read.sparsities == [0.5, 0.9]


def test_settings_do_not_change_once_checked() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Training().epochs = 3  # type: ignore[misc]


# ------------------------------------------------------------------------------- regimes


REFUSED = [
    ({"label_noise": 0.2, "class_map": {0: 1}}, "class_map and noise: asymmetric need each other"),
    ({"label_noise": 0.2, "noise": "asymmetric"}, "class_map and noise: asymmetric need each"),
    ({"label_noise": 0.2, "noise": "asymmetric", "class_map": {0: 1, 2: 2}},
     "class_map: class 2 must go to another class"),
    ({"label_noise": 0.2, "noise": "asymmetric", "class_map": {-1: 2}}, "class_map"),
    ({"label_noise": 0.2, "noise": "asymmetric", "class_map": {1: -2}}, "class_map"),
    ({"label_noise": 0.2, "noise": "asymmetric", "class_map": {True: 2}}, "not booleans"),
    ({"label_noise": 0.2, "noise": "asymmetric", "class_map": [1, 2]}, "valid dictionary"),
    ({"label_noise": 0.2, "noise": "pairflip"}, "'pair-flip' or 'shifted'"),
    ({"noise": "pair-flip"}, "noise: pair-flip needs a label_noise"),
    ({"train_samples": 0}, "train_samples: input should be greater than 0"),
    ({"train_samples": True}, "not a boolean"),
    ({"train_samples": 10, "train_fraction": 0.5}, "give one of the two"),
    ({"width": 0}, "width: input should be greater than 0"),
    ({"width": True}, "not a boolean"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "reason"), REFUSED)
def test_a_regime_that_contradicts_itself_is_refused(entry: dict[str, Any], reason: str) -> None:
    text = refusal("regimes.0", {"name": "mine", **entry})
    assert text.startswith("regimes: mine: ")
    assert reason in text


def test_a_regime_combines_what_provokes_overfitting() -> None:
    asked = {
        "name": "mine", "label_noise": 0.2, "noise": "asymmetric", "class_map": {3: 5, 5: 3},
        "train_samples": 200, "augmentation": True, "width": 2, "noisy_val": True,
    }  # fmt: skip
    regime = config.parse(changed("regimes.0", asked)).regimes[0]
    assert regime.model_dump(include=set(asked)) == asked
    # through JSON, whose keys are text
    assert type(regime).model_validate_json(regime.model_dump_json()) == regime


def test_the_regimes_that_ship() -> None:
    names = ["clean", "augmented", "noisy-20", "noisy-40", "pair-flip-40", "few-10",
             "few-10-noisy-40", "wide", "narrow"]  # fmt: skip
    regimes = {r.name: r for r in config.parse({**SMOKE, "regimes": names}).regimes}
    assert list(regimes) == names
    assert (regimes["pair-flip-40"].noise, regimes["pair-flip-40"].label_noise) == (
        "pair-flip",
        0.4,
    )
    both = regimes["few-10-noisy-40"]
    assert (both.train_fraction, both.label_noise) == (0.1, 0.4)
    assert (regimes["wide"].width, regimes["narrow"].width) == (2, 0.5)


# --------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "a b", " a", "a\n", ".hidden", "-x", "$HOME", "a;b",
     "a|b", "a*", "{a}", "a'b", 'a"b', "a:b", "a@b", "~", "ä", "x" * 65],
)  # fmt: skip
def test_a_name_that_is_no_safe_path_is_refused(name: str) -> None:
    assert "experiment: " in refusal("experiment", name)
    base = {"tasks": "digits", "regimes": "clean", "methods": "imp"}
    for kind, preset in base.items():
        assert kind in refusal(kind, [{"name": name, "base": preset}])
    assert "models" in refusal("models", [{"name": name}])


class _Named(Settings):
    name: Name


@given(st.text(max_size=70))
@example("resnet18.a1_in1k")
def test_an_accepted_name_is_one_part_of_a_path(text: str) -> None:
    try:
        name = validated(_Named, {"name": text}, "x").name
    except PrunebenchError:
        return
    assert Path("a", name).parent == Path("a")
    assert name not in (".", "..")
    assert name.isascii()
    assert not set(name) & set(" \t\n/\\:;|&<>()$`'\"*?[]{}~!#@+%,")


def test_a_name_that_yaml_reads_as_a_number_is_text_and_as_a_boolean_is_refused() -> None:
    assert config.parse({**SMOKE, "experiment": 8}).experiment == "8"
    assert "quote it: YAML reads this as a boolean" in refusal("experiment", False)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a", "a"], "named more than once: a"),
        (["a", "A"], "named too much alike: a, A"),  # one folder where case does not count
        (["a-b", "c", "a_b"], "named too much alike: a-b, a_b"),  # one rule of the workflow
        (["dense"], "'dense' is the baseline's own name"),
    ],
)  # fmt: skip
def test_names_must_differ(names: list[str], reason: str) -> None:
    entries = [{"name": name, "base": "imp"} for name in names]
    assert refusal("methods", entries) == f"methods: {reason}"
    assert refusal("models", [{"name": name} for name in names]) == f"models: {reason}"


# ---------------------------------------------------------------------------- validation


def test_which_fields_take_numbers() -> None:
    numbers = {name for name, f in Training.model_fields.items() if takes_numbers(f.annotation)}
    assert set(Training.model_fields) - numbers == {"optimizer", "schedule", "nesterov"}


# -------------------------------------------------------------------------- kinds of tasks


def test_an_experiment_is_of_one_kind() -> None:
    text = refusal("tasks", ["digits", "diabetes"])
    assert unsaid(text, "digits", "classification", "diabetes", "regression") == []


def test_a_kind_knows_its_noises() -> None:
    whole = changed("tasks", ["diabetes"])
    whole["regimes"] = [{"name": "paired", "label_noise": 0.2, "noise": "pair-flip"}]
    with pytest.raises(PrunebenchError, match="'pair-flip': kind regression knows symmetric alone"):
        config.parse(whole, "grid.yaml")


def test_distillation_needs_a_kind_that_measures_how_far_outputs_are() -> None:
    whole = {**SMOKE, "regimes": ["clean"], "methods": ["magnitude-distilled"]}
    config.parse({**whole, "tasks": ["diabetes"]})
    task = {"name": "mine", "source": "digits", "kind": "speech-recognition"}
    with pytest.raises(PrunebenchError) as caught:
        config.parse({**whole, "tasks": [task]}, "grid.yaml")
    method, kind = "methods: magnitude-distilled: recovery 'distillation'", "speech-recognition"
    assert unsaid(str(caught.value), "grid.yaml: ", method, kind, "recovery: fine-tuning") == []


def test_an_unknown_kind_names_the_nearest() -> None:
    task = {"name": "mine", "source": "digits", "kind": "regresion"}
    assert "did you mean 'regression'" in refusal("tasks", [task])


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("seeds", 3, "seeds: must be a list of seeds, e.g. [0, 1, 2], found 3"),
        ("seeds", 50, "e.g. [0, 1, 2], found 50"),
        ("sparsities", 0.5, "sparsities: must be a list, e.g. [0.5] (found 0.5)"),
        ("methods", "magnitude", "methods: must be a list, e.g. ['magnitude'] (found 'magnitude')"),
        ("models", "seed-cnn", "models: must be a list, e.g. ['seed-cnn']"),
    ],
)
def test_one_value_in_the_place_of_a_list_is_told_the_right_form(
    path: str, value: Any, said: str
) -> None:
    assert said in refusal(path, value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"pretrained_cfg": {"url": "http://x.example/a.pth"}}, "url"),
        ({"pretrained_cfg_overlay": {"num_classes": 3, "hf_hub_id": "a/b"}}, "hf_hub_id"),
        ({"pretrained_cfg": {"source": "hf-hub"}}, "source"),
        ({"cache_dir": "/anywhere"}, "cache_dir"),
        ({"checkpoint_path": "https://x.example/a.pth"}, "'https://x.example/a.pth'"),
        ({"a": [{"b": ["file:///etc/passwd"]}]}, "'file:///etc/passwd'"),
    ],
)
@pytest.mark.parametrize("pretrained", [True, False])
def test_arguments_of_a_network_fetch_nothing(
    arguments: dict[str, Any], told: str, pretrained: bool
) -> None:
    """Refused before timm hears of it: nothing is asked for, nothing lies in its cache."""
    given = {"name": "x", "architecture": "test_resnet", "arguments": arguments}
    with pytest.raises(PrunebenchError) as caught:
        validated(Model, {**given, "pretrained": pretrained}, "models: x")
    assert f"arguments: {told} would fetch a file" in str(caught.value)


def test_arguments_that_name_files_or_tags_stay() -> None:
    for arguments in (
        {"pretrained_cfg_overlay": {"file": "mine.pth", "url": None}},
        {"pretrained_cfg": "a1_in1k", "drop_rate": 0.1, "layers": [2, 2]},
    ):
        Model(name="x", architecture="test_resnet", arguments=arguments)


# ------------------------------------------------------------------------- sensitivity


def test_a_sensitivity_is_of_a_preset_or_of_the_grids_own_method() -> None:
    own = {"name": "magnitude", "criterion": "magnitude", "allocation": "uniform"}
    grid = changed("methods", [own]) | {"probes": {"sensitivity": ["magnitude", "l1-filter"]}}
    found = config.parse(grid).probes.sensitivity
    assert [method.name for method in found] == ["magnitude", "l1-filter"]
    assert found[0].allocation.name == "uniform"
    # as a resolved configuration has it
    again = config.parse(config.parse(grid).model_dump(mode="json"))
    assert again.probes.sensitivity == found


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("movement", "adds its scores up in training"),
        ("sparsegpt", "changes the weights that stay"),
        ("magnitude-2-4", "pattern 'n-m' is not pruned layer by layer"),
        ("filters-then-weights", "prunes in two parts"),
        ("magnitud", "unknown method 'magnitud'; did you mean 'magnitude'"),
    ],
)
def test_what_prunes_no_layer_alone_has_no_sensitivity(method: str, why: str) -> None:
    assert why in refusal("probes", {"sensitivity": [method]})


def test_a_sensitivity_is_asked_for_once() -> None:
    assert "more than once: magnitude" in refusal("probes", {"sensitivity": ["magnitude"] * 2})


def test_without_a_sensitivity_probes_are_what_they_were() -> None:
    assert "sensitivity" not in config.parse(SMOKE).probes.settings()
