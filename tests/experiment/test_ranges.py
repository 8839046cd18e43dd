"""Ranges of parameters: read without running a part, refused when the configuration is parsed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.part_kinds import KINDS, Criterion
from prunebench.experiment.ranges import out_of_range
from prunebench.experiment.registry import builtin, check_parameters, find
from prunebench.experiment.settings import PARTS
from tests.messages import unsaid

# any score may be a threshold
FREE = {("allocation", "threshold", "tau")}


def refusal(entry: dict[str, Any]) -> str:
    with pytest.raises(PrunebenchError) as caught:
        config.method({"name": "mine", **entry})
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@given(low=st.integers(-3, 3), high=st.integers(-3, 3), value=st.floats(-4, 4))
def test_intervals(low: int, high: int, value: float) -> None:
    within = {
        f"[{low}, {high}]": low <= value <= high,
        f"({low}, {high})": low < value < high,
        f"[{low}, inf)": low <= value,
        "(-inf, b]": value <= high,
    }
    for text, fits in within.items():
        assert (out_of_range("a", value, text, {"a": value, "b": high}) is None) == fits


def test_lists_texts_and_nothing() -> None:
    assert out_of_range("a", None, "(0, 1)", {}) is None  # a default that is found later
    assert out_of_range("a", ["1e-3", 0.5], "(0, 1)", {}) is None  # as YAML reads 1e-3
    assert out_of_range("a", [0.5, 2], "(0, 1)", {}) == "a must lie in (0, 1), found 2"
    assert out_of_range("a", [0.5, "x"], "(0, 1)", {}) == "a must lie in (0, 1), found 'x'"
    assert out_of_range("a", float("nan"), "(0, inf)", {}) is not None
    assert out_of_range("a", 3, "[1, b]", {"b": None}) is None  # a bound that is none yet
    assert out_of_range("a", "x", ("y", "z"), {}) == "a must be 'y' or 'z', found 'x'"
    assert out_of_range("a", "z", ("y", "z"), {}) is None


@pytest.mark.parametrize("kind", PARTS)
def test_every_number_that_ships_has_a_range_and_its_default_fits(kind: str) -> None:
    for name, spec in builtin(KINDS[kind]).items():
        numbers = {key for key, types in spec.types.items() if {int, float} & set(types)}
        ranges = spec.traits.ranges
        assert numbers <= set(ranges) | {
            key for part, of, key in FREE if (part, of) == (kind, name)
        }
        assert check_parameters(spec, {}) == spec.parameters


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"criterion": {"name": "sparsegpt", "damping": 0}}, "damping must lie in (0, inf)"),
        ({"criterion": {"name": "woodfisher", "block": 0}}, "block must lie in [1, inf), found 0"),
        ({"criterion": {"name": "grasp", "temperature": -1}}, "temperature must lie in (0, inf)"),
        ({"criterion": {"name": "obd", "draws": 0}}, "draws must lie in [1, inf), found 0"),
        ({"criterion": {"name": "obd", "hessian": "exact"}}, "must be 'fisher' or 'hutchinson'"),
        ({"schedule": {"name": "iterative", "rate": -0.2}}, "rate must lie in (0, 1), found -0.2"),
        ({"schedule": {"name": "gradual", "begin": 0.8}, "recovery": "none"},
         "begin must lie in [0, end) (end is 0.75), found 0.8"),
        ({"pattern": {"name": "n-m", "n": 5}}, "n must lie in [1, m] (m is 4), found 5"),
        ({"recovery": {"name": "fine-tuning", "epochs": 0}}, "epochs must lie in [1, inf)"),
        ({"first": {"criterion": {"name": "hrank", "images": 0}}}, "images must lie in [1, inf)"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_at_parse(parts: dict[str, Any], reason: str) -> None:
    message = refusal({"criterion": "magnitude", **parts})
    assert message.startswith("methods: mine: ")
    assert reason in message


def test_rounds_are_refused_where_a_preset_is_changed() -> None:
    message = refusal({"base": "synflow", "schedule": {"name": "at-initialization", "rounds": 0}})
    assert unsaid(message, "'at-initialization'", "rounds", "[1, inf)", "found 0") == []


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [
        ("{'q': '[0, 1]'}", "there is no parameter 'q'"),
        ("{'p': '0 to 1'}", "p: must be an interval such as '[0, 1)'"),
        ("{'p': '[0, z]'}", "p: 'z' in '[0, z]' is neither a number nor a parameter"),
        ("{'p': (1, 2)}", "p: must be an interval"),
        ("'p'", "should be a valid dictionary"),
        ("{'p': bound}", "must be a literal"),
    ],
)
def test_a_wrong_trait_is_refused_with_its_place(tmp_path: Path, ranges: str, reason: str) -> None:
    path = tmp_path / "part.py"
    path.write_text(f"@criterion(ranges={ranges})\ndef f(view, *, p: float = 0.5): ...\n")
    with pytest.raises(PrunebenchError, match=r"part\.py:1: @criterion: ranges") as caught:
        find(Criterion, f"{path}:f")
    assert reason in str(caught.value)


def test_a_file_of_ones_own_declares_ranges(tmp_path: Path) -> None:
    path = tmp_path / "part.py"
    path.write_text(
        "@criterion(ranges={'low': '[0, high)', 'mode': ('a', 'b')})\n"
        "def f(view, *, high: float, low: float = 0.0, mode: str = 'a'): ...\n"
    )
    name = f"{path}:f"
    found = config.method({"name": "mine", "criterion": {"name": name, "high": 1, "low": 0.5}})
    assert found.criterion.parameters == {"high": 1.0, "low": 0.5, "mode": "a"}
    wrong = {"name": name, "high": 1, "low": 1}
    assert "low must lie in [0, high) (high is 1.0), found 1.0" in refusal({"criterion": wrong})
