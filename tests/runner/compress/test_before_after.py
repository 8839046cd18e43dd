"""What the page of a compressed network says became of its time."""

from __future__ import annotations

from prunebench.compression.timing import Speed
from prunebench.runner.compress.compress import _milliseconds


def taking(milliseconds: float) -> Speed:
    return Speed(milliseconds, milliseconds, milliseconds, 1.0, 1, 3, 1, "cpu", "onnxruntime")


def test_times_in_onnx_runtime_are_told_as_a_difference_like_every_other_row() -> None:
    assert _milliseconds(taking(8.0), taking(6.0)) == ("8.000 ms", "6.000 ms", "−25 %")
    assert _milliseconds(taking(8.0), taking(10.0))[2] == "+25 %"
