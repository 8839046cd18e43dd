"""What is asked becomes a configuration that holds together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.settings import Experiment
from prunebench.runner.compress.request import (
    DENSE_TUNED,
    METHODS,
    Request,
    check_methods,
    task_of,
)
from prunebench.runner.compress.size_budget import Budget
from prunebench.text.numbers import value_text

BUDGETED = "budgeted-filter"


@pytest.fixture(autouse=True)
def a_file_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.pt").write_bytes(b"")


def asked(**changes: Any) -> Request:
    given = {"network": "resnet20", "task": "digits", "weights": "my.pt"}
    return Request(**{**given, "budget": Budget("macs", 0.5), **changes})


def grid(recalibrates: bool = True, **changes: Any) -> Experiment:
    return config.parse(asked(**changes).grid([0.5], recalibrates))


def test_loaded_weights_stay_and_what_is_pruned_is_fine_tuned() -> None:
    experiment = grid(epochs=7, learning_rate=0.02)
    assert [method.name for method in experiment.methods] == [*METHODS, DENSE_TUNED]
    [model] = experiment.models
    training = experiment.training_of(model, experiment.regimes[0])
    assert (training.epochs, training.recovery_epochs) == (0, 7)
    tuned = experiment.methods[0].recovery
    assert tuned.name == "fine-tuning"
    assert training.learning_rate * tuned.parameters["rate_share"] == pytest.approx(0.02)


@pytest.mark.parametrize(("recalibrates", "after"), [(True, "batch-norm-recalibration"),
                                                     (False, "none")])  # fmt: skip
def test_without_training_nothing_trains(recalibrates: bool, after: str) -> None:
    experiment = grid(recalibrates, training=False)
    assert [method.name for method in experiment.methods] == list(METHODS)
    assert {method.recovery.name for method in experiment.methods} == {after}


def test_a_budget_goes_to_the_allocation_that_takes_one() -> None:
    def own(**changes: Any) -> Any:
        [method] = [m for m in grid(**changes).methods if m.name == BUDGETED]
        return method.outcome, method.allocation.parameters["budget"]

    assert own() == (True, {"macs": 0.5})
    assert own(budget=Budget("weights", 0.3)) == (False, None)  # as the sparsities say
    assert own(budget=None, tolerance=1.0) == (False, None)
    assert asked(methods=(BUDGETED, "fpgm")).finder == "fpgm"
    with pytest.raises(PrunebenchError, match="whose allocation needs no search"):
        _ = asked(methods=(BUDGETED,)).finder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tolerance": 1.0}, "give a budget (macs=0.5) or a tolerance"),
        ({"budget": None}, "give a budget (macs=0.5) or a tolerance"),
        ({"budget": None, "tolerance": 0.0}, "tolerance 0: must be points between 0 and 100"),
        ({"weights": None}, "resnet20 has no trained weights: give weights, or pretrained"),
        ({"dense_epochs": 3}, "dense_epochs is for a network without trained weights"),
    ],
)
def test_what_cannot_be_asked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=re.escape(message)):
        asked(**changes)


@pytest.mark.parametrize(
    ("names", "training", "message"),
    [
        (["l1-filte"], True, "unknown method 'l1-filte'; did you mean 'l1-filter'?"),
        (["gradual"], False, "gradual trains while it prunes, and no training is allowed"),
        (["snip"], True, "snip has no use for trained weights"),
        ([], True, "no method is named"),
    ],
)
def test_methods_that_do_not_do(names: list[str], training: bool, message: str) -> None:
    check_methods(METHODS, training)
    with pytest.raises(PrunebenchError, match=re.escape(message)):
        check_methods(names, training)


def test_data_of_every_kind_are_a_task() -> None:
    Path("photos").mkdir()
    np.savez("my.npz", train_inputs=[1.0])
    Path("prices.yaml").write_text("source: table\npath: a.csv\nkind: regression\n")
    assert task_of("digits") == "digits"
    own = {"kind": "classification", "source": "own"}
    assert task_of("some/data.py:splits") == own | {"name": "splits", "path": "some/data.py:splits"}
    # the settings of the preset of that name are for other data
    assert task_of("data.py:digits") == own | {"name": "own-digits", "path": "data.py:digits"}
    assert task_of("my.npz", "regression") == {
        "kind": "regression", "source": "own", "name": "my", "path": "my.npz"
    }  # fmt: skip
    assert task_of("photos") == {
        "kind": "classification", "source": "folder", "name": "photos", "path": "photos"
    }  # fmt: skip
    assert task_of("prices.yaml") == {
        "name": "prices", "source": "table", "path": "a.csv", "kind": "regression"
    }  # fmt: skip
    with pytest.raises(PrunebenchError, match="data 'digit': no task that ships"):
        task_of("digit")


def test_what_decides_the_sparsities_names_them() -> None:
    one = asked()
    assert asked(epochs=3, learning_rate=0.5).name == one.name
    for other in (
        asked(budget=Budget("macs", 0.4)),
        asked(network="seed-cnn"),
        asked(methods=("fpgm",)),
        asked(exclude=("stem",)),
        asked(threads=2),
    ):
        assert other.name != one.name
    before = one.name
    Path("my.pt").write_bytes(b"other weights")
    assert one.name != before


@pytest.mark.parametrize("rate", [0.01, 0.003, 0.07])
def test_learning_rates_are_written_as_people_write_them(rate: float) -> None:
    whole = grid(learning_rate=rate).training.learning_rate
    assert str(whole) == f"{10 * rate:.12g}"
    assert value_text(whole * 0.1) == str(rate)
