"""Schedules on a small baseline: rounds, branches, and going on after a kill."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.pruning.curve import Finished, Pruned
from prunebench.pruning.masks import sparsity as sparsity_of
from prunebench.pruning.schedules import rounds

ITERATIVE = {
    "criterion": "magnitude", "recovery": "weight-rewinding",
    "schedule": {"name": "iterative", "rate": 0.5},
}  # fmt: skip
ONE_SHOT = {"criterion": "magnitude"}


def same_bits(one: Any, two: Any) -> None:
    torch.testing.assert_close(one, two, rtol=0, atol=0)


def same_cells(one: dict[float, Pruned], two: dict[float, Pruned]) -> None:
    for sparsity in two:
        same_bits(one[sparsity].masks, two[sparsity].masks)
        same_bits(one[sparsity].model.state_dict(), two[sparsity].model.state_dict())
        assert one[sparsity].spent.epochs == two[sparsity].spent.epochs


@pytest.mark.parametrize(
    ("rate", "last", "expected"),
    [
        (0.5, 0.9, [0.5, 0.75, 0.875]),
        (0.5, 0.875, [0.5, 0.75, 0.875]),
        (0.2, 0.5, [0.2, 0.36, 0.488]),
        (0.5, 0.4, []),
    ],
)
def test_rounds(rate: float, last: float, expected: list[float]) -> None:
    assert rounds(rate, last) == expected


def test_one_shot(bench) -> None:
    cells = bench.run(ONE_SHOT, 0.5, 0.9)
    assert list(cells) == [0.5, 0.9]
    final = bench.states[4]
    names = ["features.0.weight", "features.3.weight", "hidden.0.weight"]
    ranked = torch.cat([final[name].abs().flatten() for name in names]).sort().values
    for sparsity, cell in cells.items():
        assert sorted(cell.masks) == names
        threshold = ranked[round(sparsity * len(ranked))]
        for name in names:
            assert torch.equal(cell.masks[name], final[name].abs() >= threshold)
        assert cell.spent.epochs == 4 + 2  # the baseline and the fine-tuning
        assert cell.run.epochs == 2
        assert cell.spent.seconds > 1
        assert cell.prune_seconds > 0


def test_a_cell_does_not_depend_on_others(bench) -> None:
    for method in (ONE_SHOT, ITERATIVE, {**ONE_SHOT, "criterion": "random"}):
        whole = bench.fresh().run(method, 0.5, 0.6, 0.9)
        for sparsity in (0.6, 0.9):
            alone = bench.fresh().run(method, sparsity)
            same_cells(whole, {sparsity: alone[sparsity]})


def test_iterative_goes_in_rounds(bench) -> None:
    cells = bench.run(ITERATIVE, 0.9)
    assert list(cells) == [0.5, 0.75, 0.875, 0.9]
    spent = [cell.spent.epochs for cell in cells.values()]
    assert spent == [8, 12, 16, 20]  # the baseline's four, and four for each round
    earlier = None
    for sparsity, cell in cells.items():
        assert sparsity_of(cell.masks, cell.masks) == pytest.approx(sparsity, abs=1e-3)
        if earlier is not None:
            for name, mask in cell.masks.items():
                assert not (mask & ~earlier.masks[name]).any()
            # the round ranks what the round before it has trained
            weights = {name: earlier.model.get_parameter(name).abs() for name in cell.masks}
            kept = torch.cat([weights[name][mask] for name, mask in cell.masks.items()])
            left = [weights[n][earlier.masks[n] & ~m] for n, m in cell.masks.items()]
            assert torch.cat(left).max() <= kept.min()
        earlier = cell


def test_iterative_branches_between_rounds(bench) -> None:
    """0.6 leaves the path after the round at 0.5, and 0.75 does not pass through it."""
    alone = bench.fresh().run(ITERATIVE, 0.75)
    cells = bench.run(ITERATIVE, 0.6, 0.75)
    assert list(cells) == [0.5, 0.6, 0.75]
    assert cells[0.6].spent.epochs == cells[0.75].spent.epochs == 12
    same_cells(cells, alone)


@pytest.mark.parametrize("kill_after", [1, 2, 3])
@pytest.mark.parametrize(
    "method",
    [
        ITERATIVE,
        {**ITERATIVE, "recovery": "fine-tuning", "criterion": "taylor"},
        {**ITERATIVE, "recovery": "fine-tuning", "criterion": "l1-norm"},
        ONE_SHOT,
    ],
    ids=["rewinding", "fine-tuning", "filters", "one-shot"],
)
def test_going_on_after_a_kill(bench, method, kill_after) -> None:
    whole = bench.fresh().run(method, 0.5, 0.6, 0.75, 0.8)
    bench.run(method, 0.5, 0.6, 0.75, 0.8, stop=kill_after)
    torch.manual_seed(99)  # another process has another state
    later = bench.run(method, 0.5, 0.6, 0.75, 0.8)
    assert len(later) == 4 - kill_after
    same_cells(whole, later)
    assert not bench.run(method, 0.5, 0.6, 0.75, 0.8)  # nothing is left to do


def test_iterative_stops_at_a_diverged_round(bench) -> None:
    bench.run(ITERATIVE, 0.5)
    done = bench.cells[0.5]
    bench.cells[0.5] = Finished(done.weights, done.masks, done.spent, diverged=True)
    assert not bench.run(ITERATIVE, 0.75)


def test_a_missing_round_is_an_error(bench) -> None:
    bench.cells = _Forgetful()
    with pytest.raises(PrunebenchError, match=r"round 0\.5 is missing"):
        bench.run(ITERATIVE, 0.75)


class _Forgetful(dict):
    """Cells that are not there when they are wanted."""

    def get(self, key: float, default: Any = None) -> None:
        return None


def test_at_initialization(bench) -> None:
    method = {
        "criterion": "snip", "schedule": "at-initialization", "recovery": "weight-rewinding",
    }  # fmt: skip
    cells = bench.run(method, 0.5, 0.9)
    model = bench.curve(config.method("magnitude")).model_at(0).eval()
    same_bits(model.state_dict(), bench.states[0])
    functional.cross_entropy(
        model(bench.samples.normalize(bench.samples.inputs)), bench.samples.targets
    ).backward()
    for sparsity, cell in cells.items():
        assert cell.spent.epochs == 4  # no baseline is needed
        scores = torch.cat(
            [(w := model.get_parameter(n)).mul(w.grad).abs().flatten() for n in cell.masks]
        )
        masks = torch.cat([mask.flatten() for mask in cell.masks.values()])
        threshold = scores.kthvalue(round(sparsity * len(scores))).values
        # the sum over batches rounds otherwise than that over all samples
        sure = (scores - threshold).abs() > 1e-5 * threshold
        assert torch.equal(masks[sure], (scores > threshold)[sure])
        assert int((~masks).sum()) == round(sparsity * len(scores))


def test_at_initialization_has_nothing_to_fine_tune() -> None:
    with pytest.raises(PrunebenchError, match="no trained weights"):
        config.method(
            {"name": "x", "criterion": "snip", "schedule": "at-initialization",
             "recovery": "fine-tuning"}
        )  # fmt: skip


def test_filters_in_rounds(bench) -> None:
    cells = bench.run({**ITERATIVE, "criterion": "l2-norm", "recovery": "fine-tuning"}, 0.75)
    assert list(cells) == [0.5, 0.75]
    for name, mask in cells[0.75].masks.items():
        assert not (mask & ~cells[0.5].masks[name]).any()
        weight = cells[0.75].model.get_parameter(name)
        assert not weight[~mask].any()
    assert {"features.1.weight", "features.1.bias", "head.weight"} <= set(cells[0.75].masks)
