"""The trial's rival, Torch-Pruning: the suite's network must be the one that the library cuts."""

from __future__ import annotations

import argparse

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from benchmarks import automatic_trials as trials
from benchmarks.torch_pruning_global import chosen, cut, kept
from prunebench.compression.shrink import shrink
from prunebench.errors import Refused
from prunebench.experiment.settings import Prunable
from prunebench.pruning.compose import Trial
from prunebench.pruning.macs import macs
from prunebench.pruning.masks import apply, search_of
from prunebench.pruning.patterns import filter_
from prunebench.pruning.view import Scores, View


class Net(nn.Module):
    """A residual block between a stem and a head: two groups of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.branch = nn.Sequential(
            nn.Conv2d(6, 10, 3, padding=1), nn.BatchNorm2d(10), nn.ReLU(),
            nn.Conv2d(10, 6, 3, padding=1), nn.BatchNorm2d(6),
        )  # fmt: skip
        self.head = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        found = self.stem(images)
        return self.head((found + self.branch(found)).relu().mean((2, 3)))


@pytest.fixture
def view() -> View:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, images = Net(), torch.randn(4, 1, 5, 5)
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)
    return View(model.eval(), example=images, prunable=Prunable())


def scores_of(view: View) -> Scores:
    return {group.name: torch.zeros(group.size) for group in view.groups}


def trial_of(view: View) -> Trial:
    ranked = {name: torch.zeros(len(layer.weight)) for name, layer in view.layers.items()}
    return Trial(view, lambda keep: filter_(view, ranked, lambda *_: keep, 0.0), False)


@pytest.mark.parametrize("ratio", [0.25, 0.6])
def test_the_masked_network_computes_what_the_one_that_the_library_cut_does(
    view: View, ratio: float
) -> None:
    smaller, gone = cut(view, ratio)
    masks = trial_of(view).masks(kept(view, scores_of(view), ratio))
    assert sum(map(len, gone.values())) > 0
    apply(view.model, masks)
    images = torch.randn(8, 1, 5, 5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(view.model(images), smaller(images), atol=1e-6)
    ours = shrink(view.model, masks, images[:1]).model
    assert [value.shape for value in ours.parameters()] == [
        value.shape for value in smaller.parameters()
    ]


def test_a_budget_is_met_as_nearly_as_channels_allow(view: View) -> None:
    trial = trial_of(view)
    keep = chosen(scores_of(view), 0, 1, view.generator, trial, budget={"macs": 0.5})
    whole, left = macs(view.model, view.example[:1], trial.masks(keep))
    channel = 25 * 9 * (1 + 2 * 10)  # the largest: of the stem, and of what both layers read of it
    assert whole / 2 - channel < left <= whole / 2
    assert search_of(keep).budget_miss == pytest.approx(left / whole - 0.5)
    with pytest.raises(Refused, match="name a budget"):
        chosen(scores_of(view), 0, 1, view.generator, trial)


def test_the_table_has_means_over_seeds_and_intervals() -> None:
    errors = {trials.REFERENCE: (11.0, 12.0, 13.0), "l1-filter": (12.0, 13.0, 14.0)}
    rows = [
        {"method": name, "seed": seed, "error": error, "rise": error - 10.0, "macs": 0.4,
         "weights": 0.3, "seconds": 2.0, "tried": 0, "ms 8": 3.0, "time 8": 0.5, "time 1": 0.75}
        for name, own in errors.items()
        for seed, error in enumerate(own)
    ]  # fmt: skip
    # Student's t of 2 degrees of freedom is 4.303 at 97.5 %; the differences are all 1
    *_, first, second = trials.summary(pd.DataFrame(rows), 8).splitlines()
    assert "| 40.0 % | 30.0 % | 50.0 % | 75.0 % | 3.0 | 12.00 ± 2.48 | 2.00 ± 2.48 |" in first
    assert second.endswith("| 13.00 ± 2.48 | 3.00 ± 2.48 | 1.00 ± 0.00 | 2 s |")


def test_every_trial_is_a_configuration(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for name in trials.TRIALS:
        given = argparse.Namespace(
            trial=name, task={}, training={}, seeds=3, time=0.5, rate=0.4, threads=1, batch=32,
            output=tmp_path,
        )  # fmt: skip
        methods = [*trials.by_time(given), *trials.by_macs(0.4, given.rate)]
        plan = trials.planned(given, methods, [0.6])
        # dense, fine-tuned, by time, and five at equal MACs
        assert [len(list(trials.cells(plan, seed))) for seed in range(3)] == [8, 8, 8]
