"""N:M by brute force over every group."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.config import method
from prunebench.experiment.settings import Prunable
from prunebench.pruning.api import prune
from prunebench.pruning.patterns import n_m
from prunebench.pruning.view import View

ALL = Prunable(head=True)


def no_say(units: dict[str, Tensor], remove: int, least: int) -> dict[str, Tensor]:
    raise AssertionError("N:M asks no allocation")


def groups_of(value: Tensor, m: int) -> list[Tensor]:
    """Indices into the flat tensor of every m consecutive inputs of a row and kernel position."""
    index = torch.arange(value.numel()).view(value.shape)
    found = []
    for row in index:
        for place in row.flatten(1).T if row.ndim > 1 else row[None]:
            found += place.split(m)
    return found


def best(values: Tensor, n: int) -> set[int]:
    """The n positions of the largest sum, of all choices."""
    chosen = max(combinations(range(len(values)), n), key=lambda c: float(values[list(c)].sum()))
    return set(chosen)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 999),
    shape=st.sampled_from([(3, 8), (2, 16), (2, 8, 3), (3, 8, 2, 2), (2, 8, 1, 2, 2)]),
    kind=st.sampled_from([(2, 4), (1, 4), (4, 8), (1, 2), (3, 4), (4, 4)]),
    levels=st.sampled_from([1, 2, 1000]),
)
def test_every_group_keeps_its_best(seed, shape, kind, levels):
    n, m = kind
    makers = {2: nn.Linear, 3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
    module = makers[len(shape)](shape[1], shape[0], *([shape[2:]] if len(shape) > 2 else []))
    view = View(nn.Sequential(module), prunable=ALL)
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, levels, shape, generator=generator).float()
    masks = n_m(view, {"0.weight": scores}, no_say, 1 - n / m, n=n, m=m)
    keep = masks["0.weight"].flatten()
    for group in groups_of(scores, m):
        assert int(keep[group].sum()) == n
        value = scores.flatten()[group]
        expected = sum(float(value[i]) for i in best(value, n))
        assert float(value[keep[group]].sum()) == expected


def test_ties_are_drawn():
    view = View(nn.Sequential(nn.Linear(400, 10)), prunable=ALL)
    scores = {"0.weight": torch.ones(10, 400)}
    keep = n_m(view, scores, no_say, 0.5)["0.weight"].view(-1, 4)
    assert all(400 < int(count) < 600 for count in keep.sum(0))
    assert torch.equal(keep, n_m(view, scores, no_say, 0.5)["0.weight"].view(-1, 4))


def test_another_sparsity_is_refused():
    view = View(nn.Sequential(nn.Linear(8, 2)), prunable=ALL)
    scores = {"0.weight": torch.rand(2, 8)}
    with pytest.raises(Refused, match=r"exactly 0\.5 of the weights, not 0\.6"):
        n_m(view, scores, no_say, 0.6)
    assert n_m(view, scores, no_say, 0.0)["0.weight"].all()
    with pytest.raises(Refused, match="5:4"):
        n_m(view, scores, no_say, 0.5, n=5)


def test_layers_without_groups_are_named_or_left_dense():
    model = nn.Sequential(nn.Embedding(8, 8), nn.Conv1d(3, 8, 1), nn.Conv1d(8, 4, 1, groups=4))
    model.append(nn.Linear(8, 2))
    view = View(model, prunable=ALL)
    scores = {name: torch.rand(weight.shape) for name, weight in view.weights.items()}
    with pytest.raises(Refused, match=r"3 of 4 layers .*0.weight, 1.weight, 2.weight.*leave_dense"):
        n_m(view, scores, no_say, 0.5)
    masks = n_m(view, scores, no_say, 0.5, leave_dense=True)
    assert [bool(mask.all()) for mask in masks.values()] == [True, True, True, False]
    lone = View(nn.Sequential(nn.Linear(3, 2)), prunable=ALL)
    with pytest.raises(Refused, match="1 of 1"):
        n_m(lone, {"0.weight": torch.rand(2, 3)}, no_say, 0.5, leave_dense=True)


def test_nothing_revives():
    within = torch.ones(2, 8, dtype=torch.bool)
    within[0, :2] = False
    model = nn.Sequential(nn.Linear(8, 2))
    scores = {"0.weight": torch.rand(2, 8)}
    view = View(model, prunable=ALL, within={"0.weight": within})
    keep = n_m(view, scores, no_say, 0.5)["0.weight"]
    assert keep[0, :4].tolist() == [False, False, True, True]
    within[0, 2] = False
    view = View(model, prunable=ALL, within={"0.weight": within})
    with pytest.raises(Refused, match="less than 2 of 4 in 1 groups"):
        n_m(view, scores, no_say, 0.5)


@pytest.mark.parametrize("criterion", ["wanda", "taylor", "snip", "weight-activation", "sparsegpt"])
def test_as_a_part_of_a_method(criterion):
    custom = {"name": "mine", "criterion": criterion, "pattern": {"name": "n-m", "n": 1}}
    assert method(custom).sparsities([0.3]) == [0.75]
    with pytest.raises(PrunebenchError, match="not 'n-m'"):
        method({**custom, "allocation": "erk"})
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
    batches = [(torch.randn(4, 8), torch.tensor([0, 1, 0, 1]))]
    masks = prune(model, custom, 0.75, batches=batches)
    assert masks["0.weight"].view(-1, 4).sum(1).eq(1).all()
