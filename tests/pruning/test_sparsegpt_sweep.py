"""SparseGPT's choice and compensation against the paper's algorithm, written out naively."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.experiment import config
from prunebench.pruning import compose
from prunebench.pruning.api import prune
from prunebench.pruning.view import View
from tests.pruning.test_sparsegpt import ALL, TINY, correlated, labelled, least_squares, unfolded


def naive(
    rows: Tensor, weight: Tensor, block: int, pick: Callable[[Tensor], Tensor], damping: float
) -> tuple[Tensor, Tensor]:
    """Algorithm 1 of Frantar 2023 with every inverse taken anew: mask and weights [out, d].

    ``pick(scores)`` [out, block] says what stays. A removed weight is driven to zero by what then
    costs the outputs least, the weights before it held (their equation 3).
    """
    weight, inputs = weight.clone(), weight.shape[1]
    hessian = 2 * rows.T @ rows / len(rows)
    hessian += damping * hessian.diagonal().mean() * torch.eye(inputs)
    inverses = [torch.linalg.inv(hessian[j:, j:]) for j in range(inputs)]
    keep = torch.ones_like(weight, dtype=torch.bool)
    for first in range(0, inputs, block):
        columns = range(first, min(first + block, inputs))
        scores = [weight[:, j] ** 2 / inverses[j][0, 0] for j in columns]
        keep[:, columns] = pick(torch.stack(scores, 1))
        for j in columns:
            gone = weight[:, j] * ~keep[:, j]
            weight[:, j:] -= gone[:, None] * inverses[j][0] / inverses[j][0, 0]
    return keep, weight * keep


def lowest(share: float) -> Callable[[Tensor], Tensor]:
    """Of a whole block the lowest share goes."""
    return lambda scores: scores >= scores.flatten().sort().values[round(share * scores.numel())]


def lowest_of_rows(share: float) -> Callable[[Tensor], Tensor]:
    """Of each row of a block."""
    return lambda scores: scores >= scores.sort(1).values[:, [round(share * scores.shape[1])]]


CHOICES = {
    "uniform": ({"allocation": "uniform"}, 128, lowest),
    "global": ({"allocation": "global"}, 128, lowest),
    "lamp": ({"allocation": "lamp"}, 128, lowest),
    "explicit": ({"allocation": {"name": "explicit", "shares": {"0.*": 0.5}}}, 128, lowest),
    "per-row": ({"allocation": "per-row"}, 128, lowest_of_rows),
    "2:4": ({"pattern": "n-m"}, 4, lowest_of_rows),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_a_layer_is_swept_as_in_the_paper(choice):
    method, block, pick = CHOICES[choice]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(256, 6)).double()
    weight, inputs = model[0].weight.detach().clone(), correlated(700, 256)
    masks = prune(model, {"criterion": "sparsegpt", **method}, 0.5, batches=labelled(inputs),
                  prunable={"head": True})  # fmt: skip
    keep, expected = naive(inputs, weight, block, pick(0.5), 0.01)
    assert torch.equal(masks["0.weight"], keep)
    torch.testing.assert_close(model[0].weight.detach(), expected, rtol=1e-6, atol=1e-8)


def test_convolution_chooses_from_whole_channels_about_128_columns_wide():
    torch.manual_seed(0)
    layer = nn.Conv2d(30, 4, 3, padding=1).double()
    model, inputs = nn.Sequential(deepcopy(layer)), correlated(12, 30, 6, 6)
    masks = prune(model, "sparsegpt", 0.5, batches=labelled(inputs), prunable={"head": True})
    (rows,) = unfolded(layer, inputs)
    # 14 channels of 9 places; 2 channels are left for the last block
    keep, expected = naive(rows, layer.weight.detach().flatten(1), 126, lowest(0.5), 0.01)
    assert torch.equal(masks["0.weight"].flatten(1), keep)
    torch.testing.assert_close(model[0].weight.detach().flatten(1), expected)


def test_layers_see_what_the_pruned_ones_before_them_give():
    class Backwards(nn.Module):
        """Its layers are registered in the reverse of the order in which they run."""

        def __init__(self) -> None:
            super().__init__()
            self.late, self.early = nn.Linear(24, 6), nn.Linear(16, 24)

        def forward(self, x: Tensor) -> Tensor:
            return self.late(functional.relu(self.early(x)))

    torch.manual_seed(0)
    model = Backwards().double()
    dense, inputs = deepcopy(model), correlated(200, 16)
    masks = prune(model, "sparsegpt", 0.5, batches=labelled(inputs[:90], inputs[90:]),
                  prunable={"head": True})  # fmt: skip
    keep, early = naive(inputs, dense.early.weight.detach(), 128, lowest(0.5), 0.01)
    assert torch.equal(masks["early.weight"], keep)
    torch.testing.assert_close(model.early.weight.detach(), early)
    hidden = functional.relu(functional.linear(inputs, early, dense.early.bias)).detach()
    keep, late = naive(hidden, dense.late.weight.detach(), 128, lowest(0.5), 0.01)
    assert torch.equal(masks["late.weight"], keep)
    torch.testing.assert_close(model.late.weight.detach(), late)


def test_between_the_best_of_all_masks_and_magnitude():
    torch.manual_seed(0)
    ratios, bare = [], []
    for _ in range(30):
        inputs = torch.randn(60, 6).double() @ torch.randn(6, 6).double()
        model = nn.Sequential(nn.Linear(6, 1)).double()
        weight = model[0].weight.detach().clone()
        prune(model, {"criterion": {"name": "sparsegpt", "damping": TINY}, "allocation": "uniform"},
              0.5, batches=labelled(inputs), prunable={"head": True})  # fmt: skip

        def error(value: Tensor, rows: Tensor = inputs, dense: Tensor = weight) -> float:
            return float((rows @ (value - dense).T).square().sum())

        best = torch.inf
        for kept in combinations(range(6), 3):
            keep = torch.zeros(1, 6, dtype=torch.bool)
            keep[0, list(kept)] = True
            best = min(best, error(least_squares(inputs, weight, keep)))
        found = error(model[0].weight.detach())
        assert found >= best * (1 - 1e-6)
        ratios.append(found / best)
        bare.append(error(weight * (weight.abs() > weight.abs().median())) / best)
    middle = [float(torch.tensor(values).median()) for values in (ratios, bare)]
    assert middle[0] < 0.9 * middle[1]


def test_what_earlier_rounds_removed_stays_removed():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(200, 5)).double()
    inputs = labelled(correlated(300, 200))
    within = {"0.weight": torch.rand(5, 200) > 0.3}
    with torch.no_grad():
        model[0].weight.mul_(within["0.weight"])
    view = View(model, batches=inputs, prunable=ALL, within=within)
    method = config.method("sparsegpt")
    scored = compose.score(method, view)
    masks = compose.masks_at(method, view, scored.scores, 0.6)
    assert int((~masks["0.weight"]).sum()) == 600
    assert not (masks["0.weight"] & ~within["0.weight"]).any()


def test_a_larger_sparsity_is_chosen_on_its_own():
    entry = {"name": "mine", "base": "sparsegpt", "allocation": "global"}
    assert not config.method(entry).nested  # other inputs, other scores
    assert config.method({**entry, "criterion": "wanda"}).nested
