"""Engines: each computes what the network computes, or says why it cannot."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunebench.compression.engines import is_two_four, semi_structured
from prunebench.compression.timing import measure_speed, runner, session
from prunebench.errors import PrunebenchError, Refused

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


class Broken(Net):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum().item() > 0:  # neither a compiler nor an exporter can follow it
            return super().forward(x)
        return super().forward(-x)


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
