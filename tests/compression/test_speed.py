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
from torch import Tensor, nn

from prunebench.compression import timing
from prunebench.compression.engines import is_two_four, semi_structured
from prunebench.compression.timing import Runner, measure_speed, runner, session
from prunebench.errors import PrunebenchError, Refused

CPU = torch.device("cpu")
IMAGE = torch.zeros(1, 2, 4, 4)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
        self.head = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.layer(x)).mean((2, 3)))


def network() -> nn.Module:
    torch.manual_seed(0)
    model = Net()
    model.norm.running_mean.normal_()
    return model


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


@pytest.mark.parametrize("engine", ["eager", "onnxruntime"])
def test_an_engine_computes_what_the_network_computes(engine: str) -> None:
    model, images = network(), torch.randn(3, 2, 4, 4)
    made = runner(engine, model, images, 1)
    assert made.engine == engine
    with torch.no_grad():
        want = model.eval()(images)
        found = torch.as_tensor(made(made.prepare(images)))
    torch.testing.assert_close(found, want)
    found_speed = measure_speed({"a": made}, images, batch=2, threads=1, repeats=2, warm_up=1)["a"]
    assert found_speed.engine == engine
    assert found_speed.median_ms > 0


def test_eager_runs_in_the_precision_of_the_weights() -> None:
    made = runner("eager", network().bfloat16(), IMAGE, 1)
    with torch.no_grad():
        assert made(made.prepare(IMAGE)).dtype == torch.bfloat16


def test_onnxruntime_gets_its_threads_and_does_not_spin() -> None:
    from prunebench.compression.export_formats import onnx_bytes

    file = onnx_bytes(network().eval(), torch.zeros(2, 2, 4, 4))
    found = session(file, 2).call.__closure__
    assert found is not None
    [made] = [cell.cell_contents for cell in found if hasattr(cell.cell_contents, "run")]
    options = made.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


class Broken(Net):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum().item() > 0:  # neither a compiler nor an exporter can follow it
            return super().forward(x)
        return super().forward(-x)


def test_what_cannot_be_compiled_is_refused_with_the_reason() -> None:
    with pytest.raises(Refused, match=r"^compile: does not work on this network here: \w+: \w+"):
        runner("compile", Broken(), IMAGE, 1)


@pytest.mark.slow
def test_compiled_computes_what_the_network_computes() -> None:
    model, images = network().eval(), torch.randn(3, 2, 4, 4)
    made = runner("compile", model, images, 1)
    with torch.inference_mode():
        torch.testing.assert_close(made(made.prepare(images)), model(images))


def test_semi_structured_is_not_measured_without_the_hardware() -> None:
    with pytest.raises(Refused, match=r"^semi-structured: not measured on this hardware: .*8\.0"):
        runner("semi-structured", network(), IMAGE, 1)


def test_an_older_gpu_is_not_measured_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")

    class Elsewhere:
        device = torch.device("cuda")

    with pytest.raises(Refused, match=r"not measured on this hardware: .* this is Tesla T4"):
        semi_structured(network(), Elsewhere(), 1)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**31))
def test_two_four_is_what_counting_says(rows: int, groups: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    weight = (torch.rand(rows, 4 * groups, generator=draw) < 0.4).float()
    naive = all(
        sum(float(weight[row, 4 * group + at]) != 0 for at in range(4)) <= 2
        for row in range(rows)
        for group in range(groups)
    )
    assert is_two_four(weight) == naive
    assert not is_two_four(weight[:, :-1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_semi_structured_computes_what_half_precision_computes() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(128, 128), nn.Linear(128, 5)).cuda().half()
    with torch.no_grad():
        model[1].weight.view(128, -1, 4)[:, :, :2] = 0
    images = torch.randn(64, 2, 8, 8, device="cuda")
    sparse, dense = (runner(name, model, images, 1) for name in ("semi-structured", "half"))
    with torch.inference_mode():
        found, want = (one(one.prepare(images)) for one in (sparse, dense))
    torch.testing.assert_close(found, want, rtol=1e-2, atol=1e-2)
    times = measure_speed({"a": sparse, "b": dense}, images[:1], 64, 1, repeats=3, warm_up=1)
    assert times["a"].device == torch.cuda.get_device_name()


def test_an_unknown_engine_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(PrunebenchError, match="unknown engine 'eagr'; did you mean 'eager'"):
        runner("eagr", network(), IMAGE, 1)
