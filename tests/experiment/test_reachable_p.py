"""What a plan can show, told before it runs."""

from __future__ import annotations

import pytest

from prunebench.experiment import config
from prunebench.experiment.reachable_p import Reach, smallest_p, units_needed
from tests.messages import unsaid


def plan(**changed: object) -> Reach:
    values: dict[str, object] = {
        "experiment": "e", "tasks": ["digits"], "regimes": ["clean"], "models": ["test_resnet"],
        "seeds": [0, 1, 2], "methods": ["random", "magnitude", "l1-filter"], "sparsities": [0.5],
    }  # fmt: skip
    return Reach.of(config.parse(values | changed, "a test"))


def test_three_seeds_of_one_model_decide_nothing() -> None:
    found = plan(analysis={"primary": ["magnitude"]})
    assert (found.units, found.least, found.decides, found.seeds_needed) == (3, 0.25, False, 6)
    said = found.said()
    assert unsaid(said, "smallest p", "0.25", "3 independent units, 3 seeds") == []
    assert unsaid(said, "caution", "alpha 0.05", "6 seeds are needed") == []


def test_models_are_units_of_their_own_unless_they_share_what_a_seed_draws() -> None:
    two = ["test_resnet", "seed-cnn"]
    found = plan(models=two, analysis={"primary": ["magnitude"]})
    assert (found.units, found.least, found.decides) == (6, 2**-5, True)
    assert "caution" not in found.said()
    for regime in ({"name": "n", "label_noise": 0.4}, {"name": "f", "train_fraction": 0.5}):
        assert plan(models=two, regimes=["clean", regime]).units == 3


def test_the_family_is_declared_or_all_that_are_no_controls() -> None:
    assert plan().family == 2  # random is a control
    both = plan(analysis={"primary": ["magnitude", "l1-filter"]}, seeds=[*range(6)])
    assert (both.family, both.decides, both.seeds_needed) == (2, False, 7)
    assert "0.062 after Holm over the 2 declared methods" in both.said()
    assert plan(analysis={"alpha": 0.5}, seeds=[*range(3)]).decides


@pytest.mark.parametrize(("family", "alpha", "needed"), [(1, 0.05, 6), (4, 0.05, 8), (1, 1.0, 1)])
def test_the_fewest_units_are_the_fewest(family: int, alpha: float, needed: int) -> None:
    assert units_needed(family, alpha) == needed
    assert smallest_p(needed) * family <= alpha
