"""A smaller network that ONNX Runtime runs slower is told, with both times and its MACs."""

from __future__ import annotations

from prunebench.compression.timing import Speed
from prunebench.runner.compress.onnx_times import slower


def _speed(ms: float, spread: float) -> Speed:
    return Speed(ms, ms - spread, ms + spread, 1e3 / ms, 1, 30, 1, "a processor", "onnxruntime")


def test_a_slower_network_is_told() -> None:
    [said] = slower((_speed(8.3, 0.2), _speed(13.4, 0.2)), macs=1 / 2.05)
    assert "13.4 against 8.3 ms" in said
    assert "2.05× fewer MACs" in said


def test_what_is_faster_or_no_slower_than_the_times_vary_is_not() -> None:
    assert slower(None, 0.5) == []
    assert slower((_speed(8.3, 0.2), _speed(4.0, 0.2)), 0.5) == []
    assert slower((_speed(8.3, 1.0), _speed(8.6, 1.0)), 0.5) == []
