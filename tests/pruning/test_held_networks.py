"""Networks as users hold them: in wrappers, and pruned by torch.nn.utils.prune."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

import prunebench
from prunebench.errors import PrunebenchError
from prunebench.pruning.held_networks import copied, made_permanent, unwrapped

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def cnn() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip


def pruned_by_torch() -> nn.Sequential:
    model = cnn()
    torch_prune.l1_unstructured(model[0], "weight", 0.25)
    torch_prune.ln_structured(model[2], "weight", 0.5, n=1, dim=0)
    torch_prune.random_unstructured(model[2], "bias", 2)
    model(IMAGES)  # its weights are now computed tensors, which a plain copy refuses
    return model


def test_what_torch_pruned_becomes_plain_zeros() -> None:
    model = pruned_by_torch()
    before, parameter = model(IMAGES).detach(), model[0].weight_orig
    masks = made_permanent(model)
    assert sorted(masks) == ["0.weight", "2.bias", "2.weight"]
    assert sorted(dict(model.named_parameters())) == sorted(dict(cnn().named_parameters()))
    assert model[0].weight is parameter
    torch.testing.assert_close(model(IMAGES), before, rtol=0, atol=0)
    for name, mask in masks.items():
        assert not model.get_parameter(name)[~mask].any()
    assert made_permanent(model) == {}


def test_a_copy_leaves_what_torch_pruned_as_it_is() -> None:
    model = pruned_by_torch()
    with pytest.raises(RuntimeError, match="deepcopy"):
        deepcopy(model)
    copy = copied(model)
    made_permanent(copy)
    assert torch_prune.is_pruned(model)
    torch.testing.assert_close(copy(IMAGES), model(IMAGES), rtol=0, atol=0)


def test_a_copy_has_hooks_of_its_own() -> None:
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, layer)  # one module in two places stays one
    copy = copied(model)
    assert copy[0] is copy[1]
    called: list[str] = []
    model[0].register_forward_hook(lambda *_: called.append("original"))
    copy(torch.ones(1, 2))
    assert called == []
    copy[0].register_forward_pre_hook(lambda *_: called.append("copy"))
    model(torch.ones(1, 2))
    assert called == ["original", "original"]


class Remembering(nn.Module):
    """Keeps what it computed for inference in a dictionary until it is set to train."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.head = nn.Parameter(torch.ones(3)), nn.Linear(3, 2)
        self.kept: dict[str, torch.Tensor] = {}

    def train(self, mode: bool = True) -> nn.Module:
        if mode:
            self.kept = {}
        return super().train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if "twice" not in self.kept:
            self.kept["twice"] = 2 * self.scale
        return self.head(x * self.kept["twice"])


def test_a_copy_forgets_what_was_computed_for_inference() -> None:
    model = Remembering().eval()
    model.head.train()
    before = model(torch.ones(1, 3)).detach()
    with pytest.raises(RuntimeError, match="deepcopy"):
        deepcopy(model)
    copy = copied(model)
    assert [copy.training, copy.head.training] == [False, True]
    torch.testing.assert_close(copy(torch.ones(1, 3)), before, rtol=0, atol=0)
    copy = copied(model)
    with torch.no_grad():
        copy.scale.zero_()
    torch.testing.assert_close(copy(torch.ones(1, 3))[0], copy.head.bias, rtol=0, atol=0)
    assert model.kept
    assert not torch.equal(model.scale, copy.scale)


def test_pruning_goes_on_from_what_torch_pruned() -> None:
    earlier = made_permanent(pruned_by_torch())
    model = pruned_by_torch()
    masks = prunebench.prune(model, "random", 0.6)
    for name, mask in earlier.items():
        assert not (masks[name] & ~mask).any()  # nothing comes back
    names = ["0.weight", "2.weight"]
    total = sum(masks[name].numel() for name in names)
    assert sum(int((~masks[name]).sum()) for name in names) == round(0.6 * total)
    for name, mask in masks.items():
        assert not model.get_parameter(name)[~mask].any()


def test_less_than_torch_pruned_is_refused() -> None:
    with pytest.raises(PrunebenchError, match=r"removed 0\.4167 of the prunable weights already"):
        prunebench.prune(pruned_by_torch(), "magnitude", 0.3)


def test_filters_that_torch_pruned_are_shrunk_away() -> None:
    model = pruned_by_torch()
    found = prunebench.shrink(model, {}, IMAGES)
    assert [(item.name, item.before, item.after) for item in found.removed] == [("2", 6, 3)]
    torch.testing.assert_close(found.model(IMAGES), model.eval()(IMAGES))
    assert torch_prune.is_pruned(model)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_network_in_a_wrapper_is_pruned(depth: int) -> None:
    plain = cnn()
    expected = prunebench.prune(plain, "l1-filter", 0.5, example=IMAGES)
    model: nn.Module = cnn()
    for _ in range(depth):
        model = nn.DataParallel(model)
    prefix = "module." * depth
    assert unwrapped(model)[1] == prefix
    masks = prunebench.prune(model, "l1-filter", 0.5, example=IMAGES)
    assert set(masks) <= set(dict(model.named_parameters()))
    there = {name: mask.cpu() for name, mask in masks.items()}  # DataParallel moves to GPUs
    torch.testing.assert_close(there, {f"{prefix}{n}": m for n, m in expected.items()})
    found = prunebench.shrink(model, masks, IMAGES)
    assert found.removed == prunebench.shrink(plain, expected, IMAGES).removed != ()
    assert prunebench.shrink(model, expected, IMAGES).removed == found.removed
    for pattern in ("0", f"{prefix}0.weight"):
        masks = prunebench.prune(model, "magnitude", 0.5, prunable={"exclude": [pattern]})
        assert list(masks) == [f"{prefix}2.weight"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_copied_recurrent_layer_lies_in_one_piece_of_a_gpus_memory() -> None:
    layer = nn.LSTM(4, 8, batch_first=True).cuda()
    given = torch.randn(2, 3, 4, device="cuda")
    with pytest.warns(UserWarning, match="single contiguous chunk"):
        deepcopy(layer)(given)  # what is guarded against
    there = copied(layer)
    starts = {weight.untyped_storage().data_ptr() for weight in there.parameters()}
    assert len(starts) == 1
    torch.testing.assert_close(there(given)[0], layer(given)[0])
