"""Which parameters of which modules are prunable, and that their masks hold in training."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import prunebench
from prunebench.errors import Refused
from prunebench.experiment.settings import Prunable
from prunebench.pruning.layers import prunable_layers, sort_layers
from prunebench.training.loop import Enforcer


class Reading(nn.Module):
    """A recurrent layer over [B, L, 3], and a head that reads its last state."""

    def __init__(self, rnn: nn.RNNBase, width: int) -> None:
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


KINDS = {
    "lstm": (lambda: nn.LSTM(3, 4, batch_first=True), 4, ["weight_ih_l0", "weight_hh_l0"]),
    "gru of two layers": (
        lambda: nn.GRU(3, 4, 2, batch_first=True), 4,
        ["weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1"],
    ),
    "both directions": (
        lambda: nn.RNN(3, 4, batch_first=True, bidirectional=True), 8,
        ["weight_ih_l0", "weight_hh_l0", "weight_ih_l0_reverse", "weight_hh_l0_reverse"],
    ),
    "projected": (
        lambda: nn.LSTM(3, 4, batch_first=True, proj_size=2), 2,
        ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_of_a_recurrent_layer_is_prunable(kind: str) -> None:
    build, width, names = KINDS[kind]
    model = Reading(build(), width)
    layers = prunable_layers(model)
    assert list(layers) == [f"rnn.{name}" for name in names]
    for name, layer in layers.items():
        assert layer.weight is model.get_parameter(name)
    masks = prunebench.prune(model, "magnitude", 0.5)
    sizes = {name: model.get_parameter(name).numel() for name in layers}
    assert sum(int((~mask).sum()) for mask in masks.values()) == round(sum(sizes.values()) / 2)
    values = torch.cat([model.get_parameter(name).detach().abs().flatten() for name in layers])
    assert int((values == 0).sum()) == round(len(values) / 2)


def test_masks_hold_while_a_recurrent_layer_trains() -> None:
    model = Reading(nn.LSTM(3, 4, 2, batch_first=True), 4)
    masks = prunebench.prune(model, "magnitude", 0.5)
    optimizer = torch.optim.SGD(model.parameters(), 0.5, momentum=0.9, weight_decay=0.1)
    enforcer = Enforcer(model, masks)
    draw = torch.Generator().manual_seed(0)
    before = deepcopy(model.state_dict())
    for _ in range(3):
        x = torch.randn(6, 5, 3, generator=draw)
        optimizer.zero_grad()
        functional.cross_entropy(model(x), torch.arange(6) % 5).backward()
        enforcer.gradients()
        optimizer.step()
        enforcer.weights()
    for name, mask in masks.items():
        now = model.get_parameter(name)
        assert not now[~mask].any()
        assert not torch.equal(now, before[name])
    # what runs is what is masked: a network that is built of these values computes the same
    other = Reading(nn.LSTM(3, 4, 2, batch_first=True), 4)
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(x), other(x))


def test_layers_can_be_excluded_and_be_the_classifier_by_name() -> None:
    model = Reading(nn.GRU(3, 4, batch_first=True), 4)
    assert list(prunable_layers(model, Prunable(exclude=["*.weight_hh_*"]))) == ["rnn.weight_ih_l0"]
    layers = sort_layers(model, Prunable(classifier=["rnn"]))
    assert layers.classifier == ("rnn.weight_ih_l0", "rnn.weight_hh_l0")
    assert list(layers.prunable) == ["head.weight"]


def test_cells_attention_and_transposed_convolutions() -> None:
    model = nn.ModuleDict(
        {
            "cell": nn.GRUCell(3, 4),
            "joint": nn.MultiheadAttention(8, 2),
            "apart": nn.MultiheadAttention(8, 2, kdim=4, vdim=6),
            "up": nn.ConvTranspose2d(4, 6, 3),
            "head": nn.Linear(3, 2),
        }
    )
    layers = prunable_layers(model, Prunable(head=True, classifier=["head"]))
    assert {name: tuple(layer.weight.shape) for name, layer in layers.items()} == {
        "cell.weight_ih": (12, 3),
        "cell.weight_hh": (12, 4),
        "joint.in_proj_weight": (24, 8),
        "joint.out_proj.weight": (8, 8),
        "apart.q_proj_weight": (8, 8),
        "apart.k_proj_weight": (8, 4),
        "apart.v_proj_weight": (8, 6),
        "apart.out_proj.weight": (8, 8),
        "up.weight": (4, 6, 3, 3),
        "head.weight": (2, 3),
    }


def test_a_weight_that_is_computed_anew_is_refused_by_name() -> None:
    model = Reading(nn.LSTM(3, 4, batch_first=True), 4)
    nn.utils.parametrizations.weight_norm(model.rnn, "weight_hh_l0")
    with pytest.raises(Refused, match=r"'rnn\.weight_hh_l0' is computed .*LSTM.*exclude it"):
        prunable_layers(model)
    assert list(prunable_layers(model, Prunable(exclude=["rnn.weight_hh_l0"]))) == [
        "rnn.weight_ih_l0"
    ]


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # slow on CPUs, says torch
@pytest.mark.parametrize("method", ["wanda", "sparsegpt", "weight-activation"])
@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Reading(nn.LSTM(3, 4, batch_first=True, proj_size=2), 2), "rnn.weight_ih_l0"),
        (
            nn.Sequential(nn.ConvTranspose1d(3, 4, 1), nn.Flatten(), nn.Linear(12, 5)),
            "0.weight",
        ),
    ],
)
def test_criteria_of_inputs_refuse_other_layers_by_name(
    method: str, layer: nn.Module, name: str
) -> None:
    batches = [(torch.randn(4, 3, 3), torch.zeros(4, dtype=torch.long))]
    with pytest.raises(Refused, match=rf"'{name}'.*(LSTM projects|ConvTranspose1d spreads)"):
        prunebench.prune(layer, method, 0.5, batches=batches)


def test_recurrent_layers_are_differentiated_without_cudnn() -> None:
    used = []

    class Seen(Reading):
        def forward(self, x: Tensor) -> Tensor:
            used.append(torch.backends.cudnn.enabled)
            return super().forward(x)

        def get_classifier(self) -> nn.Module:
            return self.head

    model = Seen(nn.GRU(3, 4, batch_first=True), 4)
    batches = [(torch.randn(6, 4, 3), torch.arange(6) % 5)]
    before = torch.backends.cudnn.enabled
    for method in ("snip", "grasp"):
        prunebench.prune(deepcopy(model), method, 0.5, batches=batches)
    assert used
    assert not any(used)
    assert torch.backends.cudnn.enabled == before
