"""How a training ended, on histories and errors made by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.experiment.training_gate import (
    Capacity,
    loss_fall,
    memorizes,
    outcome,
    under_trained,
)

WHOLE = Capacity(compression=1.0, hindered=False, chance=0.9)
SMALL = Capacity(compression=32.0, hindered=False, chance=0.9)


def history(losses: list[float | None], rates: list[float] | None = None) -> list[dict]:
    rates = rates or [0.1] * len(losses)
    return [
        {"epoch": n, "learning_rate": rate, "train_loss": loss}
        for n, (loss, rate) in enumerate(zip(losses, rates, strict=True), 1)
    ]


def test_a_loss_that_halves_every_epoch() -> None:
    # the last third of nine: 2⁻⁶, 2⁻⁷, 2⁻⁸, a quarter from end to end
    assert loss_fall(history([2.0**-n for n in range(9)])) == pytest.approx(0.75)


def test_a_loss_that_stands_still_or_rises() -> None:
    assert loss_fall(history([1.0] * 12)) == pytest.approx(0)
    rising = loss_fall(history([1.0] * 9 + [1.0, 2.0, 4.0]))
    assert rising is not None
    assert rising < 0


def test_epochs_at_a_vanished_rate_do_not_count() -> None:
    losses = [2.0**-n for n in range(9)] + [2.0**-9] * 30
    rates = [0.1] * 9 + [0.004] * 30  # below a twentieth of 0.1
    assert loss_fall(history(losses, rates)) == pytest.approx(0.75)
    assert loss_fall(history(losses)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("losses", [[], [1.0], [1.0] * 8, [None] * 12])
def test_too_few_epochs_tell_nothing(losses: list[float | None]) -> None:
    assert loss_fall(history(losses)) is None


@given(st.floats(0.5, 1.0), st.floats(0.01, 100.0), st.integers(9, 60))
def test_the_scale_of_the_loss_does_not_matter(each: float, scale: float, epochs: int) -> None:
    falls = loss_fall(history([scale * each**n for n in range(epochs)]))
    assert falls == pytest.approx(1 - each ** (epochs // 3 - 1), abs=1e-9)


@pytest.mark.parametrize(
    ("error", "fall", "capacity", "ended"),
    [
        # it knows its labels, whatever the loss still does
        (0.01, 0.9, WHOLE, "trained-out"),
        (0.0, None, SMALL, "trained-out"),
        # it does not, and the loss still falls, or nobody can tell
        (0.05, 0.05, WHOLE, "under-trained"),
        (0.4, 0.5, SMALL, "under-trained"),
        (0.4, None, SMALL, "under-trained"),
        # it cannot learn more
        (0.4, 0.04, SMALL, "trained-out"),
        (0.88, -0.1, SMALL, "trained-out"),
        # a whole network that ends far from its labels has failed, plateau or not
        (0.11, 0.0, WHOLE, "failed-to-train"),
        (0.11, 0.5, WHOLE, "failed-to-train"),
        # a smaller one, or one that is kept from its labels, only nearer to chance than to them
        (0.44, 0.0, Capacity(4.0, False, 0.9), "trained-out"),
        (0.46, 0.0, Capacity(4.0, False, 0.9), "failed-to-train"),
        (0.44, 0.0, Capacity(1.0, True, 0.9), "trained-out"),
        (0.46, 0.0, Capacity(1.0, True, 0.9), "failed-to-train"),
        # chance of two classes of which one is rare
        (0.08, 0.0, Capacity(1.0, False, 0.12), "failed-to-train"),
    ],
)
def test_outcomes(error: float, fall: float | None, capacity: Capacity, ended: str) -> None:
    assert outcome(error, fall, capacity, stops=False) == ended
    assert outcome(error, fall, capacity, stops=True) == "stopped"


def test_beyond_dense_capacity_nothing_is_a_failure_of_training() -> None:
    assert math.isinf(SMALL.far)
    assert outcome(1.0, 0.0, SMALL, stops=False) == "trained-out"


def test_where_networks_do_not_learn_every_target_only_chance_is_failure() -> None:
    capacity = Capacity(compression=1.0, hindered=False, chance=0.9, memorizes=False)
    assert outcome(0.3, 0.0, capacity, stops=False) == "trained-out"
    assert outcome(0.3, 0.0, WHOLE, stops=False) == "failed-to-train"
    assert outcome(0.3, 0.5, capacity, stops=False) == "under-trained"  # its loss still falls
    assert outcome(0.95, 0.0, capacity, stops=False) == "failed-to-train"
    assert not under_trained(0.3, noisy=False, augmented=False, memorizes=False)
    # with wrong targets memorizing is what is asked about
    assert under_trained(0.3, noisy=True, augmented=False, memorizes=False)
    assert [memorizes(kind) for kind in ("classification", "translation", None, "tea")] == [
        True
    ] * 4
    assert not any(map(memorizes, ("regression", "recommendation", "language-model", "detection")))
