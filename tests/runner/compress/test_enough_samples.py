"""Whether validation can show a tolerance is known before anything is trained."""

from __future__ import annotations

import math

import pytest

from prunebench.errors import PrunebenchError
from prunebench.runner.compress.enough_samples import check_samples


@pytest.mark.parametrize("points", [1.0, 2.0])
def test_what_no_network_can_be_shown_is_refused_with_the_number_that_would_do(
    points: float,
) -> None:
    # no change among n samples: the share that changes is below τ with confidence 1 - (0.9 or
    # less of the level) from n = log(level) / log(1 - τ) on; Clopper and Pearson, by hand
    least = math.log(0.05) / math.log(1 - points / 100)
    with pytest.raises(PrunebenchError, match="not even one that predicts as dense does"):
        check_samples(math.floor(least), points, 1)
    check_samples(math.ceil(2 * least), points, 1)


def test_few_samples_are_warned_of_and_many_are_not() -> None:
    # docs/automatic.md: where 3 % change, 1,400 samples show a tolerance of 1 point
    assert check_samples(1500, 1.0, 1) is None
    said = check_samples(1000, 1.0, 1)
    assert said is not None
    assert "about 1,400" in said


def test_more_methods_need_more_samples() -> None:
    assert check_samples(500, 1.0, 1)
    with pytest.raises(PrunebenchError, match="5 methods"):
        check_samples(500, 1.0, 5)
