"""Methods at other lengths of recovery, and controls as long as the longest method."""

from __future__ import annotations

import math
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment.budget import budget
from prunebench.experiment.config import parse
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Experiment, Method

IMP = {"name": "imp", "schedule": {"name": "iterative", "rate": 0.5}}


def grid(methods: list[Any], **more: Any) -> Experiment:
    return parse(
        {
            "experiment": "x", "tasks": ["digits"], "regimes": ["clean"], "models": ["seed-cnn"],
            "seeds": [0], "methods": methods, "sparsities": [0.5, 0.9921875],
            "training": {"epochs": 34, "recovery_epochs": 12}, **more,
        }
    )  # fmt: skip


def named(experiment: Experiment) -> dict[str, Method]:
    return {method.name: method for method in experiment.methods}


def test_every_method_that_recovers_is_run_at_every_length() -> None:
    found = named(grid(["magnitude", "gradual", "dense-stopped"], recovery_lengths=[10, 1, 3]))
    assert list(found) == [
        "magnitude", "magnitude-3x", "magnitude-10x", "gradual", "dense-stopped",
        "dense-stopped-3x", "dense-stopped-10x",
    ]  # fmt: skip
    assert [method.length for method in found.values()] == [1, 3, 10, 1, 1, 3, 10]
    assert found["magnitude-10x"].base_method == "magnitude"
    assert found["magnitude-10x"].recovery == found["magnitude"].recovery


def test_a_methods_own_lengths_go_before_the_grids() -> None:
    methods = [{"name": "magnitude", "recovery_lengths": [1, 2.5]}, "magnitude-rewind"]
    found = named(grid(methods, recovery_lengths=[1, 3]))
    assert set(found) == {"magnitude", "magnitude-2.5x", "magnitude-rewind", "magnitude-rewind-3x"}


def test_a_resolved_configuration_is_its_own_resolution() -> None:
    first = grid(["magnitude", IMP, "dense-long", "magnitude-long"], recovery_lengths=[1, 3])
    assert parse(first.model_dump(mode="json")) == first


def test_the_length_names_the_result_and_a_length_of_one_does_not() -> None:
    alone, beside = grid(["magnitude"]), grid(["magnitude"], recovery_lengths=[1, 3])
    plans = [Plan(experiment) for experiment in (alone, beside)]
    digests = [
        [plan.cell(plan.baselines[0], m, 0.5).identity("data") for m in plan.experiment.methods]
        for plan in plans
    ]
    assert digests[0][0] == digests[1][0]
    assert digests[1][0] != digests[1][1]


@pytest.mark.parametrize("lengths", [[], [3], [1, 1], [1, 0], [1, -2], 3, ["three"], [True]])
def test_lengths_that_are_none_are_refused(lengths: Any) -> None:
    with pytest.raises(PrunebenchError, match="recovery_lengths"):
        grid(["magnitude"], recovery_lengths=lengths)


def test_a_name_that_a_length_would_take_is_refused() -> None:
    mine = {"name": "magnitude-3x", "base": "magnitude-rewind"}
    with pytest.raises(PrunebenchError, match="magnitude-3x"):
        grid(["magnitude", mine], recovery_lengths=[1, 3])


def test_dense_long_trains_as_long_as_the_longest_method() -> None:
    experiment = grid(["magnitude", IMP, "dense-long"], recovery_lengths=[1, 3])
    found, training = named(experiment), experiment.training
    # the baseline, and a round for each halving
    assert budget(found["imp"], training, 0.9921875) == 34 + 7 * 34
    assert found["dense-long"].recovery.parameters["times"] == 7
    assert budget(found["dense-long"], training, 0.0) == 34 + 7 * 34
    assert budget(found["dense-long-3x"], training, 0.0) == 34 + 3 * 7 * 34
    assert budget(found["imp-3x"], training, 0.9921875) == 34 + 3 * 7 * 34


def test_fine_tuning_as_long_as_the_longest_method() -> None:
    experiment = grid(["magnitude-long", IMP], recovery_lengths=[1, 3])
    found = named(experiment)
    assert set(found) == {"magnitude-long", "imp", "imp-3x"}
    assert found["magnitude-long"].length == pytest.approx(7 * 34 / 12, abs=1e-4)
    assert budget(found["magnitude-long"], experiment.training, 0.5) == 34 + 7 * 34


def test_the_longest_of_every_network_and_regime() -> None:
    # the same rounds are more of a shorter schedule's epochs
    few = {"name": "few", "train_samples": 100, "training": {"epochs": 10, "recovery_epochs": 45}}
    found = named(grid(["magnitude", "dense-long"], regimes=["clean", few]))
    assert found["dense-long"].recovery.parameters["times"] == math.ceil(45 / 10)


def test_whoever_names_the_recovery_says_how_long() -> None:
    mine = {"name": "dense-long", "recovery": {"name": "learning-rate-rewinding", "times": 2}}
    found = named(grid([IMP, mine]))
    assert found["dense-long"].recovery.parameters["times"] == 2


def test_what_does_not_train_cannot_be_longer() -> None:
    with pytest.raises(PrunebenchError, match=r"mine.*budget"):
        grid([{"name": "mine", "criterion": "magnitude", "recovery": "none", "budget": "longest"}])
