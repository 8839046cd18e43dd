"""Allocations under any scores, heavy ties and infinities included."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils import prune as torch_prune

from prunebench.errors import Refused
from prunebench.experiment.settings import Model
from prunebench.pruning.allocation import global_, quotas, remove_lowest, uniform
from prunebench.pruning.api import prune
from prunebench.pruning.layers import prunable_layers
from prunebench.storage.hashing import derive_seed
from prunebench.training import models

Scores = dict[str, Tensor]
ALLOCATIONS = pytest.mark.parametrize("allocation", [global_, uniform])
# few values, so that ties are heavy; -inf is gone already
ties = st.sampled_from([-math.inf, -1.0, 0.0, 0.0, 0.0, 1.0, math.inf])
anything = st.floats(allow_nan=False, width=32)
layers = st.lists(
    st.one_of(
        st.lists(ties, min_size=1, max_size=12),
        st.lists(anything, min_size=1, max_size=12),
        st.integers(1, 12).map(lambda count: [0.5] * count),
    ),
    min_size=1,
    max_size=4,
)
quick = settings(max_examples=60, deadline=None)


def draw(purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(0, purpose))


def named(values: list[list[float]]) -> Scores:
    return {f"layer{i}": torch.tensor(value) for i, value in enumerate(values)}


def limits(scores: Scores, least: int) -> tuple[int, int]:
    """How many units are gone already, and how many may be in all."""
    gone = {name: int(value.isneginf().sum()) for name, value in scores.items()}
    room = {name: v.numel() - min(least, v.numel() - gone[name]) for name, v in scores.items()}
    return sum(gone.values()), sum(room.values())


@ALLOCATIONS
@quick
@given(values=layers, least=st.integers(0, 3), share=st.floats(0, 1))
def test_exact_floor_and_no_return(allocation, values, least, share) -> None:
    scores = named(values)
    before = deepcopy(scores)
    gone, room = limits(scores, least)
    remove = gone + round(share * (room - gone))
    keep = allocation(scores, remove, least, draw)
    assert list(keep) == list(scores)
    assert sum(int((~mask).sum()) for mask in keep.values()) == remove
    for name, mask in keep.items():
        assert mask.dtype == torch.bool
        assert mask.shape == scores[name].shape
        alive = ~scores[name].isneginf()
        assert not (mask & ~alive).any()
        assert int(mask.sum()) >= min(least, int(alive.sum()))
    torch.testing.assert_close(scores, before, rtol=0, atol=0)  # scores are read, not written


@ALLOCATIONS
@quick
@given(values=layers, least=st.integers(0, 2))
def test_refuses_what_cannot_be(allocation, values, least) -> None:
    scores = named(values)
    gone, room = limits(scores, least)
    with pytest.raises(Refused, match="only"):
        allocation(scores, room + 1, least, draw)
    if gone:
        with pytest.raises(Refused, match="gone already"):
            allocation(scores, gone - 1, least, draw)


@quick
@given(values=layers, least=st.integers(0, 2))
def test_global_is_nested_and_takes_the_lowest(values, least) -> None:
    scores = named(values)
    gone, room = limits(scores, least)
    masks = [global_(scores, remove, least, draw) for remove in range(gone, room + 1)]
    for fewer, more in pairwise(masks):
        assert all(not (more[name] & ~fewer[name]).any() for name in scores)
    if least == 0:
        flat = torch.cat(list(scores.values()))
        for keep in masks:
            kept = torch.cat(list(keep.values()))
            if kept.any() and not kept.all():
                assert flat[~kept].max() <= flat[kept].min()


@quick
@given(values=layers)
def test_uniform_takes_the_lowest_of_each_layer(values) -> None:
    """Each layer has one order; only its quota may waver, and by one (see ``quotas``)."""
    scores = named(values)
    gone, room = limits(scores, 0)
    masks = [uniform(scores, remove, 0, draw) for remove in range(gone, room + 1)]
    for fewer, more in pairwise(masks):
        for name, value in scores.items():
            change = int(fewer[name].sum()) - int(more[name].sum())
            assert change >= -1
            low, high = (fewer, more) if change >= 0 else (more, fewer)
            assert not (high[name] & ~low[name]).any()
            kept = more[name]
            if kept.any() and not kept.all():
                assert value[~kept].max() <= value[kept].min()


def test_uniform_is_nested_over_a_grid() -> None:
    torch.manual_seed(0)
    scores = {f"{n}": torch.rand(n).round(decimals=1) for n in (7, 500, 64, 1201)}
    total = sum(value.numel() for value in scores.values())
    grid = [round(s * total) for s in (0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98)]
    for fewer, more in pairwise(uniform(scores, remove, 1, draw) for remove in grid):
        assert all(not (more[name] & ~fewer[name]).any() for name in scores)


@quick
@given(sizes=st.lists(st.integers(1, 1000), min_size=1, max_size=9), share=st.floats(0, 1))
def test_uniform_quotas(sizes, share) -> None:
    remove = round(share * sum(sizes))
    scores = {str(i): torch.zeros(size) for i, size in enumerate(sizes)}
    keep = uniform(scores, remove, 0, draw)
    quota = {name: int((~mask).sum()) for name, mask in keep.items()}
    assert sum(quota.values()) == remove
    for i, size in enumerate(sizes):
        assert abs(quota[str(i)] - remove * size / sum(sizes)) < 1


@quick
@given(
    bounds=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0, 1)), min_size=1, max_size=6
    )
)
def test_quotas_within_bounds(bounds) -> None:
    least = {str(i): min(a, b) for i, (a, b, _) in enumerate(bounds)}
    most = {str(i): max(a, b) for i, (a, b, _) in enumerate(bounds)}
    exact = {str(i): 9 * share for i, (_, _, share) in enumerate(bounds)}
    wanted = round(sum(exact.values()))
    if not sum(least.values()) <= wanted <= sum(most.values()):
        with pytest.raises(Refused):
            quotas(exact, least, most)
        return
    found = quotas(exact, least, most)
    assert sum(found.values()) == wanted
    assert all(least[name] <= found[name] <= most[name] for name in exact)


def test_ties_spread_over_layers_and_positions() -> None:
    scores = {f"layer{i}": torch.zeros(1000) for i in range(4)}
    keep = global_(scores, 2000, 0, draw)
    for mask in keep.values():
        # 500 of 1000 each, within five deviations, in the first half as in the second
        assert abs(int(mask.sum()) - 500) < 5 * 16
        assert abs(int(mask[:500].sum()) - int(mask[500:].sum())) < 5 * 32
    keep = uniform(scores, 2000, 0, draw)
    assert len({tuple(mask.tolist()) for mask in keep.values()}) == 4


def test_ties_do_not_depend_on_other_scores() -> None:
    """The same units go first among the tied, whatever else changes."""
    value = torch.zeros(100)
    raised = value.clone()
    raised[::2] = 1.0
    one, two = (remove_lowest(scores, 20, draw("ties")) for scores in (value, raised))
    order = torch.rand(100, generator=draw("ties")).argsort()
    assert set((~one).nonzero().flatten().tolist()) == set(order[:20].tolist())
    odd = [place for place in order.tolist() if place % 2]
    assert set((~two).nonzero().flatten().tolist()) == set(odd[:20])


def test_shapes_and_nothing_to_do() -> None:
    scores = {"a": torch.rand(3, 4, 2), "b": torch.rand(5)}
    for allocation in (global_, uniform):
        keep = allocation(scores, 0, 0, draw)
        assert all(mask.all() for mask in keep.values())
        keep = allocation(scores, 29, 0, draw)
        assert not any(mask.any() for mask in keep.values())


@pytest.mark.parametrize("architecture", ["test_resnet", "seed-cnn"])
@pytest.mark.parametrize("sparsity", [0.3, 0.9])
def test_global_magnitude_is_torchs(architecture: str, sparsity: float) -> None:
    model = models.create(Model(name=architecture), 10, 1, 16, seed=0)
    other = deepcopy(model)
    pruned = [(layer.module, "weight") for layer in prunable_layers(other).values()]
    total = sum(module.weight.numel() for module, _ in pruned)
    torch_prune.global_unstructured(
        pruned, torch_prune.L1Unstructured, amount=round(sparsity * total)
    )
    masks = prune(model, "magnitude", sparsity)
    weights = torch.cat([module.weight_orig.detach().abs().flatten() for module, _ in pruned])
    ours = torch.cat([mask.flatten() for mask in masks.values()])
    theirs = torch.cat([module.weight_mask.bool().flatten() for module, _ in pruned])
    threshold = weights[~ours].max()
    apart = weights != threshold  # among equal weights each has its own order
    assert int(ours.sum()) == int(theirs.sum()) == total - round(sparsity * total)
    assert torch.equal(ours[apart], theirs[apart])
    assert int((~apart).sum()) < 10


@ALLOCATIONS
def test_infinite_scores_do_not_displace_what_is_protected(allocation) -> None:
    scores = {"sure": torch.full((200,), math.inf), "low": torch.zeros(3)}
    for remove in range(3, 200, 14):
        keep = allocation(scores, remove, 1, draw)
        assert keep["low"].any()
        assert sum(int((~mask).sum()) for mask in keep.values()) == remove
