"""Allocations under any scores, heavy ties and infinities included."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.settings import Model
from prunebench.pruning import allocation
from prunebench.pruning.allocation import global_, quotas, remove_lowest, uniform
from prunebench.pruning.api import prune
from prunebench.pruning.layers import prunable_layers
from prunebench.storage.hashing import derive_seed
from prunebench.tasks.network_facts import NetworkFacts
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


def in_order(scores: Tensor, remove: int, drawn: Tensor) -> Tensor:
    """What stays when the lowest go one by one: of equal scores the lowest draw, then the first."""
    flat, draws = scores.flatten().tolist(), drawn.tolist()
    order = sorted(range(len(flat)), key=lambda place: (flat[place], draws[place], place))
    keep = torch.ones(len(flat), dtype=torch.bool)
    keep[order[:remove]] = False
    return keep.view(scores.shape)


@quick
@given(values=st.one_of(st.lists(ties, min_size=1, max_size=30), st.lists(anything, min_size=1)),
       share=st.floats(0, 1), seed=st.integers(0, 9))  # fmt: skip
def test_ties_are_drawn_over_all_positions(values, share, seed) -> None:
    """Also where a draw is not made, since no score at the threshold is kept."""
    scores = torch.tensor(values, dtype=torch.float32)
    remove = round(share * len(values))
    drawn = torch.rand(len(values), generator=torch.Generator().manual_seed(seed))
    keep = remove_lowest(scores, remove, torch.Generator().manual_seed(seed))
    assert torch.equal(keep, in_order(scores, remove, drawn))


@pytest.mark.parametrize("levels", [0, 3, 500])
@pytest.mark.parametrize("gone", [0.0, 0.6])
def test_the_lowest_of_many_are_those_that_sorting_finds(levels: int, gone: float) -> None:
    """More scores than a sample is taken of: all different, few different ones, and gone ones."""
    draws = torch.Generator().manual_seed(1)
    count = allocation._MANY + 7
    scores = torch.rand(count, generator=draws)
    if levels:
        scores = (scores * levels).floor()
    scores[torch.rand(count, generator=draws) < gone] = -torch.inf
    ordered = scores.sort().values
    for rank in (1, 5, int(gone * count) + 900, count // 2, count - 3, count):
        assert allocation._smallest(scores, rank) == ordered[rank - 1]


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
    for spread in (global_, uniform):
        keep = spread(scores, 0, 0, draw)
        assert all(mask.all() for mask in keep.values())
        keep = spread(scores, 29, 0, draw)
        assert not any(mask.any() for mask in keep.values())


@pytest.mark.parametrize("architecture", ["test_resnet", "seed-cnn"])
@pytest.mark.parametrize("sparsity", [0.3, 0.9])
def test_global_magnitude_is_torchs(architecture: str, sparsity: float) -> None:
    model = models.create(Model(name=architecture), NetworkFacts.of_images(10, 1, 16), seed=0)
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


# ------------------------------------------------------ ERK, LAMP, rows, given shares and shuffles


SHAPES = {"stem": (16, 3, 3, 3), "wide": (64, 32, 3, 3), "point": (64, 64, 1, 1), "head": (10, 640)}
WEIGHTS = ("global_", "uniform", "erk", "lamp", "per_row", "explicit", "shuffled")


def draws(seed: int = 0) -> Callable[[str], torch.Generator]:
    return lambda purpose: torch.Generator().manual_seed(derive_seed(seed, purpose))


def random_scores(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}


def removed(keep: dict[str, Tensor]) -> int:
    return sum(int((~mask).sum()) for mask in keep.values())


def total(scores: dict[str, Tensor]) -> int:
    return sum(value.numel() for value in scores.values())


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Tensor], int]:
    """Scores with ties and units that are gone already, and how many are to go."""
    seed = draw(st.integers(0, 2**16))
    generator = torch.Generator().manual_seed(seed)
    scores = {}
    for index in range(draw(st.integers(1, 4))):
        shape = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
        levels = draw(st.sampled_from([1, 3, 1000]))
        value = torch.randint(0, levels, shape, generator=generator).float()
        gone = torch.rand(shape, generator=generator) < draw(st.sampled_from([0.0, 0.2]))
        scores[f"layer{index}"] = value.masked_fill(gone, -torch.inf)
    gone = sum(int(value.isneginf().sum()) for value in scores.values())
    return scores, draw(st.integers(gone, total(scores)))


@pytest.mark.parametrize("name", WEIGHTS)
@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_count_is_exact_and_nothing_revives(name, case):
    scores, remove = case
    keep = getattr(allocation, name)(scores, remove, 0, draws())
    assert removed(keep) == remove
    assert all(keep[layer].shape == value.shape for layer, value in scores.items())
    assert not any((keep[layer] & value.isneginf()).any() for layer, value in scores.items())
    again = getattr(allocation, name)(scores, remove, 0, draws())
    assert all(torch.equal(keep[layer], again[layer]) for layer in scores)


@pytest.mark.parametrize("name", ["erk", "lamp", "per_row", "explicit", "shuffled"])
def test_least_is_kept_of_each_tensor(name):
    scores = random_scores({"a": (4, 5), "b": (2, 3)})
    keep = getattr(allocation, name)(scores, 22, 2, draws())
    assert removed(keep) == 22
    assert [int(mask.sum()) for mask in keep.values()] == [2, 2]
    with pytest.raises(Refused, match="only 22 may"):
        getattr(allocation, name)(scores, 23, 2, draws())


@pytest.mark.parametrize("name", ["erk", "lamp", "per_row", "explicit"])
def test_ties_do_not_go_by_position(name):
    scores = {"a": torch.ones(8, 100), "b": torch.ones(8, 100)}
    keep = getattr(allocation, name)(scores, 800, 0, draws())
    for mask in keep.values():
        halves = [int(half.sum()) for half in mask.view(-1).split(400)]
        assert all(120 < half < 280 for half in halves)


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9, 0.99])
def test_erk_solves_its_equations(sparsity):
    """Bisection for ε in Σ min(ε·Σdims, Πdims) = kept."""
    scores = random_scores(SHAPES)
    remove = round(sparsity * total(scores))
    low, high = 0.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        kept = sum(min(middle * sum(v.shape), v.numel()) for v in scores.values())
        low, high = (middle, high) if kept < total(scores) - remove else (low, middle)
    keep = allocation.erk(scores, remove, 0, draws())
    assert removed(keep) == remove
    for name, value in scores.items():
        expected = min(low * sum(value.shape), value.numel())
        assert abs(int(keep[name].sum()) - expected) <= 1
        # within the layer the best stay
        assert value[keep[name]].min() > value[~keep[name]].max() if not keep[name].all() else True
    if sparsity == 0.5:
        assert keep["stem"].all()  # dense, where clamping alone would lose weights


def naive_lamp(value: Tensor) -> Tensor:
    flat = value.flatten().double()
    return torch.stack([w**2 / (flat[flat >= w] ** 2).sum() for w in flat]).view(value.shape)


@pytest.mark.parametrize("sparsity", [0.3, 0.8, 0.95])
def test_lamp_is_its_definition(sparsity):
    scores = random_scores({"a": (6, 10), "b": (4, 3, 3, 3), "c": (5, 2)})
    scores["b"] *= 100  # the scale of a layer does not matter
    remove = round(sparsity * total(scores))
    ranks = {name: naive_lamp(value) for name, value in scores.items()}
    threshold = torch.cat([rank.flatten() for rank in ranks.values()]).sort().values[remove]
    keep = allocation.lamp(scores, remove, 0, draws())
    for name, rank in ranks.items():
        assert torch.equal(keep[name], rank >= threshold)


def test_lamp_refuses_what_has_no_square():
    for bad in (-1.0, torch.inf):
        with pytest.raises(Refused, match="finite"):
            allocation.lamp({"a": torch.tensor([[1.0, bad]])}, 1, 0, draws())
    keep = allocation.lamp({"a": torch.zeros(2, 3)}, 4, 0, draws())
    assert removed(keep) == 4


def test_per_row_takes_the_same_share_of_each_row():
    scores = random_scores({"a": (7, 10), "b": (4, 2, 5, 1)})
    keep = allocation.per_row(scores, 77, 0, draws())  # 70 %: 7 of each 10
    for name, value in scores.items():
        for row, mask in zip(value.flatten(1), keep[name].flatten(1), strict=True):
            assert int((~mask).sum()) == 7
            assert row[mask].min() > row[~mask].max()
    keep = allocation.per_row(scores, 80, 0, draws())
    rows = torch.cat([(~mask).flatten(1).sum(1) for mask in keep.values()])
    assert rows.min() == 7
    assert rows.max() == 8


def test_per_row_remainders_go_to_drawn_rows():
    keep = allocation.per_row({"a": torch.rand(100, 10)}, 450, 0, draws())
    extra = ((~keep["a"]).sum(1) == 5).nonzero().flatten()
    assert len(extra) == 50
    assert 10 < int((extra < 50).sum()) < 40


def test_per_row_levels_rows_around_what_is_gone():
    value = torch.rand(4, 6)
    value[0] = -torch.inf
    keep = allocation.per_row({"a": value}, 12, 0, draws())
    assert (~keep["a"]).sum(1).tolist() == [6, 2, 2, 2]


def test_explicit_shares_are_met_and_the_rest_fills_up():
    scores = random_scores({"a.weight": (10, 10), "b.weight": (10, 20), "c.weight": (10, 30)})
    shares = {"a.*": 0.1, "*.weight": 0.5}
    keep = allocation.explicit(scores, 260, 0, draws(), shares=shares)
    assert [int((~mask).sum()) for mask in keep.values()] == [10, 100, 150]
    keep = allocation.explicit(scores, 400, 0, draws(), shares={"a.*": 0.1})
    assert [int((~mask).sum()) for mask in keep.values()] == [10, 156, 234]  # 78 % of the rest


def test_explicit_refuses_what_it_cannot_meet():
    scores = random_scores({"a": (10, 10), "b": (10, 10)})
    for shares, why in (
        ({"a": 0.9}, "remove 90 units, of 50"),
        ({"*": 0.1}, "the 0 other layers have 0"),
        ({"z": 0.1}, "no layer fits 'z'"),
        ({"a": 1.5}, r"in \[0, 1\]"),
    ):
        with pytest.raises(Refused, match=why):
            allocation.explicit(scores, 50, 0, draws(), shares=shares)


@pytest.mark.parametrize("of", ["global", "erk"])
def test_shuffled_keeps_the_counts_and_nothing_else(of):
    scores = random_scores({"a": (40, 40), "b": (20, 20)})
    scores["a"][:10] = -torch.inf
    chosen = {"global": allocation.global_, "erk": allocation.erk}[of](scores, 1200, 0, draws())
    keep = allocation.shuffled(scores, 1200, 0, draws(), of=of)
    for name, mask in keep.items():
        assert int(mask.sum()) == int(chosen[name].sum())
        alive = ~scores[name].isneginf()
        assert not (mask & ~alive).any()
        # a real shuffle: it agrees with the choice as often as chance does
        share = float(mask[alive].float().mean())
        agreement = float((mask == chosen[name])[alive].float().mean())
        assert agreement == pytest.approx(share**2 + (1 - share) ** 2, abs=0.1)
    other = allocation.shuffled(scores, 1200, 0, draws(1), of=of)
    assert not torch.equal(keep["a"], other["a"])


def test_shuffled_refuses_itself_and_the_unknown():
    scores = random_scores({"a": (3, 3)})
    with pytest.raises(Refused, match="another"):
        allocation.shuffled(scores, 3, 0, draws(), of="shuffled")
    with pytest.raises(PrunebenchError, match="did you mean 'uniform'"):
        allocation.shuffled(scores, 3, 0, draws(), of="unifrom")


@pytest.mark.parametrize("name", ["erk", "lamp", "per-row", "shuffled", "explicit"])
def test_as_parts_of_a_method(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(32, 16), nn.Linear(16, 2))
    masks = prune(model, {"criterion": "magnitude", "allocation": name}, 0.9)
    assert removed(masks) == round(0.9 * total(masks))
