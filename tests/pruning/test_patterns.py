"""Patterns: exact for single weights, within a filter for filters, never a silent pass."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment import config
from prunebench.experiment.config import method
from prunebench.experiment.settings import Model, Prunable
from prunebench.pruning import compose
from prunebench.pruning.api import prune
from prunebench.pruning.coupling import Coupling
from prunebench.pruning.groups import Group, Slice, expand, kept_dims
from prunebench.pruning.masks import Masks, collapsed
from prunebench.pruning.masks import sparsity as sparsity_of
from prunebench.pruning.patterns import filter_, n_m
from prunebench.pruning.view import View
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models

FILTERS = {"name": "filters", "criterion": "l1-norm", "pattern": "filter"}
CHANNELS = {"seed-cnn": 1}


def network(name: str) -> tuple[nn.Module, Tensor]:
    channels = CHANNELS.get(name, 3)
    arguments = {}
    if name == "densenet121":
        arguments = {"growth_rate": 8, "block_config": [2, 2]}
    size = 32 if name == "test_vit" else 16
    model = models.create(
        Model(name=name, arguments=arguments), NetworkFacts.of_images(5, channels, size), seed=0
    )
    return model, torch.randn(2, channels, size, size)


def view_of(model: nn.Module, inputs: Tensor, within: Masks | None = None) -> View:
    return View(model, batches=[(inputs, torch.zeros(len(inputs)))], within=within)


def masks_of(view: View, sparsity: float, allocation: str = "global") -> Masks:
    method = config.method({**FILTERS, "allocation": allocation})
    return compose.masks_at(method, view, compose.score(method, view).scores, sparsity)


def dearest_unit(view: View) -> int:
    """The most prunable weights that one unit takes with it, from the whole network."""
    worst = 0
    for group in view.groups:
        for unit in range(group.size):
            keep = torch.arange(group.size) != unit
            masks = expand(kept_dims([group], {group.name: keep}), view.weights | extra(view))
            gone = sum(int((~masks[name]).sum()) for name in masks if name in view.layers)
            worst = max(worst, gone)
            if unit == 2:  # units of a group cost the same, or nearly
                break
    return worst


def extra(view: View) -> dict[str, Tensor]:
    return {k: v for k, v in view.model.named_parameters() if k not in view.layers}


@pytest.mark.parametrize("allocation", ["global", "uniform"])
@pytest.mark.parametrize(
    "name", ["test_resnet", "seed-cnn", "test_efficientnet", "densenet121", "resnet20"]
)
def test_filters_meet_the_target(name: str, allocation: str) -> None:
    view = view_of(*network(name))
    total = sum(weight.numel() for weight in view.weights.values())
    slack, earlier = dearest_unit(view) / total, 0.0
    for sparsity in (0.0, 0.3, 0.6, 0.9):
        masks = masks_of(view, sparsity, allocation)
        achieved = sparsity_of(masks, view.layers)
        assert abs(achieved - sparsity) <= slack
        assert achieved >= earlier
        earlier = achieved
        assert not collapsed(masks)
        for group in view.groups:  # all of a unit goes, and one unit stays
            for item in group.slices:
                flat = masks[item.parameter].movedim(item.dim, 0).flatten()
                flat = flat.view(len(item.unit), -1)
                left = torch.zeros(group.size).index_add_(
                    0, item.unit.clamp(min=0), (flat.any(1) & (item.unit >= 0)).float()
                )
                assert left.any()
    assert earlier > 0.8


def test_sparsity_zero_keeps_everything() -> None:
    masks = masks_of(view_of(*network("test_resnet")), 0.0)
    assert all(mask.all() for mask in masks.values())


def test_rounds_of_filters_never_revive() -> None:
    model, inputs = network("test_resnet")
    within, view = None, view_of(model, inputs)
    for sparsity in (0.3, 0.5, 0.7):
        view = view_of(model, inputs, within)
        with torch.no_grad():  # the scores are others each round
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * weight.std())
        masks = masks_of(view, sparsity)
        assert abs(sparsity_of(masks, view.layers) - sparsity) < 0.02
        for name, mask in (within or {}).items():
            assert not (masks[name] & ~mask).any()
        within = masks


def test_more_than_filters_hold_is_refused() -> None:
    view = view_of(*network("test_vit"))
    assert masks_of(view, 0.1)
    with pytest.raises(Refused, match=r"only 0\.\d+ of the prunable weights"):
        masks_of(view, 0.95)


def test_score_of_a_group() -> None:
    """The mean over its members' filters, of those that have the unit."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1))
    members = [
        Slice("0.weight", 0, torch.tensor([0, 1, 2, 2]), True),
        Slice("1.weight", 0, torch.tensor([2, 0, -1, 1]), True),
        Slice("2.weight", 0, torch.tensor([1, -1]), True),
        Slice("1.weight", 1, torch.tensor([0, 1, 2, 2]), False),
    ]
    view = View(net, prunable=Prunable(head=True))
    view.coupling = Coupling([Group("0.weight", 3, tuple(members))], {}, [], {})
    seen = {}

    def allocate(units: dict[str, Tensor], remove: int, least: int) -> dict[str, Tensor]:
        seen.update(units)
        return {name: torch.ones(3, dtype=torch.bool) for name in units}

    scores = {
        "0.weight": torch.tensor([1.0, 2.0, 3.0, 5.0]),
        "1.weight": torch.tensor([7.0, 8.0, 99.0, 9.0]),
        "2.weight": torch.tensor([4.0, 99.0]),
    }
    filter_(view, scores, allocate, 0.0)
    expected = torch.tensor([(1 + 8) / 2, (2 + 9 + 4) / 3, ((3 + 5) / 2 + 7) / 2])
    torch.testing.assert_close(seen["0.weight"], expected)


