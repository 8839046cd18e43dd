"""Sizes and multiply-accumulates against counts by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from prunebench.evaluation.size import size
from prunebench.experiment.settings import Model
from prunebench.pruning.layers import prunable_layers
from prunebench.pruning.macs import macs
from prunebench.storage.records import SIZE
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models

images = NetworkFacts.of_images


@pytest.mark.parametrize(
    ("layer", "shape", "by_hand"),
    [
        (nn.Linear(5, 7), (1, 5), 5 * 7),
        (nn.Linear(5, 7), (1, 4, 5), 4 * 5 * 7),
        (nn.Conv2d(3, 8, 3), (1, 3, 10, 12), 8 * 10 * 8 * 3 * 9),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (1, 3, 10, 12), 5 * 6 * 8 * 3 * 9),
        (nn.Conv2d(6, 8, 3, groups=2), (1, 6, 5, 5), 9 * 8 * 3 * 9),
        (nn.Conv2d(6, 6, 5, padding=2, groups=6), (1, 6, 7, 7), 49 * 6 * 25),
        (nn.Conv2d(6, 12, 3, groups=6), (1, 6, 5, 5), 9 * 12 * 9),
        (nn.Conv1d(4, 6, 3), (1, 4, 10), 8 * 6 * 4 * 3),
        (nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4), 27 * 3 * 2 * 8),
        (nn.Conv2d(3, 8, 3, dilation=2), (1, 3, 9, 9), 25 * 8 * 27),
    ],
)
def test_dense_and_kept_by_hand(layer: nn.Module, shape: tuple[int, ...], by_hand: int) -> None:
    model, image = nn.Sequential(layer), torch.zeros(shape)
    assert macs(model, image, {}) == (by_hand, by_hand)
    mask = torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(0)) < 0.4
    uses = by_hand // layer.weight.numel() * layer.weight.numel()
    assert uses == by_hand  # every weight is used equally often
    kept = by_hand * int(mask.sum()) // mask.numel()
    assert macs(model, image, {"0.weight": mask}) == (by_hand, kept)
    assert macs(model, image, {"0.weight": torch.zeros_like(mask)}) == (by_hand, 0)


def naive_convolution(weight: Tensor, mask: Tensor, positions: int) -> int:
    """One multiplication at every position for every weight that is kept."""
    count = 0
    for kept in mask.flatten().tolist():
        count += positions * bool(kept)
    assert weight.shape == mask.shape
    return count


def test_kept_by_a_naive_count() -> None:
    model = models.create(Model(name="seed-cnn"), images(10, 1, 16), seed=0)
    draw = torch.Generator().manual_seed(1)
    masks = {
        name: torch.rand(layer.weight.shape, generator=draw) < 0.3
        for name, layer in prunable_layers(model).items()
    }
    positions = {
        "features.0.weight": 256, "features.3.weight": 64, "hidden.0.weight": 1,
        "hidden.2.weight": 1,
    }  # fmt: skip
    dense, kept = macs(model, torch.zeros(1, 1, 16, 16), masks)
    weights = dict(model.named_parameters())
    head = 84 * 10
    assert dense == head + sum(weights[n].numel() * positions[n] for n in masks)
    assert kept == head + sum(naive_convolution(weights[n], masks[n], positions[n]) for n in masks)


def test_a_transformer_by_hand() -> None:
    """Attention's products of queries, keys and values have no weights, and count."""
    model = models.create(Model(name="test_vit"), images(10, 3, 64), seed=0)
    image, tokens, width = torch.zeros(1, 3, 64, 64), 16 + 1, 64
    block = tokens * width * 3 * width + tokens * width * width  # qkv, proj
    block += 2 * tokens * tokens * width  # queries by keys, shares by values
    block += 2 * tokens * width * 3 * width  # the hidden layer is three times as wide
    by_hand = 16 * width * 3 * 16 * 16 + 6 * block + width * 10
    dense, kept = macs(model, image, {})
    assert dense == kept == by_hand


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "resnet20", "test_convnext"])
def test_dense_is_torchs_count(name: str) -> None:
    model = models.create(Model(name=name), images(10, 3, 32), seed=0).train()
    image = torch.zeros(1, 3, 32, 32)
    dense, kept = macs(model, image, {})
    assert model.training
    model.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image)
    assert dense == kept == counter.get_total_flops() // 2
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    model(image)
    assert dense == total


