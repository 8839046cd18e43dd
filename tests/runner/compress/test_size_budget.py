"""Budgets: how they are written, and the sparsity at which a network meets one."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.settings import Prunable
from prunebench.runner.compress.size_budget import (
    LARGEST,
    Budget,
    Shares,
    sparsities_of,
    sparsity_at,
)


def test_a_budget_is_written_as_text_or_as_a_mapping() -> None:
    for value in ("macs=0.5", {"macs": 0.5}, Budget("macs", 0.5)):
        assert Budget.read(value) == Budget("macs", 0.5)
    assert str(Budget.read("weights=0.25")) == "weights=0.25"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("mac=0.5", "budget: no unit 'mac'; did you mean 'macs'?"),
        ("macs=half", "budget: macs=half: must be the share that is kept"),
        ("macs=50", "must be the share that is kept, between 0 and 1"),
        ("macs=nan", "must be the share that is kept, between 0 and 1"),
        ("0.5", "must be weights|macs|latency=<share kept>, e.g. macs=0.5"),
        ({"macs": 0.5, "weights": 0.1}, "must be weights|macs|latency=<share kept>"),
    ],
)
def test_what_is_no_budget(value: str | dict[str, float], message: str) -> None:
    with pytest.raises(PrunebenchError, match=re.escape(message)):
        Budget.read(value)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_the_smallest_sparsity_that_meets_a_share(share: float) -> None:
    found = sparsity_at(lambda sparsity: (1 - sparsity) ** 2, share)
    assert found is not None
    exact = 1 - share**0.5
    assert exact <= found <= exact + 0.0021


def test_a_share_out_of_reach() -> None:
    assert sparsity_at(lambda sparsity: 1 - sparsity / 2, 0.4) is None
    assert sparsity_at(lambda sparsity: 1 - sparsity, 1 - LARGEST) == LARGEST


def _shares(method: str) -> Shares:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 20, 3, padding=1), nn.ReLU(), nn.Conv2d(20, 20, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(20 * 16, 2),
    ).eval()  # fmt: skip
    example = torch.randn(4, 1, 4, 4)
    return Shares(network, config.method(method), Prunable(), example, [])


def test_shares_of_macs_are_those_of_the_shrunk_network() -> None:
    # by hand: half of both layers' filters are gone
    first, second, head = 9 * 20 * 16, 9 * 20 * 20 * 16, 20 * 16 * 2
    left = first / 2 + second / 4 + head / 2
    shares = _shares("l1-filter")
    prunable = 9 * 20 + 9 * 20 * 20
    removed = 1 - (9 * 10 + 9 * 10 * 10) / prunable
    assert shares.kept("macs", removed) == pytest.approx(left / (first + second + head))


class _Squared(Shares):
    """A network whose MACs fall with the square of what is kept."""

    def kept(self, unit: str, sparsity: float) -> float:
        return (1 - sparsity) ** 2


def test_sparsities_meet_the_budget_and_lie_around_it() -> None:
    shares = _Squared(**vars(_shares("l1-filter")))
    found = sparsities_of(Budget("macs", 0.5), shares)
    exact = [1 - share**0.5 for share in (0.5**0.5, 0.5, 0.3)]
    assert found == pytest.approx(exact, abs=0.0021)
    assert all(each >= least for each, least in zip(found, exact, strict=True))
    assert sparsities_of(Budget("weights", 0.25), shares) == [0.5, 0.75, 0.85]
    with pytest.raises(PrunebenchError, match=r"out of reach of l1-filter: at sparsity 0\.98"):
        sparsities_of(Budget("macs", 0.0003), shares)


def test_masks_of_single_weights_save_no_macs_of_dense_kernels() -> None:
    with pytest.raises(PrunebenchError, match="magnitude saves no MACs: no filter, head or block"):
        sparsities_of(Budget("macs", 0.5), _shares("magnitude"))


def test_excluded_layers_that_put_a_budget_out_of_reach_are_named() -> None:
    shares = _Excluding(**vars(_shares("l1-filter")))
    whole = replace(shares, prunable=Prunable(exclude=["2", "0"]))
    with pytest.raises(PrunebenchError, match=r"--exclude '2,0' is why: .* exclude fewer layers"):
        sparsities_of(Budget("macs", 0.5), whole)
    with pytest.raises(PrunebenchError, match=r"without --exclude '2,0' it would keep 2 %: .* fir"):
        sparsities_of(Budget("macs", 0.01), whole)
    with pytest.raises(PrunebenchError, match=r"still keeps 2 % of the MACs; ask for a larger"):
        sparsities_of(Budget("macs", 0.01), shares)


class _Excluding(Shares):
    """A network of whose MACs each pattern that is excluded keeps three tenths."""

    def kept(self, unit: str, sparsity: float) -> float:
        return 1 - sparsity * (1 - 0.3 * len(self.prunable.exclude))