class Split(nn.Module):
    """Half of the channels pass another layer; the graph cannot tell them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.c, self.head = nn.Conv2d(8, 6, 1), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.a(x).chunk(2, 1)
        return self.head(self.c(torch.cat([self.b(one), two], 1)).relu().mean((2, 3)))


def test_what_cannot_be_told_apart_is_left_out() -> None:
    view = view_of(Split(), torch.randn(2, 3, 9, 9))
    assert [group.name for group in view.groups] == ["c.weight"]
    masks = masks_of(view, 0.1)
    assert masks["a.weight"].all()
    with pytest.raises(Refused, match="of the prunable weights"):
        masks_of(view, 0.5)


# ------------------------------------------------------------------------ single weights


def weights_at(view: View, scores: dict[str, Tensor], sparsity: float) -> Masks:
    return compose.masks_at(config.method("magnitude"), view, scores, sparsity)


def test_weights_are_exact(small_net: Callable[[], nn.Module]) -> None:
    view = View(small_net())
    total = sum(weight.numel() for weight in view.weights.values())
    for sparsity in (0.0, 0.001, 0.5, 0.9, 0.999):
        for scores in (view.weights, {k: torch.ones_like(v) for k, v in view.weights.items()}):
            masks = weights_at(view, scores, sparsity)
            assert set(masks) == set(view.layers)
            assert sum(int((~mask).sum()) for mask in masks.values()) == round(sparsity * total)


def test_weights_stay_within(small_net: Callable[[], nn.Module]) -> None:
    model = small_net()
    first = weights_at(View(model), View(model).weights, 0.4)
    view = View(model, within=first)
    second = weights_at(view, {k: torch.rand_like(v) for k, v in view.weights.items()}, 0.7)
    assert sparsity_of(second, view.layers) == pytest.approx(0.7, abs=1e-3)
    assert all(not (second[name] & ~first[name]).any() for name in first)
    with pytest.raises(Refused, match="gone already"):
        weights_at(view, view.weights, 0.3)


def test_wrong_scores_are_refused(small_net: Callable[[], nn.Module]) -> None:
    view = View(small_net())
    good = {name: weight.abs() for name, weight in view.weights.items()}
    name = next(iter(good))
    broken = good[name].clone()
    broken[0, 0, 0, :2] = torch.nan
    for scores, message in (
        ({**good, name: broken}, f"NaN for 2 units of '{name}'"),
        ({**good, name: good[name].flatten()}, "scores of shape"),
        ({key: value for key, value in good.items() if key != name}, f"no scores for {name}"),
        ({**good, "head.weight": torch.ones(3, 12)}, "may not be pruned"),
    ):
        with pytest.raises(Refused, match=message):
            weights_at(view, scores, 0.5)


# ------------------------------------------------------------ N:M, by brute force over every group


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


def small_dense(view: View, sparsity: float) -> Masks:
    method = config.method("small-dense")
    return compose.masks_at(method, view, compose.score(method, view).scores, sparsity)


def parameters_kept(view: View, masks: Masks) -> int:
    named = view.model.named_parameters()
    return sum(int(masks[n].sum()) if n in masks else value.numel() for n, value in named)


@pytest.mark.parametrize("name", ["seed-cnn", "test_resnet", "resnet20"])
def test_a_small_dense_network_has_as_many_weights_as_magnitude_keeps(name: str) -> None:
    view = view_of(*network(name))
    total = sum(value.numel() for value in view.model.parameters())
    prunable = sum(weight.numel() for weight in view.weights.values())
    for sparsity in (0.2, 0.5, 0.8, 0.9, 0.95):
        wanted = total - round(sparsity * prunable)
        kept = parameters_kept(view, small_dense(view, sparsity))
        # no number of filters removed evenly comes nearer by more than one filter
        assert abs(kept - wanted) <= dearest(view)
        plain = parameters_kept(view, masks_of(view, sparsity, "uniform"))
        assert abs(kept - wanted) <= abs(plain - wanted)


def dearest(view: View) -> int:
    """The most parameters that go with one channel of the whole network."""
    named, worst = dict(view.model.named_parameters()), 0
    for group in view.groups:
        of_one = {
            item.parameter: named[item.parameter].numel() // named[item.parameter].shape[item.dim]
            * int((item.unit == 0).sum())
            for item in group.slices
        }  # fmt: skip
        worst = max(worst, sum(of_one.values()))
    return worst
