"""SparseGPT against exact least squares on a layer's outputs."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.errors import Refused
from prunebench.experiment import config
from prunebench.experiment.settings import Prunable
from prunebench.pruning import compose
from prunebench.pruning.api import prune
from prunebench.pruning.criteria import sparsegpt as module
from prunebench.pruning.criteria.sparsegpt import inverse_factor, sparsegpt
from prunebench.pruning.view import View

ALL = Prunable(head=True)
TINY = 1e-8  # damping so small that the least squares are the plain ones


def labelled(*parts: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [(part, torch.zeros(len(part), dtype=torch.int64)) for part in parts]


def correlated(samples: int, *shape: int) -> Tensor:
    draw = torch.Generator().manual_seed(3)
    inputs = torch.randn(samples, *shape, generator=draw, dtype=torch.float64)
    return inputs + 2 * torch.randn(samples, *[1] * len(shape), generator=draw)


def least_squares(rows: Tensor, weight: Tensor, keep: Tensor) -> Tensor:
    """For each output the kept weights that best give X·w, [out, d]; rows [N, d]."""
    found = torch.zeros_like(weight)
    for i, (w, kept) in enumerate(zip(weight, keep, strict=True)):
        if kept.any():
            found[i, kept] = torch.linalg.lstsq(rows[:, kept], rows @ w).solution
    return found


def unfolded(layer: nn.Conv2d, inputs: Tensor) -> list[Tensor]:
    """Rows [N · L, d] of each group, by torch's own unfold."""
    options = {"padding": layer.padding, "stride": layer.stride, "dilation": layer.dilation}
    parts = inputs.chunk(layer.groups, dim=1)
    return [
        functional.unfold(part, layer.kernel_size, **options).transpose(1, 2).flatten(0, 1)
        for part in parts
    ]


def first_removed(weight: Tensor, count: int) -> Tensor:
    """Masks that keep the last inputs of each output: the sweep reaches every weight that stays."""
    keep = torch.ones(weight.shape, dtype=torch.bool).flatten(1)
    keep[:, :count] = False
    return keep


def test_scores_are_the_obs_loss_with_the_inputs_to_come():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 3)).double()
    inputs = correlated(40, 5)
    view = View(model, batches=labelled(inputs[:25], inputs[25:]), prunable=ALL)
    score = sparsegpt(view, damping=0.01).scores["0.weight"]
    hessian = 2 * inputs.T @ inputs / 40
    hessian += 0.01 * hessian.diagonal().mean() * torch.eye(5)
    for j in range(5):
        inverse = torch.linalg.inv(hessian[j:, j:])[0, 0]
        expected = model[0].weight.detach()[:, j] ** 2 / inverse
        torch.testing.assert_close(score[:, j], expected)


def test_linear_layer_is_the_least_squares_solution():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 4)).double()  # more than one block of the sweep
    weight, inputs = model[0].weight.detach(), correlated(900, 300)
    scored = sparsegpt(View(model, batches=labelled(inputs), prunable=ALL), damping=TINY)
    keep = first_removed(weight, 170)
    found = scored.update({"0.weight": keep})["0.weight"]
    torch.testing.assert_close(found, least_squares(inputs, weight, keep), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolution_is_the_least_squares_solution(groups):
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=groups).double()
    inputs = correlated(30, 4, 7, 6)
    weight = layer.weight.detach()
    keep = first_removed(weight, weight[0].numel() // 2)
    scored = sparsegpt(View(nn.Sequential(layer), batches=labelled(inputs), prunable=ALL),
                       damping=TINY)  # fmt: skip
    found = scored.update({"0.weight": keep.view(weight.shape)})["0.weight"].flatten(1)
    parts = zip(unfolded(layer, inputs), weight.flatten(1).chunk(groups), keep.chunk(groups),
                strict=True)  # fmt: skip
    expected = torch.cat([least_squares(rows, part, mask) for rows, part, mask in parts])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_any_mask_lies_between_least_squares_and_no_compensation():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 6)).double()
    weight, inputs = model[0].weight.detach(), correlated(100, 20)
    scored = sparsegpt(View(model, batches=labelled(inputs), prunable=ALL), damping=TINY)
    keep = torch.rand(weight.shape) > 0.5
    found = scored.update({"0.weight": keep})["0.weight"]
    assert not found[~keep].any()

    def error(value: Tensor) -> float:
        return float((inputs @ (value - weight).T).square().sum())

    best = error(least_squares(inputs, weight, keep))
    assert best <= error(found) < 0.7 * error(weight * keep)
    # the loss that a single removal causes is its score, as the paper's says (times the samples)
    keep = torch.ones_like(keep)
    keep[2, 7] = False
    single = error(scored.update({"0.weight": keep})["0.weight"])
    score = float(scored.scores["0.weight"][2, 7])
    assert single == pytest.approx(score / 2 * 100, rel=1e-4)


