"""WoodFisher against an explicitly inverted small Fisher."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.errors import Refused
from prunebench.experiment.settings import Prunable
from prunebench.pruning.api import prune
from prunebench.pruning.criteria import woodfisher as module
from prunebench.pruning.criteria.woodfisher import woodfisher
from prunebench.pruning.view import View

ALL = Prunable(head=True)
BLOCK = 5


def tiny(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)
    ).to(dtype)


def data(dtype: torch.dtype = torch.float64) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randn(12, 1, 3, 3, generator=draw, dtype=torch.float64).to(dtype)
    labels = torch.randint(0, 3, (12,), generator=draw)
    return [(inputs[:7], labels[:7]), (inputs[7:], labels[7:])]


def explicit_fisher(model: nn.Module, name: str, damping: float) -> Tensor:
    """The whole damped Fisher of a weight, all but its blocks set to zero."""
    weight, rows = dict(model.named_parameters())[name], []
    model.eval()
    for inputs, labels in data():
        for image, label in zip(inputs, labels, strict=True):
            loss = functional.cross_entropy(model(image[None]), label[None])
            rows.append(torch.autograd.grad(loss, weight)[0].flatten())
    gradients = torch.stack(rows)
    fisher = gradients.T @ gradients / len(rows)
    block = torch.arange(weight.numel()) // BLOCK
    fisher = fisher * (block[:, None] == block)
    return fisher + damping * torch.eye(weight.numel())


@pytest.mark.parametrize("name", ["0.weight", "4.weight"])  # 8 and 24 weights: a last short block
def test_scores_and_compensation_by_explicit_inversion(name):
    model, damping = tiny(), 1e-3
    view = View(model, batches=data(), prunable=ALL)
    weight = view.weights[name].flatten()
    fisher = explicit_fisher(model, name, damping)
    inverse = torch.linalg.inv(fisher)
    keep = torch.rand(weight.shape, generator=torch.Generator().manual_seed(4)) > 0.5
    masks = {n: torch.ones(w.shape, dtype=torch.bool) for n, w in view.weights.items()}
    masks[name] = keep.view(view.weights[name].shape)

    scored = woodfisher(view, block=BLOCK, damping=damping)
    expected = weight**2 / (2 * inverse.diagonal())
    torch.testing.assert_close(scored.scores[name].flatten(), expected)

    # all at once: the change that minimizes ½·δᵀFδ with the removed weights at zero
    kept, gone = keep.nonzero().flatten(), (~keep).nonzero().flatten()
    multipliers = torch.linalg.solve(inverse[gone][:, gone], weight[gone])
    joint = weight - inverse[:, gone] @ multipliers
    found = scored.update(masks)[name].flatten()
    torch.testing.assert_close(found, joint)
    assert not found[gone].any()

    # each alone
    alone = weight - inverse[:, gone] @ (weight[gone] / inverse.diagonal()[gone])
    scored = woodfisher(view, block=BLOCK, damping=damping, joint=False)
    found = scored.update(masks)[name].flatten()
    torch.testing.assert_close(found[kept], alone[kept])
    assert not found[gone].any()


def test_single_removal_is_obs_and_its_score_its_loss():
    model, damping = tiny(), 1e-3
    view = View(model, batches=data(), prunable=ALL)
    fisher = explicit_fisher(model, "4.weight", damping)
    masks = {n: torch.ones(w.shape, dtype=torch.bool) for n, w in view.weights.items()}
    masks["4.weight"][1, 3] = False
    updates = []
    for joint in (True, False):
        scored = woodfisher(view, block=BLOCK, damping=damping, joint=joint)
        updates.append(scored.update(masks)["4.weight"])
    torch.testing.assert_close(updates[0], updates[1])
    change = (updates[0] - view.weights["4.weight"]).flatten()
    loss = 0.5 * change @ fisher @ change
    assert float(loss) == pytest.approx(float(scored.scores["4.weight"][1, 3]))


def test_nothing_removed_changes_nothing():
    view = View(tiny(), batches=data(), prunable=ALL)
    masks = {n: torch.ones(w.shape, dtype=torch.bool) for n, w in view.weights.items()}
    for name, value in woodfisher(view).update(masks).items():
        torch.testing.assert_close(value, view.weights[name])


def test_spans_in_turns_give_the_same(monkeypatch):
    view = View(tiny(), batches=data(), prunable=ALL)
    whole = woodfisher(view, block=BLOCK)
    masks = {n: torch.rand(w.shape) > 0.5 for n, w in view.weights.items()}
    expected = whole.update(masks)
    monkeypatch.setattr(module, "MEMORY", 3 * 4 * BLOCK * (BLOCK + 32))
    turns = module._turns(view, BLOCK)
    assert [sum(span.last - span.first for span in turn) for turn in turns] == [3, 3, 1]
    parts = woodfisher(view, block=BLOCK)
    found = parts.update(masks)
    for name in masks:
        torch.testing.assert_close(parts.scores[name], whole.scores[name])
        torch.testing.assert_close(found[name], expected[name])


def test_what_earlier_rounds_removed_stays_and_takes_no_part():
    model = tiny()
    within = torch.ones(3, 8, dtype=torch.bool)
    within[:, :4] = False
    with torch.no_grad():
        model[4].weight.mul_(within)
    view = View(model, batches=data(), prunable=ALL, within={"4.weight": within})
    masks = {n: torch.ones(w.shape, dtype=torch.bool) for n, w in view.weights.items()}
    masks["4.weight"] = within
    found = woodfisher(view, block=BLOCK).update(masks)["4.weight"]
    torch.testing.assert_close(found, model[4].weight.detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_as_a_method(dtype):
    model = tiny(dtype).train()
    before = deepcopy(model)
    batches = [(inputs, labels) for inputs, labels in data(dtype)]
    masks = prune(model, {"criterion": "woodfisher"}, 0.5, batches=batches,
                  prunable={"head": True})  # fmt: skip
    assert sum(int((~mask).sum()) for mask in masks.values()) == 16
    changed = []
    for name, mask in masks.items():
        value = dict(model.named_parameters())[name]
        assert value.dtype == dtype
        assert not value[~mask].any()
        changed.append(not torch.equal(value, dict(before.named_parameters())[name] * mask))
    assert any(changed)
    assert torch.equal(model[1].running_mean, before[1].running_mean)


def test_refuses_what_it_cannot_do():
    model = tiny()
    with torch.no_grad():
        model[4].bias.fill_(torch.nan)
    with pytest.raises(Refused, match="not finite"):
        woodfisher(View(model, batches=data()))
