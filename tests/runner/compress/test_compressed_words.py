"""What the page of a compressed network says became of its time."""

from __future__ import annotations

from prunebench.compression.timing import Speed
from prunebench.runner.compress.compressed_words import _milliseconds, _of_training
from prunebench.runner.compress.onnx_times import faster_here


def taking(milliseconds: float) -> Speed:
    return Speed(milliseconds, milliseconds, milliseconds, 1.0, 1, 3, 1, "cpu", "onnxruntime")


def test_times_in_onnx_runtime_are_told_as_a_difference_like_every_other_row() -> None:
    told = _milliseconds(taking(8.0), taking(6.0))
    assert told == ("8.000 ms [8.000, 8.000]", "6.000 ms [6.000, 6.000]", "−25 %")
    assert _milliseconds(taking(8.0), taking(10.0))[2] == "+25 %"


def test_times_whose_quartiles_overlap_show_no_difference() -> None:
    before = Speed(0.197, 0.193, 0.236, 1.0, 1, 30, 1, "cpu", "eager")
    after = Speed(0.203, 0.194, 0.258, 1.0, 1, 30, 1, "cpu", "eager")
    assert _milliseconds(before, after)[2] == "no difference shown: the quartiles overlap"
    [said] = faster_here((before, after), (taking(20.0), taking(16.0)))
    assert "in PyTorch no difference shown" in said
    assert "in ONNX Runtime yes, 1.25×" in said
    assert faster_here(None, None) == []


def test_an_error_that_stays_does_not_go_from_itself_to_itself() -> None:
    assert "stays at 1 %" in _of_training(0.01, 0.01)
    assert "from 1 % to 1.5 % (+0.50 points)" in _of_training(0.01, 0.015)
