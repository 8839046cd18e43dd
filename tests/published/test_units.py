from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.published.units import UNITS, contradiction, too_small, upside_down


@pytest.mark.parametrize(
    ("unit", "theirs", "ours"),
    [  # each by hand
        ("error-share", 0.0688, 0.0688),
        ("error-percent", 6.88, 0.0688),
        ("accuracy-share", 0.9312, 0.0688),
        ("accuracy-percent", 93.12, 0.0688),
        ("sparsity-share", 0.9, 0.9),
        ("sparsity-percent", 98.4375, 0.984375),
        ("density-share", 0.1, 0.9),
        ("density-percent", 1.5625, 0.984375),
        ("compression-ratio", 64, 0.984375),
        ("compression-ratio", 10, 0.9),
        ("compression-ratio", 1, 0.0),
        ("compression-log10", 2, 0.99),
        ("compression-log10", 0, 0.0),
        ("bleu", 26.25, 0.7375),
        ("f1-percent", 87.5, 0.125),
        ("perplexity", 8, 0.875),
        ("perplexity", 1, 0.0),
    ],
)
def test_every_unit_by_hand(unit: str, theirs: float, ours: float) -> None:
    assert UNITS[unit].convert(theirs) == ours


def test_every_unit_has_its_example() -> None:
    [mark] = test_every_unit_by_hand.pytestmark  # type: ignore[attr-defined]
    assert {unit for unit, _, _ in mark.args[1]} == set(UNITS)


@pytest.mark.parametrize(
    ("unit", "number", "says"),
    [
        ("error-share", 6.88, "is it an error-percent?"),
        ("accuracy-percent", 101, r"lies in \[0, 100\]"),
        ("accuracy-share", 93, "is it an accuracy-percent?"),
        ("sparsity-share", 90, "is it a percentage, or a compression-ratio?"),
        ("sparsity-share", 1, "nothing would be left"),
        ("density-percent", 0, "nothing would be left"),
        ("compression-ratio", 0.1, "is it a density, or a sparsity?"),
        ("compression-ratio", 1e12, "is no compression-ratio"),
        ("error-share", -0.1, "is no error-share"),
        ("perplexity", 0.9, r"lies in \[1, ∞\); is it a loss in nat\?"),
        ("bleu", 127, r"is no bleu, which lies in \[0, 100\]"),
    ],
)
def test_what_is_outside_is_refused(unit: str, number: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        UNITS[unit].convert(number)


@given(st.sampled_from(sorted(UNITS)), st.floats(allow_nan=True, allow_infinity=True))
def test_what_is_converted_is_an_error_or_a_sparsity(name: str, number: float) -> None:
    unit = UNITS[name]
    try:
        value = unit.convert(number)
    except ValueError:
        return
    assert 0 <= value < 1 or (value == 1 and unit.column == "test_error")


@given(st.floats(0, 0.999))
def test_the_units_of_sparsity_agree(share: float) -> None:
    ways = {
        "sparsity-share": share, "sparsity-percent": 100 * share, "density-share": 1 - share,
        "density-percent": 100 * (1 - share), "compression-ratio": 1 / (1 - share),
    }  # fmt: skip
    for name, number in ways.items():
        assert UNITS[name].convert(number) == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize(
    ("header", "unit", "said"),
    [
        ("Top-1 acc.", "error-percent", "accuracy"),
        ("Error", "accuracy-percent", "error"),
        ("acc (%)", "accuracy-share", "per cent"),
        ("Compression", "sparsity-share", "compression"),
        ("Density", "compression-ratio", "density"),
        ("top-1 error", "error-share", ""),
        ("Acc", "accuracy-share", ""),
        ("value", "error-share", ""),
        ("sparsity (%)", "sparsity-percent", ""),
    ],
)
def test_a_header_that_says_otherwise(header: str, unit: str, said: str) -> None:
    assert contradiction(header, UNITS[unit]) == said


def test_shares_that_shall_be_per_cent() -> None:
    assert too_small([0.93, 0.9], UNITS["accuracy-percent"])
    assert not too_small([0.93, 90.0], UNITS["accuracy-percent"])
    assert not too_small([0.8, 0.9], UNITS["error-percent"])  # MNIST
    assert not too_small([0.0], UNITS["sparsity-percent"])


def test_accuracies_read_as_errors() -> None:
    assert upside_down(0.95, 0.4)
    assert not upside_down(0.3, 0.2)  # sparse double descent
    assert not upside_down(0.6, 0.9)