def test_resnet20_has_the_known_cost() -> None:
    model = models.create(Model(name="resnet20"), images(10, 3, 32), seed=0)
    dense, _ = macs(model, torch.zeros(1, 3, 32, 32), {})
    # 40.55 M is the literature's count with free shortcuts; ours are two 1x1 convolutions
    assert dense - (16**2 * 16 * 32 + 8**2 * 32 * 64) == pytest.approx(40.55e6, rel=1e-3)


RECURRENT = [
    # module, weights of all layers and directions by hand, steps of 5 in a batch of 1
    (nn.GRU(3, 4, batch_first=True), 3 * 4 * (3 + 4)),
    (nn.LSTM(3, 4, batch_first=True), 4 * 4 * (3 + 4)),
    (nn.RNN(3, 4, batch_first=True), 4 * (3 + 4)),
    (nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True), 2 * 16 * (3 + 4) + 2 * 16 * (8 + 4)),
    (nn.LSTM(3, 4, batch_first=True, proj_size=2), 16 * (3 + 2) + 2 * 4),
]


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # slow on CPUs, says torch
@pytest.mark.parametrize(("layer", "weights"), RECURRENT)
def test_recurrent_layers_by_hand(layer: nn.RNNBase, weights: int) -> None:
    model, inputs = nn.Sequential(layer), torch.randn(1, 5, 3)
    assert macs(model, inputs, {}) == (5 * weights, 5 * weights)
    mask = torch.ones_like(layer.weight_hh_l0, dtype=torch.bool)
    mask[1, :] = False
    gone = 5 * mask.shape[1]
    assert macs(model, inputs, {"0.weight_hh_l0": mask}) == (5 * weights, 5 * weights - gone)


def test_only_the_steps_of_a_packed_sequence_count() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(3, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            lengths = torch.tensor([2])
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            return self.rnn(packed)[1][0]

    assert macs(Packed(), torch.randn(1, 5, 3), {}) == (2 * 12 * 7, 2 * 12 * 7)


def test_a_cell_by_hand() -> None:
    class Stepped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            state = x.new_zeros(len(x), 4)
            for step in x.unbind(1):
                state = self.cell(step, state)
            return state

    mask = torch.zeros(12, 3, dtype=torch.bool)
    found = macs(Stepped(), torch.randn(1, 5, 3), {"cell.weight_ih": mask})
    assert found == (5 * 12 * 7, 5 * 12 * 4)


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose1d(4, 6, 3),
        nn.ConvTranspose1d(4, 6, 3, groups=2),
        nn.ConvTranspose1d(4, 6, 3, stride=2),
    ],
)
def test_a_transposed_convolution_by_hand(layer: nn.ConvTranspose1d) -> None:
    """Every input position is multiplied by every weight that reads it."""
    inputs, mask = torch.zeros(1, 4, 7), torch.ones_like(layer.weight, dtype=torch.bool)
    mask[0, 0] = False
    by_hand = 7 * layer.weight.numel()
    assert macs(nn.Sequential(layer), inputs, {"0.weight": mask}) == (by_hand, by_hand - 7 * 3)


