"""A condition chooses what pandas' own ``query`` chooses, and runs nothing."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.published.row_filter import RowFilter

FRAME = pd.DataFrame(
    [("resnet20", 0.5, True, "a b"), ("resnet56", 0.2, False, ""), ("vgg16", 0.05, True, "x")],
    columns=["network", "density", "is_iterative", "some name"],
)
TEXTS = [dict(zip(FRAME.columns, map(str, row), strict=True)) for row in FRAME.to_numpy()]


def chosen(text: str) -> list[int]:
    wanted = RowFilter.parse(text)
    return [i for i, row in enumerate(TEXTS) if wanted.holds(row)]


ATOMS = [
    "network == 'resnet20'", "network != 'resnet20'", "density < 0.3", "density >= 0.2",
    "network in ['vgg16', 'resnet56']", "network not in ('vgg16',)", "is_iterative",
    "is_iterative == False", "`some name` == 'x'", "`some name` != ''", "density in [0.5, 0.05]",
]  # fmt: skip


@given(st.recursive(
    st.sampled_from(ATOMS),
    lambda part: st.one_of(
        part.map("not ({})".format), st.tuples(part, part).map(lambda p: f"({p[0]}) and ({p[1]})"),
        st.tuples(part, part).map(lambda p: f"({p[0]}) or ({p[1]})"),
    ),
    max_leaves=4,
))  # fmt: skip
def test_as_pandas_query(text: str) -> None:
    assert chosen(text) == list(FRAME.query(text, engine="python").index)


@pytest.mark.parametrize(
    "text",
    [
        "", "network =", "network = 'x'", "__import__('os').system('id')", "network.upper()",
        "network == open('x')", "network == other", "'a' == 'a'", "density + 1 > 2", "(" * 300,
        "0 < density < 1",
        "@network == 'x'", "network == [1]", "network in 'resnet20'", "lambda: 1", "density > None",
        "is_iterative and network == f'{density}'", "is_iterative or density[0] == 1",
        "network == 'x' and print(1)",
    ],
)  # fmt: skip
def test_every_other_form_is_refused(text: str) -> None:
    with pytest.raises(PrunebenchError, match="--where") as caught:
        RowFilter.parse(text)
    assert "\n" not in str(caught.value)


def test_a_number_that_is_missing_meets_no_bound() -> None:
    for row in ({"density": ""}, {"density": "n/a"}):
        assert not RowFilter.parse("density <= 1").holds(row)
        assert not RowFilter.parse("density > 0").holds(row)
    assert RowFilter.parse("density <= 50").holds({"density": "40%"})


def test_a_column_that_is_not_there_is_named_and_a_part_of_the_condition_can_be_left() -> None:
    wanted = RowFilter.parse("(network == 'a' and trial == 1) and density < 0.5")
    with pytest.raises(PrunebenchError, match=r"t has no column 'netwrk'.*did you mean"):
        RowFilter.parse("netwrk == 'a'").check(["network"], "t")
    part = wanted.among(["network"])
    assert part.columns == ["network"]
    assert part.holds({"network": "a"})
    assert not part.holds({"network": "b"})
