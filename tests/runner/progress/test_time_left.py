"""How long cells take is learned from the records of others."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner.progress.time_left import _ENOUGH, Effort, Rates, samples_of

from .tiny_grid import GRID, cell


def took(rates: Rates, effort: Effort) -> float | None:
    return rates.seconds(effort.like, effort.amount)


def test_samples_of_an_epoch(plan: Plan) -> None:
    sizes = {baseline.regime.name: samples_of(baseline) for baseline in plan.baselines}
    assert sizes == {"clean": 400, "few": 100}
    more = {**GRID, "regimes": [{"name": "half", "train_fraction": 0.5}]}
    assert samples_of(Plan(config.parse(more)).baselines[0]) == 200


def test_time_is_that_of_like_cells_by_their_samples(plan: Plan) -> None:
    rates, dense = Rates(), cell(plan, "clean", "dense", 0.0)
    assert took(rates, dense) is None
    rates.add(dense, {"status": "ok", "train_epochs": 10.0, "train_seconds": 8.0})
    # 4000 samples took 8 s; the other regime has 1000, a recovery 4 epochs of 400
    assert took(rates, cell(plan, "few", "dense", 0.0)) == pytest.approx(2.0)
    assert took(rates, cell(plan, "clean", "magnitude", 0.5)) == pytest.approx(3.2)


def test_what_a_record_stands_on_is_not_counted_twice(plan: Plan) -> None:
    """A record counts its baseline, an iterative one also the rounds before."""
    rates = Rates()
    for method, sparsity, epochs, seconds in (
        ("dense", 0.0, 10.0, 10.0), ("imp", 0.5, 20.0, 30.0), ("imp", 0.75, 30.0, 50.0),
        ("magnitude", 0.5, 14.0, 16.0), ("magnitude", 0.75, 14.0, 18.0),
        ("dense-decayed", 0.0, 50.0, 60.0),
    ):  # fmt: skip
        record = {"status": "ok", "train_epochs": epochs, "train_seconds": seconds}
        rates.add(cell(plan, "clean", method, sparsity), record)
    assert took(rates, cell(plan, "clean", "imp", 0.5)) == pytest.approx(20.0)
    assert took(rates, cell(plan, "clean", "magnitude", 0.5)) == pytest.approx(7.0)
    # five trainings, each of its own: the baseline's is no part of them
    assert took(rates, cell(plan, "clean", "dense-decayed", 0.0)) == pytest.approx(60.0)
    assert took(rates, cell(plan, "few", "dense-decayed", 0.0)) == pytest.approx(15.0)


def test_failed_and_silent_records_teach_nothing(plan: Plan) -> None:
    rates, dense = Rates(), cell(plan, "clean", "dense", 0.0)
    for record in (
        {"status": "failed", "train_epochs": 1.0, "train_seconds": 1.0}, {"status": "ok"},
        {"status": "ok", "train_epochs": 0.0, "train_seconds": 0.0},
    ):  # fmt: skip
        rates.add(dense, record)
    assert took(rates, dense) is None


def test_of_many_like_curves_the_first_are_enough(plan: Plan) -> None:
    rates, first = Rates(), cell(plan, "clean", "magnitude", 0.5)
    record = {"status": "ok", "train_epochs": 4.0, "train_seconds": 3.0}
    for seed in range(_ENOUGH):
        key = first.key._replace(seed=seed)
        effort = replace(first, cell=SimpleNamespace(coordinates=key))
        assert rates.wants(effort)
        rates.add(effort, record)
    other = replace(first, cell=SimpleNamespace(coordinates=first.key._replace(seed=99)))
    assert not rates.wants(other)
    # the rest of a curve that was begun says what its cells trained themselves
    begun = first.key._replace(seed=0, sparsity=0.75)
    assert rates.wants(replace(first, cell=SimpleNamespace(coordinates=begun)))
    assert rates.wants(cell(plan, "few", "magnitude", 0.5))
    assert rates.wants(cell(plan, "clean", "dense", 0.0))
    assert took(rates, other) == pytest.approx(3.0)
