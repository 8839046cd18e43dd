"""A network without its removed units trains as the masked one does, step by step."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import prunebench
from prunebench.compression.shrunk_training import SmallerNetwork, smaller_network
from prunebench.errors import Refused
from prunebench.pruning.masks import Masks, apply
from tests.compression.nets import build, images, parameters

FILTERS = {"criterion": "l2-norm", "pattern": "filter"}
BLOCKS = {"criterion": "block-similarity", "pattern": "block"}
HYBRID = {"criterion": "magnitude", "first": {**FILTERS, "share": 0.5}}
COLUMNS = {"criterion": "magnitude", "pattern": "column"}
TARGETS = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
NETWORKS: dict[str, dict[str, object]] = {
    "test_resnet": {},
    "resnet20": {},
    "vgg16-cifar": {"widths": [8, 16, 16, 32, 32]},
    "mobilenetv3_small_050": {"drop_rate": 0.0},
    "test_efficientnet": {},
    "test_convnext": {},
    "test_vit": {"img_size": 32},
    "seed-cnn": {},
}
LARGE = {"resnet20", "mobilenetv3_small_050"}


class Grouped(nn.Module):
    """A convolution of four groups between two others."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()]
        layers += [nn.Conv2d(8, 12, 3, groups=4, bias=False), nn.BatchNorm2d(12), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Conv2d(12, 6, 3), nn.ReLU())
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


