"""Ranking of the full catalogue, by hand and by scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import ndcg_score
from torch import Tensor, nn

from prunebench.evaluation.probes.top_ten import ranked, ranking
from prunebench.evaluation.stored_network import Subject
from prunebench.tasks.forms import FORMS
from prunebench.tasks.kinds.recommendation import Recommendation
from tests.kinds import classes


def test_by_hand() -> None:
    """12 items, the expected rating falls with their number: 0 is known, so 1 to 10 are first."""
    expected = -torch.arange(12.0).repeat(2, 1)
    recall, gain, coverage = ranked(expected, [{0}, set()], [{1, 11}, {0}])
    assert recall == pytest.approx((1 / 2 + 1) / 2)
    best = 1 + 1 / math.log2(3)
    assert gain == pytest.approx((1 / best + 1) / 2)
    assert coverage == pytest.approx(11 / 12)


def test_the_gain_is_scikit_learns() -> None:
    draw = np.random.default_rng(0)
    expected, liked = draw.normal(size=(6, 30)), [set(range(n, n + 3)) for n in range(6)]
    relevance = np.array([[item in wanted for item in range(30)] for wanted in liked], float)
    _, gain, _ = ranked(torch.from_numpy(expected), [set() for _ in liked], liked)
    assert gain == pytest.approx(ndcg_score(relevance, expected, k=10))


class Given(nn.Module):
    """A table of what each user gives each item."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)

    def forward(self, pairs: Tensor) -> Tensor:
        return self.table[pairs[:, 0], pairs[:, 1]]


def test_who_likes_nothing_is_not_asked() -> None:
    table = torch.zeros(3, 15)
    table[0, 7] = 5.0  # user 0's favourite, which the test split knows as liked
    table[0, 3] = 9.0  # of training: it is left out
    facts = {"names": [], "users": 3, "items": 15, "lowest": 1.0, "range": 4.0, "mean": 3, "std": 1}
    train = torch.tensor([[0, 3], [1, 1]], dtype=torch.int32)
    test = torch.tensor([[0, 7], [0, 8], [1, 2]], dtype=torch.int32)
    subject = Subject(
        Given(table), {}, {}, train, torch.tensor([5.0, 3.0]), test, torch.tensor([5.0, 1.0, 2.0]),
        Recommendation(facts), FORMS["pairs"], lambda x: x.long(),
        (torch.zeros(0), torch.zeros(0)), 0, 10,
    )  # fmt: skip
    found = ranking(subject)
    assert found["test_recall_at_10"] == found["test_ndcg_at_10"] == 1
    assert found["test_coverage_at_10"] == pytest.approx(10 / 15)
    other = Subject(**{**vars(subject), "kind": classes(3)})
    assert ranking(other) == {}
