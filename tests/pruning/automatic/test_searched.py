"""Searches of allocations: equal budgets, repeated draws, and what all choices give."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from prunebench.pruning.automatic.owl import owl
from prunebench.pruning.masks import search_of
from tests.pruning.automatic.networks import (
    gone,
    loss_of,
    macs_kept,
    masks_at,
    residual,
    view_of,
)

WEIGHTS = 48 + 80 + 60
TRIED = ("searched", "random-allocation")


def tried(name: str, evaluations: int = 20, **more: object) -> dict[str, object]:
    return {"name": name, "evaluations": evaluations, "rate": 0.7, **more}


@pytest.mark.parametrize("name", TRIED)
@pytest.mark.parametrize("sparsity", [0.5, 0.87])
def test_the_budget_is_equal_and_the_draws_repeat(name: str, sparsity: float) -> None:
    view = view_of()
    masks = masks_at(view, sparsity, allocation=tried(name))
    assert gone(view, masks) == round(sparsity * WEIGHTS)
    search = search_of(masks)
    assert search.loss == pytest.approx(loss_of(view, masks), rel=1e-5)
    again = masks_at(view_of(), sparsity, allocation=tried(name))
    assert all(torch.equal(masks[layer], again[layer]) for layer in masks)
    assert search_of(again) == search


def test_a_search_is_no_worse_than_its_start_and_the_control_tries_as_many() -> None:
    better = 0
    for seed in range(3):
        view = view_of(seed=seed)
        start = masks_at(view, 0.8, allocation={"name": "budgeted", "rate": 0.7})
        found, drawn = (masks_at(view, 0.8, allocation=tried(name)) for name in TRIED)
        assert search_of(found).loss <= search_of(start).loss
        better += search_of(found).loss < search_of(start).loss
        assert search_of(found).evaluations == search_of(start).evaluations + 20
        assert search_of(drawn).evaluations == search_of(found).evaluations
    assert better > 0  # the losses of layers do not add up: there is something to find


@pytest.mark.parametrize("seed", range(2))
def test_the_search_finds_the_best_pair_of_blocks(seed: int) -> None:
    view = view_of(residual, seed=seed)
    blocks = [f"{n}.branch" for n in range(1, 5)]

    def without(pair: tuple[str, ...]) -> dict[str, torch.Tensor]:
        parts = [f"{block}.{what}" for block in pair for what in ("weight", "bias")]
        return {
            name: torch.zeros_like(view.model.get_parameter(name), dtype=torch.bool)
            for name in parts
        }

    pairs = [pair for pair in product(blocks, repeat=2) if pair[0] < pair[1]]
    losses = {pair: loss_of(view, without(pair)) for pair in pairs}
    masks = masks_at(
        view, 0.4, criterion="block-similarity", pattern="block", allocation=tried("searched", 15)
    )
    assert loss_of(view, masks) == pytest.approx(min(losses.values()), rel=1e-5)


@pytest.mark.parametrize("name", TRIED)
def test_a_budget_of_macs_holds_for_filters(name: str) -> None:
    view = view_of()
    budget = {"macs": 0.5}
    allocation = {**tried(name, 2, budget=budget), "rate": 0.95}
    masks = masks_at(view, criterion="l1-norm", pattern="filter", allocation=allocation)
    assert 0.5 - 18 / WEIGHTS < macs_kept(view, masks) <= 0.5
    assert search_of(masks).budget_miss == pytest.approx(macs_kept(view, masks) - 0.5)


# ------------------------------------------------------------------------------------- owl


def by_hand() -> dict[str, torch.Tensor]:
    """20 scores a layer; of their means, 5.75, 1.2 and 1, one, one and none are 5 times as high.

    Layer a: 19 times 1 and a 96; layer b: 18 times 1, and 3 twice, no outlier; layer c: as a, with
    a second outlier 60 in place of a 1: mean 8.65, five times that is 43.25.
    """
    a, b, c = torch.ones(20), torch.ones(20), torch.ones(20)
    a[3] = 96.0
    b[:2] = 3.0
    c[0], c[1] = 96.0, 60.0
    return {"a": a, "b": b, "c": c}


def test_owl_by_hand() -> None:
    """Outliers are 0.05, 0 and 0.1 of the layers: densities 0.08, 0 and 0.16, shifted to mean 0.5.

    The mean is 0.08, so that 0.5, 0.42 and 0.58 stay: of 20 scores 10, 8.4 and 11.6.
    """
    keep = owl(by_hand(), 30, 0, lambda p: torch.Generator().manual_seed(0), m=5.0, spread=0.08)
    assert {name: int(mask.sum()) for name, mask in keep.items()} == {"a": 10, "b": 8, "c": 12}
    assert keep["a"][3]
    assert keep["c"][:2].all()


def test_owl_without_outliers_or_spread_is_uniform() -> None:
    def draw(purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(0)

    for scores, spread in (
        ({"a": torch.rand(30), "b": torch.rand(10)}, 0.08),
        (by_hand(), 0.0),
    ):
        total = sum(value.numel() for value in scores.values())
        keep = owl(scores, total // 2, 0, draw, m=1e6 if spread else 5.0, spread=spread)
        assert all(int(mask.sum()) == mask.numel() // 2 for mask in keep.values())


@pytest.mark.parametrize("sparsity", [0.9, 0.95, 0.99])
def test_owl_empties_no_layer_at_high_sparsity(sparsity: float) -> None:
    draws = torch.Generator().manual_seed(3)
    scores = {f"even{i}": torch.rand(2000, generator=draws) + 1 for i in range(3)}
    scores["heavy"] = torch.rand(2000, generator=draws) ** 40  # most of its outliers
    keep = owl(scores, round(8000 * sparsity), 0, lambda p: torch.Generator().manual_seed(0))
    left = {name: int(value.sum()) for name, value in keep.items()}
    assert sum(left.values()) == 8000 - round(8000 * sparsity)
    assert min(left.values()) > 0.2 * max(left.values()) > 0
    assert left["heavy"] == max(left.values())


def test_owl_meets_any_total_though_layers_are_full() -> None:
    for remove in (0, 1, 3, 30, 57, 60):
        keep = owl(by_hand(), remove, 0, lambda p: torch.Generator().manual_seed(0))
        assert sum(int((~mask).sum()) for mask in keep.values()) == remove