class Spoken(nn.Module):
    """Words in [0, 9) looked up, read by a recurrent layer, classified."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(9, 8)
        self.course = nn.LSTM(8, 6, batch_first=True)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.course(self.words(x))[0][:, -1])


def sgd(values: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(values, lr=0.02, momentum=0.9, nesterov=True, weight_decay=0.01)


def adamw(values: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(values, lr=0.002, weight_decay=0.05)


def steps(
    model: nn.Module, masks: Masks, inputs: Tensor,
    optimizer_of: Callable[[list[nn.Parameter]], torch.optim.Optimizer], count: int = 5,
) -> dict[str, Tensor]:  # fmt: skip
    """Train as one writes it down: masked before and after each step, gradients clipped."""
    named = dict(model.named_parameters())
    optimizer = optimizer_of(list(named.values()))
    model.train()
    norms = 0.0
    for number in range(count):
        optimizer.zero_grad()
        targets = TARGETS.roll(number)[: len(inputs)]
        functional.cross_entropy(model(inputs), targets).backward()
        for name, mask in masks.items():
            if named[name].grad is not None:
                named[name].grad *= mask
        norms += float(nn.utils.clip_grad_norm_(named.values(), 0.5))
        optimizer.step()
        with torch.no_grad():
            for name, mask in masks.items():
                named[name] *= mask
    return {**model.state_dict(), "norms": torch.tensor(norms, dtype=torch.float64)}


def smaller(model: nn.Module, masks: Masks, inputs: Tensor) -> SmallerNetwork:
    targets = TARGETS[: len(inputs)]
    return smaller_network(model, masks, inputs, targets, functional.cross_entropy)


def check(
    model: nn.Module, method: dict[str, object], sparsity: float, inputs: Tensor,
    optimizer_of: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
) -> SmallerNetwork:  # fmt: skip
    """The whole state after five steps of the smaller network is that of the masked one."""
    batches = [(inputs, TARGETS[: len(inputs)])]
    masks = prunebench.prune(model, method, sparsity, batches=batches)
    model = model.double()
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    apply(model, masks)
    found = smaller(model, masks, inputs)
    assert parameters(found.model) < parameters(model)
    masked = steps(deepcopy(model), masks, inputs, optimizer_of)
    small = steps(found.model, found.masks, inputs, optimizer_of)
    torch.testing.assert_close(small.pop("norms"), masked.pop("norms"), rtol=1e-9, atol=0)
    moved = max(float((masked[n] - v).abs().max()) for n, v in model.state_dict().items())
    assert moved > 1e-3
    gone = {name.rpartition(".")[0] for name, mask in masks.items() if not mask.any()}
    whole = found.whole(small)
    assert whole.keys() == masked.keys()
    for name, value in masked.items():
        if name.rpartition(".")[0] not in gone:  # a removed block keeps its statistics
            torch.testing.assert_close(whole[name], value, rtol=1e-6, atol=1e-9, msg=name)
    return found


def check_filters(
    model: nn.Module, optimizer_of: Callable[[list[nn.Parameter]], torch.optim.Optimizer] = sgd
) -> SmallerNetwork:
    found = check(model, FILTERS, 0.5, images(8), optimizer_of)
    assert not found.masks  # nothing of what is left is masked
    return found


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - LARGE))
def test_without_filters(name: str) -> None:
    check_filters(build(name, **NETWORKS[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LARGE))
def test_without_filters_of_larger_networks(name: str) -> None:
    check_filters(build(name, **NETWORKS[name]))


@pytest.mark.parametrize("name", ["seed-cnn", "test_vit"])
def test_adam_goes_the_same_way(name: str) -> None:
    check_filters(build(name, **NETWORKS[name]), adamw)


def test_without_whole_groups_of_a_convolution() -> None:
    torch.manual_seed(0)
    found = check_filters(Grouped())
    convolution = found.model.get_submodule("features.3")
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.groups < 4
    assert convolution.weight.shape[1] == 2


def outcome(model: nn.Module, masks: Masks) -> str:
    """Why there is no smaller network."""
    apply(model, masks)
    with pytest.raises(Refused) as refusal:
        smaller(model, masks, images(8))
    return str(refusal.value)


def filter_masks(model: nn.Module) -> Masks:
    return prunebench.prune(model, FILTERS, 0.5, batches=[(images(8), TARGETS)])


def test_dropout_draws_for_each_unit() -> None:
    model: Any = build("seed-cnn")
    masks = filter_masks(model)
    model.hidden.append(nn.Dropout(0.2))
    assert outcome(model, masks) == "in training it differs from the masked network"
    model.hidden[-1].p = 0.0
    smaller(model, masks, images(8))


def test_single_weights_leave_no_smaller_network() -> None:
    model = build("seed-cnn")
    assert outcome(model, prunebench.prune(model, "magnitude", 0.5)) == "no whole unit is gone"


def test_a_unit_that_somebody_still_reads_is_not_cut() -> None:
    model = build("seed-cnn")
    masks = {"features.0.weight": torch.ones(32, 3, 3, 3, dtype=torch.bool)}
    masks["features.0.weight"][:4] = False  # the bias and the next layer keep the channel
    assert outcome(model, masks)


def test_a_filter_whose_norm_stays_is_not_cut() -> None:
    model = build("test_resnet")
    masks = filter_masks(model)
    norms = [name for name in masks if masks[name].ndim == 1 and not masks[name].all()]
    assert norms
    assert outcome(model, {name: m for name, m in masks.items() if name not in norms})


@pytest.mark.parametrize("name", ["resnet20", "test_vit"])
def test_without_blocks(name: str) -> None:
    model = build(name, **NETWORKS[name])
    before = len(list(model.modules()))
    found = check(model, BLOCKS, 0.3, images(8), sgd)
    assert len(list(found.model.modules())) < before


def test_without_columns_of_embeddings() -> None:
    torch.manual_seed(0)
    words = torch.randint(9, (8, 5), generator=torch.Generator().manual_seed(1))
    found = check(Spoken(), COLUMNS, 0.1, words, sgd)
    assert found.model.get_submodule("words").embedding_dim < 8


def test_without_hidden_units() -> None:
    torch.manual_seed(0)
    words = torch.randint(9, (8, 5), generator=torch.Generator().manual_seed(1))
    found = check(Spoken(), FILTERS, 0.3, words, adamw)
    assert found.model.get_submodule("course").hidden_size < 6


def test_entries_of_an_embedding_stay_where_they_are() -> None:
    """The entry of padding is zero, and goes first of all single weights."""
    torch.manual_seed(0)
    model = Spoken()
    with torch.no_grad():
        model.words.weight[0] = 0.0
    words = torch.randint(9, (8, 5), generator=torch.Generator().manual_seed(1))
    words[:, 3:] = 0
    found = check(model, HYBRID, 0.5, words, sgd)
    small = found.model.get_submodule("words")
    assert isinstance(small, nn.Embedding)
    assert small.num_embeddings == 9
    assert not small.weight[0].any()
    assert found.model.get_submodule("course").hidden_size < 6


def test_filters_then_weights_are_masked_in_what_is_left() -> None:
    found = check(build("test_resnet"), HYBRID, 0.6, images(8), sgd)
    assert found.masks
    assert not any(mask.all() for mask in found.masks.values())