@pytest.mark.parametrize("weights", [True, False])
def test_attention_by_hand(weights: bool) -> None:
    """4 queries attend to 6 keys, 8 wide; of the masks one row of queries, keys and values goes."""

    class Attend(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x[:, :4], x, value=x, need_weights=weights)[0]

    projections = 4 * 8 * 8 + 2 * 6 * 8 * 8 + 4 * 8 * 8  # of queries, keys and values, outputs
    by_hand = projections + 2 * 4 * 6 * 8
    mask = torch.ones(24, 8, dtype=torch.bool)
    mask[[0, 8, 16]] = False
    out = torch.ones(8, 8, dtype=torch.bool)
    out[:, 0] = False
    found = macs(
        Attend(), torch.randn(1, 6, 8),
        {"attention.in_proj_weight": mask, "attention.out_proj.weight": out},
    )  # fmt: skip
    assert found == (by_hand, by_hand - 8 * (4 + 6 + 6) - 8 * 4)


def test_an_embedding_takes_none() -> None:
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 3))
    mask = torch.zeros(10, 4, dtype=torch.bool)
    assert macs(model, torch.tensor([[1, 2]]), {"0.weight": mask}) == (2 * 12, 2 * 12)


def test_columns() -> None:
    model = nn.Sequential(nn.Linear(10, 20), nn.BatchNorm1d(20), nn.Linear(20, 4))
    mask = torch.zeros(20, 10, dtype=torch.bool)
    mask.view(-1)[:10] = True
    found = size(model, torch.zeros(1, 10), {"0.weight": mask}, ["0.weight"])
    total = 200 + 20 + 40 + 80 + 4
    assert found == {
        "sparsity_achieved": 0.95,
        "prunable_share": 200 / total,
        "params_total": total,
        "params_kept": total - 190,
        "compression_ratio": total / (total - 190),
        "macs_dense": 280,
        "macs_kept": 90,
        "theoretical_speedup": 280 / 90,
        "bytes_dense": 4 * total,
        "bytes_kept": 4 * (total - 200) + (10 * 4 + 200 // 8),  # ten values and a bitmap
    }
    assert set(found) <= set(SIZE)


def test_bytes_never_exceed_dense_storage() -> None:
    model = nn.Sequential(nn.Linear(9, 9, bias=False))
    almost = torch.ones(9, 9, dtype=torch.bool)
    almost[0, 0] = False
    found = size(model, torch.zeros(1, 9), {"0.weight": almost}, ["0.weight"])
    assert found["bytes_kept"] == found["bytes_dense"] == 324  # 80 · 4 + 11 would be more
    half = size(model.half(), torch.zeros(1, 9).half(), {}, ["0.weight"])
    assert half["bytes_dense"] == half["bytes_kept"] == 162


def test_nothing_left_and_coupled_masks() -> None:
    model = nn.Sequential(nn.Linear(9, 9, bias=False))
    none = torch.zeros(9, 9, dtype=torch.bool)
    found = size(model, torch.zeros(1, 9), {"0.weight": none}, ["0.weight"])
    assert found["sparsity_achieved"] == 1
    assert found["theoretical_speedup"] is None
    assert found["compression_ratio"] is None
    # masks of what is not prunable count as parameters, not in the sparsity
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    masks = {"0.bias": torch.tensor([True, False, True, True])}
    found = size(model, torch.zeros(1, 4), masks, ["0.weight"])
    assert (found["sparsity_achieved"], found["params_kept"]) == (0, 29)


def test_a_layer_used_twice_costs_twice() -> None:
    layer = nn.Linear(6, 6, bias=False)
    mask = torch.zeros(6, 6, dtype=torch.bool)
    mask[0] = True
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert macs(model, torch.zeros(1, 6), {"0.weight": mask}) == (72, 12)
    found = size(model, torch.zeros(1, 6), {"0.weight": mask}, ["0.weight"])
    assert (found["params_total"], found["params_kept"]) == (36, 6)


def test_embeddings_cost_nothing() -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2))
    masks = {"0.weight": torch.zeros(9, 4, dtype=torch.bool)}
    assert macs(model, torch.zeros(1, 5, dtype=torch.long), masks) == (40, 40)