def test_factor_is_of_the_inverse():
    rows = correlated(30, 6)
    hessian = (rows.T @ rows)[None].repeat(2, 1, 1)
    hessian[1] = 0  # a group whose inputs are all zero
    damped = hessian[0] + 0.1 * hessian[0].diagonal().mean() * torch.eye(6)
    factor = inverse_factor(hessian.clone(), 0.1, "w")
    torch.testing.assert_close(factor[0].T @ factor[0], torch.linalg.inv(damped))
    torch.testing.assert_close(factor, factor.triu())
    assert factor[1].isfinite().all()


def test_layers_in_turns_give_the_same(monkeypatch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.Linear(4, 3))
    view = View(model, batches=labelled(torch.randn(20, 6)), prunable=ALL)
    masks = {name: torch.rand(weight.shape) > 0.5 for name, weight in view.weights.items()}
    whole = sparsegpt(view)
    expected = whole.update(masks)
    monkeypatch.setattr(module, "MEMORY", 250)
    assert len(module._turns(view)) == 2
    parts = sparsegpt(view)
    found = parts.update(masks)
    for name in masks:
        torch.testing.assert_close(parts.scores[name], whole.scores[name])
        torch.testing.assert_close(found[name], expected[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "choice", [{"allocation": "uniform"}, {"allocation": "per-row"},
               {"pattern": {"name": "n-m", "leave_dense": True}}]
)  # fmt: skip
def test_as_a_method_it_beats_its_own_mask_without_compensation(dtype, choice):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(),
                          nn.Linear(32, 2))  # fmt: skip
    model, inputs = model.to(dtype), correlated(64, 3, 6, 6).to(dtype)
    dense = deepcopy(model)
    masks = prune(model, {"criterion": "sparsegpt", **choice}, 0.5, batches=labelled(inputs))
    bare = deepcopy(dense)
    with torch.no_grad():
        for name, mask in masks.items():
            assert not dict(model.named_parameters())[name][~mask].any()
            dict(bare.named_parameters())[name].mul_(mask)
        wanted = dense[:3](inputs)
        compensated, plain = ((net[:3](inputs) - wanted).float().norm() for net in (model, bare))
    assert compensated < 0.9 * plain


def test_refuses_what_it_cannot_do():
    tokens = nn.Sequential(nn.Embedding(4, 3), nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(Refused, match="embedding"):
        sparsegpt(View(tokens, batches=labelled(torch.ones(2, 2, dtype=torch.int64))))


# -------------------------------------------------------- the sweep, against the paper's algorithm


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


@pytest.mark.parametrize("choice", CHOICES)
def test_the_dense_network_is_scored_where_layers_are_ranked_alone(choice, monkeypatch):
    scored = []
    monkeypatch.setattr(module, "_dense_scores", lambda *given: scored.append(given) or dense)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 6)).double()
    dense = {"0.weight": model[0].weight.detach() ** 2}
    method = {"criterion": "sparsegpt", **CHOICES[choice][0]}
    prune(model, method, 0.5, batches=labelled(correlated(70, 32)), prunable={"head": True})
    assert bool(scored) is (choice in ("global", "lamp"))


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
