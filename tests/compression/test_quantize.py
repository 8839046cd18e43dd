"""Eight bits after training: by hand on one layer, within a bound on a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from prunebench.compression.export_formats import Deployed, onnx_bytes
from prunebench.compression.quantize import predict, quantize
from prunebench.compression.timing import session
from prunebench.errors import PrunebenchError, Refused
from prunebench.tasks.forms import FORMS
from tests.kinds import classes

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (96, 1, 8, 8), dtype=np.uint8)


def exported(model: nn.Module, path: Path) -> Path:
    deployed = Deployed(
        model, torch.tensor([100.0]), torch.tensor([80.0]), FORMS["pixels"], classes(10)
    )
    path.write_bytes(onnx_bytes(deployed, torch.zeros(2, 1, 8, 8, dtype=torch.uint8)))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A convolutional network in single precision and in 8 bits."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    path = exported(model, tmp_path_factory.mktemp("quantize") / "model.onnx")
    return {"float": path, "int8": quantize(path, IMAGES)}


def logits(path: Path, images: np.ndarray = IMAGES) -> np.ndarray:
    return predict(session(path, 1), images)


def test_it_is_int8_in_weights_and_activations(files: dict[str, Path]) -> None:
    assert files["int8"].name == "model.int8.onnx"
    graph = onnx.load(files["int8"]).graph
    kinds = {tensor.name: tensor for tensor in graph.initializer}
    ends = {node.output[0]: node for node in graph.node}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(layers) == 3
    for layer in layers:
        given, weight = (ends[name] for name in layer.input[:2])
        assert {given.op_type, weight.op_type} == {"DequantizeLinear"}
        assert kinds[weight.input[0]].data_type == onnx.TensorProto.INT8
        filters = kinds[weight.input[0]].dims[0]
        # one scale a filter; the weights are symmetric
        assert list(kinds[weight.input[1]].dims) == [filters]
        assert not onnx.numpy_helper.to_array(kinds[weight.input[2]]).any()
        # 7 bits, so that no processor saturates
        assert np.abs(onnx.numpy_helper.to_array(kinds[weight.input[0]])).max() == 64
        assert kinds[given.input[2]].data_type == onnx.TensorProto.UINT8
    assert {"Sub", "Div"} <= {node.op_type for node in graph.node}  # the preprocessing is not


def test_its_outputs_are_close_and_the_file_is_smaller(files: dict[str, Path]) -> None:
    want, found = logits(files["float"]), logits(files["int8"])
    assert 0 < np.abs(want - found).max() < 0.1 * np.abs(want).max()
    assert files["int8"].stat().st_size < files["float"].stat().st_size


def test_a_linear_layer_is_what_rounding_by_hand_gives(tmp_path: Path) -> None:
    """Scales by hand (Jacob 2018, equations 1 and 2); ONNX Runtime's differ by less than a step."""
    torch.manual_seed(1)
    layer = nn.Linear(64, 3, bias=False)
    path = exported(nn.Sequential(nn.Flatten(), layer), tmp_path / "linear.onnx")
    x = (IMAGES.reshape(len(IMAGES), -1) - 100.0) / 80
    weight = layer.weight.detach().numpy()
    found = logits(quantize(path, IMAGES))
    scale = np.abs(weight).max(1, keepdims=True) / 64
    low, high = x.min(), x.max()
    step = (high - low) / 255
    zero = np.round(-low / step)
    x8 = (np.clip(np.round(x / step) + zero, 0, 255) - zero) * step
    want = x8 @ (np.round(weight / scale) * scale).T
    out = (want.max() - want.min()) / 255  # the output is rounded too
    assert np.abs(found - want).max() < 2 * out


def test_only_as_many_images_calibrate_as_are_needed(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("prunebench.compression.quantize.CALIBRATION", 32)
    few = quantize(files["float"], IMAGES[:32], tmp_path / "few.onnx")
    many = quantize(files["float"], IMAGES, tmp_path / "many.onnx")
    assert np.array_equal(logits(few), logits(many))
    other = quantize(files["float"], IMAGES[32:] // 16, tmp_path / "other.onnx")
    assert not np.array_equal(logits(few), logits(other))


def test_what_cannot_be_quantized_is_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    with pytest.raises(PrunebenchError, match=r"gone\.onnx: no such file; export to onnx first"):
        quantize(tmp_path / "gone.onnx", IMAGES)
    with pytest.raises(PrunebenchError, match="no inputs"):
        quantize(files["float"], IMAGES[:0])
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(Refused, match=r"cannot quantize .*bad\.onnx"):
        quantize(tmp_path / "bad.onnx", IMAGES)
    assert not list(tmp_path.glob("*.int8.onnx"))
