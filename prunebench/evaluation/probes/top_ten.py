"""Probe: the items that a recommender would put first, of all that there are."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.registry import probe
from prunebench.pruning.modes import evaluating
from prunebench.tasks.kinds.recommendation import Recommendation
from prunebench.training.loop import logits_of

FIRST = 10  # items that are looked at
LIKED = 0.75  # of the range of ratings, from which on an item was liked: 4 of 1 to 5


@torch.no_grad()
def scores(model: nn.Module, users: Tensor, items: int) -> Tensor:
    """Return the rating that the network expects of every item [users, items], up to its scale."""
    every = torch.arange(items, device=users.device)
    with evaluating(model):
        rows = [
            logits_of(model(torch.stack([user.expand(items), every], 1))).flatten()
            for user in users.long()
        ]
    return torch.stack(rows)


def ranked(
    expected: Tensor, known: list[set[int]], liked: list[set[int]]
) -> tuple[float, float, float]:
    """Return recall, normalized discounted cumulative gain, and coverage of the first ten items.

    Args:
        expected: [users, items].
        known: of each user the items of training, which are not recommended.
        liked: of each user the items that were liked in the test split, at least one.
    """
    recalls, gains, shown = [], [], set[int]()
    for row, left_out, wanted in zip(expected, known, liked, strict=True):
        row = row.clone()
        row[list(left_out)] = -math.inf
        first = row.argsort(descending=True, stable=True)[:FIRST].tolist()
        shown |= set(first)
        hits = [item in wanted for item in first]
        best = min(len(wanted), FIRST)
        recalls.append(sum(hits) / best)
        gain = sum(hit / math.log2(place + 2) for place, hit in enumerate(hits))
        gains.append(gain / sum(1 / math.log2(place + 2) for place in range(best)))
    count = len(recalls)
    return sum(recalls) / count, sum(gains) / count, len(shown) / expected.shape[1]


@probe(
    columns={
        "test_recall_at_10": "mean over users of hits among the first 10 / min(10, items liked)",
        "test_ndcg_at_10": "mean over users of Σ hit_i / log₂(i + 1) over its best possible value",
        "test_coverage_at_10": "share of all items that are among the first 10 of any user",
    },
    better="higher",
    unit="share",
    source="Järvelin 2002; Cremonesi 2010",
    kinds=("recommendation",),
)
def ranking(subject: Subject) -> dict[str, float]:
    """What a recommender puts first, of the full catalogue without a user's training items.

    An item counts as liked where its test rating lies in the upper quarter of the range. Of users
    who liked none nothing is asked.
    """
    kind = subject.kind
    if not isinstance(kind, Recommendation):
        return {}  # the columns stay empty
    least = kind.facts["lowest"] + LIKED * kind.facts["range"]
    liked: dict[int, set[int]] = {}
    for (user, item), rating in zip(
        subject.test_inputs.tolist(), subject.test_targets.tolist(), strict=True
    ):
        if rating >= least:
            liked.setdefault(user, set()).add(item)
    if not liked:
        return {}
    known: dict[int, set[int]] = {user: set() for user in liked}
    for user, item in subject.train_inputs.tolist():
        if user in known:
            known[user].add(item)
    users = torch.tensor(list(liked), device=subject.test_inputs.device)
    expected = scores(subject.model, users, kind.facts["items"]).cpu()
    recall, gain, coverage = ranked(expected, [known[u] for u in liked], list(liked.values()))
    return {
        "test_recall_at_10": recall, "test_ndcg_at_10": gain, "test_coverage_at_10": coverage,
    }  # fmt: skip
