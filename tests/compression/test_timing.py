"""Times: what is counted, in which order, and what is refused rather than guessed."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunebench.compression import timing
from prunebench.compression.timing import Runner, measure_speed
from prunebench.errors import PrunebenchError

CPU = torch.device("cpu")
IMAGE = torch.zeros(1, 2, 4, 4)


def counting(seen: list[tuple[str, int]], name: str, seconds: float = 0.0) -> Runner:
    def call(given: Tensor) -> None:
        seen.append((name, len(given)))
        time.sleep(seconds)

    return Runner("test", call, lambda batch: batch, CPU, 1)


def test_models_take_turns_in_a_seeded_order_after_the_warm_up() -> None:
    seen: list[tuple[str, int]] = []
    models = {name: counting(seen, name) for name in "abc"}
    found = measure_speed(models, IMAGE, batch=7, threads=1, repeats=20, warm_up=3)
    rounds = [[name for name, _ in seen[at : at + 3]] for at in range(0, len(seen), 3)]
    assert len(rounds) == 23
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    # no model always follows the same one
    assert len({tuple(names) for names in rounds}) == 6
    assert {size for _, size in seen} == {7}
    assert [found[name].repeats for name in "abc"] == [20, 20, 20]
    first, seen[:] = list(seen), []
    measure_speed(models, IMAGE, batch=7, threads=1, repeats=20, warm_up=3)
    assert seen == first
    seen.clear()
    measure_speed(models, IMAGE, batch=7, threads=1, repeats=20, warm_up=3, seed=1)
    assert seen != first
    assert Counter(seen) == Counter(first)


def test_a_model_takes_at_least_what_it_sleeps() -> None:
    seen: list[tuple[str, int]] = []
    models = {"slow": counting(seen, "slow", 0.02), "fast": counting(seen, "fast", 0.005)}
    found = measure_speed(models, IMAGE, batch=2, threads=1, repeats=5, warm_up=0)
    assert found["slow"].low_ms >= 20
    assert found["fast"].low_ms >= 5
    for one in found.values():
        assert one.low_ms <= one.median_ms <= one.high_ms
        assert one.throughput == pytest.approx(2 / (one.median_ms / 1000))
        assert (one.batch, one.threads, one.engine) == (2, 1, "test")
        assert one.device


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 1e3), min_size=1, max_size=30))
def test_median_and_quartiles_are_those_of_numpy(taken: list[float]) -> None:
    waiting = iter(taken)
    timers = {"cpu": lambda call, given: next(waiting)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "TIMERS", timers)
        models = {"a": counting([], "a")}
        found = measure_speed(models, IMAGE, 4, threads=1, repeats=len(taken), warm_up=0)["a"]
    want = np.percentile(taken, [25, 50, 75])
    assert np.allclose([found.low_ms, found.median_ms, found.high_ms], want)
    assert found.throughput == pytest.approx(4000 / want[1])


def test_threads_are_fixed_while_it_measures_and_given_back() -> None:
    seen: list[tuple[int, bool]] = []

    def call(given: Tensor) -> None:
        seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled()))

    before = torch.get_num_threads()
    models = {"a": Runner("test", call, lambda batch: batch, CPU, 2)}
    found = measure_speed(models, IMAGE, batch=1, threads=2, repeats=2, warm_up=1)
    assert seen == [(2, True)] * 3
    assert torch.get_num_threads() == before
    assert found["a"].threads == 2


@pytest.mark.parametrize("what", ["batch", "threads", "repeats"])
def test_numbers_below_one_are_refused(what: str) -> None:
    numbers = {"batch": 1, "threads": 1, "repeats": 1, what: 0}
    with pytest.raises(PrunebenchError, match=f"{what} must be 1 or more, found 0"):
        measure_speed({}, IMAGE, warm_up=0, **numbers)


def test_a_runner_of_other_threads_is_refused() -> None:
    models = {"a": replace(counting([], "a"), threads=2)}
    with pytest.raises(PrunebenchError, match="a was made for 2 threads, not 1"):
        measure_speed(models, IMAGE, batch=1, threads=1, repeats=1, warm_up=0)
