"""Every criterion on networks in half precision: finite scores and an exact mask, or a reason."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from prunebench.errors import Refused
from prunebench.experiment import config
from prunebench.experiment.part_kinds import Criterion
from prunebench.experiment.registry import builtin
from prunebench.pruning import compose, contract
from prunebench.pruning.view import View

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
# scores while the network trains; counts tokens, which have no precision
LEFT_OUT = {"movement", "popularity"}
NETWORKS = (
    "test_resnet",
    "test_vit",
)  # the first has one block that can go, too few to choose from


@pytest.fixture(scope="module")
def networks() -> dict[str, contract.ModelAndBatches]:
    return {name: contract.network(name) for name in NETWORKS}


def halved(made: contract.ModelAndBatches, dtype: torch.dtype) -> contract.ModelAndBatches:
    model, batches = made
    return deepcopy(model).to(dtype), [(inputs.to(dtype), labels) for inputs, labels in batches]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(set(builtin(Criterion)) - LEFT_OUT))
def test_a_criterion_in_half_precision(name, dtype, networks):
    method = config.method({"name": "tried", "criterion": name})
    blocks = method.pattern.name == "block"
    model, batches = halved(networks[NETWORKS[blocks]], DTYPES[dtype])
    view = View(model, batches=batches)
    scored = compose.score(method, view)
    assert scored.scores
    assert all(score.isfinite().all() for score in scored.scores.values())
    masks = compose.masks_at(method, view, scored.scores, 0.5)
    removed = sum(int((~masks[layer]).sum()) for layer in view.layers)
    total = sum(weight.numel() for weight in view.weights.values())
    if method.pattern.name == "weight":
        assert removed == round(0.5 * total)
    else:  # whole units: as near as they allow
        assert removed == pytest.approx(0.5 * total, rel=0.15)
    compose.prune(model, scored, masks)
    for key, value in model.named_parameters():
        assert value.dtype == DTYPES[dtype]
        assert value.isfinite().all()
        assert not value[~masks.get(key, torch.ones_like(value, dtype=torch.bool))].any()
    with torch.no_grad():
        assert model(batches[0][0]).isfinite().all()


def test_movement_says_why_not(networks):
    model, batches = halved(networks[NETWORKS[0]], torch.bfloat16)
    with pytest.raises(Refused, match="while the network trains"):
        compose.score(config.method("movement"), View(model, batches=batches))
