"""Allocation under budgets: against naive losses and all choices of levels there are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
import torch
from torch import nn

from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment import config
from prunebench.pruning import compose
from prunebench.pruning.automatic.candidates import Candidates
from prunebench.pruning.automatic.sensitivity import sensitivity
from prunebench.pruning.compose import Trial
from prunebench.pruning.masks import Masks, search_of
from prunebench.pruning.view import View
from tests.pruning.automatic.networks import (
    gone,
    loss_of,
    macs_kept,
    masks_at,
    perceptron,
    residual,
    view_of,
)

WEIGHTS = 48 + 80 + 60


def lowest(weight: torch.Tensor, count: int) -> torch.Tensor:
    """A mask without the ``count`` weights of the least magnitude, by sorting."""
    keep = torch.ones(weight.numel(), dtype=torch.bool)
    keep[weight.abs().flatten().argsort()[:count]] = False
    return keep.view(weight.shape)


def sensitivities(view: View, rate: float):
    trial = Trial(view, lambda keep: keep, False)
    scores = {name: value.abs() for name, value in view.weights.items()}
    candidates = Candidates(scores, 0, lambda p: view.generator(p), trial)
    return candidates, sensitivity(candidates, rate)


def test_each_layer_alone_at_each_level() -> None:
    view = view_of()
    candidates, found = sensitivities(view, 0.9)
    # densities of 1, 0.1, 0.01 and 0.001, and one weight at least stays
    assert found.levels == {
        "0.weight": [0, 43, 47], "2.weight": [0, 72, 79], "4.weight": [0, 54, 59],
    }  # fmt: skip
    assert found.start.loss == pytest.approx(loss_of(view, {}), rel=1e-5)
    for name, levels in found.levels.items():
        for level, quality in zip(levels, found.quality[name], strict=True):
            masks = {name: lowest(view.weights[name], level)}
            assert quality.loss == pytest.approx(loss_of(view, masks), rel=1e-5)
            assert quality.error is not None
            assert 0 <= quality.error <= 1
    assert candidates.evaluations == found.evaluations == 1 + 3 * 2
    assert sensitivities(view, 0.9)[1] is found  # once for all sparsities


@pytest.mark.parametrize("seed", range(4))
def test_the_least_sum_of_losses_of_all_choices(seed: int) -> None:
    view = view_of(seed=seed)
    found = sensitivities(view, 0.8)[1]
    needed = 120
    best = min(
        (
            sum(found.rise(name, at) for name, at in zip(found.levels, choice, strict=True)),
            choice,
        )
        for choice in product(*(range(len(own)) for own in found.levels.values()))
        if sum(own[at] for own, at in zip(found.levels.values(), choice, strict=True)) >= needed
    )
    levels = [own[at] for own, at in zip(found.levels.values(), best[1], strict=True)]
    masks = masks_at(view, needed / WEIGHTS, allocation={"name": "budgeted", "rate": 0.8})
    counts = [int((~masks[name]).sum()) for name in found.levels]
    # what was saved beyond the target goes back; nothing else moves
    assert sum(counts) == needed
    assert all(count <= level for count, level in zip(counts, levels, strict=True))
    for name, count in zip(found.levels, counts, strict=True):
        assert torch.equal(masks[name], lowest(view.weights[name], count))


@pytest.mark.parametrize("sparsity", [0.0, 0.31, 0.5, 0.9, 0.98])
def test_a_sparsity_is_met_to_the_weight_and_its_price_is_told(sparsity: float) -> None:
    view = view_of()
    masks = masks_at(view, sparsity, allocation={"name": "budgeted", "rate": 0.6})
    assert gone(view, masks) == round(sparsity * WEIGHTS)
    search = search_of(masks)
    levels = sensitivities(view, 0.6)[1].levels
    assert search.evaluations == 2 + sum(len(own) - 1 for own in levels.values())
    assert search.samples == 40 * search.evaluations
    assert search.loss == pytest.approx(loss_of(view, masks), rel=1e-5)
    assert search.expected_loss is not None
    assert search.budget_miss is None  # there is no budget


@pytest.mark.parametrize("pattern", ["weight", "filter"])
@pytest.mark.parametrize("budget", [{"weights": 0.4}, {"macs": 0.3}, {"macs": 0.8}])
def test_a_budget_is_met_and_used(pattern: str, budget: dict[str, float]) -> None:
    view = view_of()
    criterion = {"weight": "magnitude", "filter": "l1-norm"}[pattern]
    masks = masks_at(
        view, criterion=criterion, pattern=pattern,
        allocation={"name": "budgeted", "budget": budget, "rate": 0.6},
    )  # fmt: skip
    [(what, share)] = budget.items()
    kept = macs_kept(view, masks) if what == "macs" else 1 - gone(view, masks) / WEIGHTS
    assert kept <= share
    # no weight more would fit, and no filter of the largest layer
    largest = 1 if pattern == "weight" else 18
    assert kept > share - largest / WEIGHTS
    assert search_of(masks).budget_miss == pytest.approx(kept - share)


def test_a_block_that_does_nothing_goes_first() -> None:
    view = view_of(residual)
    with torch.no_grad():
        for block in (1, 3):
            for value in view.model[block].parameters():
                value.mul_(1e-4)
    # of 180 weights 36 are the input layer's: two of four blocks are 0.4
    masks = masks_at(
        view, 0.4, criterion="block-similarity", pattern="block", allocation="budgeted"
    )
    removed = {name for name, mask in masks.items() if not mask.any()}
    assert removed == {f"{n}.branch.{what}" for n in (1, 3) for what in ("weight", "bias")}
    assert search_of(masks).evaluations == 1 + 4 + 1


def times_of(**milliseconds: float):
    """A stopwatch by which every filter that stays of a layer takes so many milliseconds."""

    def measure(model: nn.Module, candidates: Mapping[str, Masks]) -> dict[str, float]:
        return {
            name: 1.0 + sum(
                each * int(masks.get(f"{layer}.weight", torch.ones(1000, 1)).any(1).sum())
                if f"{layer}.weight" in masks
                else each * len(model.get_parameter(f"{layer}.weight"))
                for layer, each in milliseconds.items()
            )
            for name, masks in candidates.items()
        }  # fmt: skip

    return measure


def test_a_latency_is_measured_on_the_assembled_network() -> None:
    stopwatch = times_of(**{"0": 1.0, "2": 0.1, "4": 0.5})
    view = view_of(stopwatch=stopwatch)
    masks = masks_at(
        view, criterion="l1-norm", pattern="filter",
        allocation={"name": "budgeted", "budget": {"latency": 0.6}, "rate": 0.3},
    )  # fmt: skip
    found = stopwatch(view.model, {"dense": {}, "pruned": masks})
    share = found["pruned"] / found["dense"]
    assert share <= 0.6
    assert search_of(masks).budget_miss == pytest.approx(share - 0.6)


def test_more_time_is_not_saved_than_the_budget_asks_for() -> None:
    # layers together save more than the sum of what each saves alone: √ of the filters that stay
    count = times_of(**{"0": 1.0, "2": 1.0, "4": 1.0})

    def stopwatch(model: nn.Module, candidates: Mapping[str, Masks]) -> dict[str, float]:
        return {name: (each - 1) ** 0.5 for name, each in count(model, candidates).items()}

    view = view_of(stopwatch=stopwatch)
    masks = masks_at(
        view, criterion="l1-norm", pattern="filter",
        allocation={"name": "budgeted", "budget": {"latency": 0.5}, "rate": 0.2},
    )  # fmt: skip
    found = stopwatch(view.model, {"dense": {}, "pruned": masks})
    one_filter = 0.5 - ((0.25 * 24 - 1) / 24) ** 0.5  # of the 24, at the budget
    assert 0.5 - one_filter <= found["pruned"] / found["dense"] <= 0.5


def test_one_lucky_measurement_does_not_meet_a_budget_of_time() -> None:
    count, calls = times_of(**{"0": 1.0, "2": 1.0, "4": 1.0}), iter(range(100))

    def lucky(model: nn.Module, candidates: Mapping[str, Masks]) -> dict[str, float]:
        factor = 0.7 if next(calls) % 2 else 1.0
        found = count(model, candidates)
        return {name: each * (1 if name == "dense" else factor) for name, each in found.items()}

    view = view_of(stopwatch=lucky)
    masks = masks_at(
        view, criterion="l1-norm", pattern="filter",
        allocation={"name": "budgeted", "budget": {"latency": 0.5}, "rate": 0.2},
    )  # fmt: skip
    found = count(view.model, {"dense": {}, "pruned": masks})
    assert found["pruned"] / found["dense"] <= 0.5


def test_what_cannot_be_saved_is_refused() -> None:
    same = view_of(stopwatch=times_of())
    asked = {"name": "budgeted", "budget": {"latency": 0.5}}
    with pytest.raises(Refused, match=r"only 0\.0000 of the time can be saved, less than 0\.5"):
        masks_at(same, allocation=asked)
    with pytest.raises(Refused, match="times are measured in a grid alone"):
        masks_at(view_of(), allocation=asked)
    with pytest.raises(Refused, match=r"prunable weights can be saved, less than 0\.9894"):
        masks_at(view_of(), 0.99, allocation="budgeted")  # one weight of each layer stays
    with pytest.raises(Refused, match=r"only 0\.8000 of the prunable weights"):  # four blocks
        masks_at(
            view_of(residual), 0.95, criterion="block-similarity", pattern="block",
            allocation="budgeted",
        )  # fmt: skip


def test_later_rounds_remove_more_of_what_is_left() -> None:
    view = view_of()
    first = masks_at(view, 0.4, allocation="budgeted")
    later = View(view.model, batches=view.batches, seed=0, kind=view.kind, within=dict(first))
    second = masks_at(later, 0.7, allocation="budgeted")
    assert gone(view, second) == round(0.7 * WEIGHTS)
    assert not any((second[name] & ~first[name]).any() for name in first)


def test_the_price_of_all_rounds_counts() -> None:
    method = config.method(
        {
            "name": "two", "criterion": "magnitude", "allocation": "budgeted",
            "schedule": {"name": "at-initialization", "rounds": 2}, "recovery": "weight-rewinding",
        }
    )  # fmt: skip
    view = view_of()

    def look(masks: Masks | None) -> View:
        return View(
            view.model, batches=view.batches, seed=0, kind=view.kind, within=dict(masks or {})
        )

    _, once = compose.masks_in_rounds(method, look, 0.5, 1)
    _, twice = compose.masks_in_rounds(method, look, 0.5, 2)
    assert search_of(twice).evaluations > 1.5 * search_of(once).evaluations


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"allocation": {"name": "budgeted", "budget": {"time": 0.5}}}, "weights: …} or {macs"),
        ({"allocation": {"name": "budgeted", "budget": {"macs": 1.0}}}, "macs must lie in (0, 1)"),
        ({"allocation": {"name": "budgeted", "budget": {}}}, "budget must be {weights"),
        (
            {"allocation": {"name": "budgeted", "budget": {"macs": 0.5, "weights": 0.5}}},
            "budget must be {weights",
        ),
        ({"allocation": {"name": "budgeted", "budget": {"macs": "x"}}}, "macs must be a number"),
        ({"allocation": "budgeted", "criterion": "sparsegpt"}, "changes the weights that stay"),
        ({"allocation": "searched", "schedule": "gradual"}, "at every step of training"),
        ({"allocation": "budgeted", "pattern": "row"}, "goes with pattern"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_training(entry: dict, said: str) -> None:
    with pytest.raises(PrunebenchError) as caught:
        config.method({"name": "mine", "criterion": "magnitude", **entry})
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_budget_makes_the_sparsity_an_outcome() -> None:
    plain = {"name": "mine", "criterion": "magnitude"}
    free = config.method({**plain, "allocation": "budgeted"})
    budget = {"name": "budgeted", "budget": {"macs": 0.5}}
    bound = config.method({**plain, "allocation": budget})
    assert not free.outcome
    assert free.sparsities([0.5, 0.9]) == [0.5, 0.9]
    assert bound.outcome
    assert bound.sparsities([0.5, 0.9]) == [0.0]


def test_the_network_is_left_as_it_was() -> None:
    view = view_of(perceptron)
    before = {name: value.clone() for name, value in view.model.state_dict().items()}
    masks_at(view, 0.5, allocation="budgeted")
    after = view.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
