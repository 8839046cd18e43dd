"""Layers that few networks have: what is coupled to them goes with them, or stays by name."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import pytest
import torch
import torchvision
from torch import Tensor, nn

import prunebench
from prunebench.compression.shrink import TOLERANCE, shrink, verify
from prunebench.errors import PrunebenchError, Refused
from tests.compression.nets import exactly, images, liven
from tests.pruning.couplings import FILTERS, found


class Middle(nn.Module):
    """Two convolutions with something between them, a third, and a head."""

    def __init__(self, between: nn.Module, width: int = 8, after: int = 8) -> None:
        super().__init__()
        self.one, self.between = nn.Conv2d(3, width, 3, padding=1), between
        self.two, self.three = nn.Conv2d(after, 6, 3), nn.Conv2d(6, 10, 1)
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.between(self.one(x)).relu()).relu()
        return self.head(self.three(x).relu().mean((2, 3)))


class Joined(nn.Module):
    """A transposed convolution whose output is added to an earlier layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.middle = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 32, 3, 2, 1)
        self.up, self.last = nn.ConvTranspose2d(32, 16, 2, 2), nn.Conv2d(16, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down(x).relu()
        x = self.up(self.middle(first).relu()).relu() + first
        return self.head(self.last(x).relu().mean((2, 3)))


def pruned(model: nn.Module, sparsity: float, allocation: str = "global") -> dict[str, Tensor]:
    batches = [(images(4, size=16), torch.zeros(4, dtype=torch.long))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is not prunable
        method = FILTERS | {"allocation": allocation}
        return prunebench.prune(model, method, sparsity, batches=batches)


def kept(model: nn.Module, masks: dict[str, Tensor]) -> int:
    sizes = {name: value.numel() for name, value in model.named_parameters()}
    return sum(int(masks[n].sum()) if n in masks else size for n, size in sizes.items())


BETWEEN = {
    "grouped": lambda: nn.Conv2d(8, 8, 3, groups=4, bias=False),
    "grouped, wider": lambda: nn.Conv2d(8, 8, 3, groups=2),
    "two a channel, norm": lambda: nn.Sequential(
        nn.Conv2d(8, 16, 3, groups=8), nn.BatchNorm2d(16), nn.Conv2d(16, 8, 1)
    ),
    "grouped twice": lambda: nn.Sequential(
        nn.Conv2d(8, 12, 1, groups=4), nn.ReLU(), nn.Conv2d(12, 8, 1, groups=2)
    ),
    "transposed": lambda: nn.ConvTranspose2d(8, 8, 2, 2),
    "transposed, normed": lambda: nn.Sequential(
        nn.ConvTranspose2d(8, 12, 2, 2), nn.InstanceNorm2d(12, affine=True), nn.Conv2d(12, 8, 1)
    ),
    "a slope for each channel": lambda: nn.PReLU(8),
    "one slope": nn.PReLU,
    "instance norm": lambda: nn.InstanceNorm2d(8, affine=True),
    "bare instance norm": lambda: nn.InstanceNorm2d(8),
    "instance norm with statistics": lambda: nn.InstanceNorm2d(8, track_running_stats=True),
}


@pytest.mark.parametrize("between", BETWEEN)
def test_shrunk_networks_have_what_the_masks_keep(between: str) -> None:
    model = liven(Middle(BETWEEN[between]()))
    coupled = found(model)
    assert not coupled.whole
    touched = {item.parameter for group in coupled.groups for item in group.slices}
    assert touched >= {f"{name}.weight" for name in ("one", "two", "three", "head")}
    masks = pruned(model, 0.5, "uniform")
    assert bool((~masks["one.weight"]).any())
    shrunk = exactly(model, masks, images(4, size=16))
    assert sum(v.numel() for v in shrunk.model.parameters()) == kept(model, masks)
    assert not shrunk.notes


def test_a_grouped_convolution_loses_whole_groups() -> None:
    """Group 2 of 4 reads channels 4 and 5 and writes 6, 7 and 8."""
    model = liven(Middle(nn.Conv2d(8, 12, 3, groups=4), after=12))
    (group,) = [
        g for g in found(model).groups if "one.weight" in {f.parameter for f in g.filters()}
    ]
    assert group.size == 4
    units = {(item.parameter, item.dim): item.unit.tolist() for item in group.slices}
    assert units == {
        ("one.weight", 0): [0, 0, 1, 1, 2, 2, 3, 3],
        ("one.bias", 0): [0, 0, 1, 1, 2, 2, 3, 3],
        ("between.weight", 0): [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
        ("between.bias", 0): [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
        ("two.weight", 1): [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
    }
    masks = {
        name: torch.ones(value.shape, dtype=torch.bool) for name, value in model.named_parameters()
    }
    masks["one.weight"][4:6] = masks["one.bias"][4:6] = False
    masks["between.weight"][6:9] = masks["between.bias"][6:9] = False
    small = exactly(model, masks, images(4, size=16)).model
    assert (small.between.groups, small.between.in_channels, small.between.out_channels) == (
        3,
        6,
        9,
    )


def test_a_grouped_convolution_of_the_image_stays() -> None:
    model = Middle(nn.ReLU(), width=6, after=6)
    model.one = nn.Conv2d(3, 6, 3, groups=3, padding=1)
    coupled = found(liven(model))
    assert sorted(group.name for group in coupled.groups) == ["three.weight", "two.weight"]
    assert coupled.whole == {
        "one.weight": "not all channels of the grouped one.weight can be followed"
    }


def test_an_added_transposed_convolution_goes_with_what_it_is_added_to() -> None:
    model = liven(Joined())
    coupled = found(model)
    assert sorted(group.name for group in coupled.groups) == [
        "down.weight", "last.weight", "middle.weight",
    ]  # fmt: skip
    masks = pruned(model, 0.5)
    shrunk = exactly(model, masks, images(4, size=16))
    assert sum(v.numel() for v in shrunk.model.parameters()) == kept(model, masks)
    up = shrunk.model.up
    assert (up.in_channels, up.out_channels) == tuple(up.weight.shape[:2])
    assert up.out_channels == shrunk.model.down.out_channels < 16


UNKNOWN = {
    "shuffle": (lambda: nn.PixelShuffle(2), 2, "cannot be told apart|a trial shows"),
    "grouped transposed": (
        lambda: nn.ConvTranspose2d(8, 8, 2, 2, groups=2), 8, r"between \(ConvTranspose2d\)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("between", UNKNOWN)
def test_unknown_layers_keep_their_own_channels_alone(between: str) -> None:
    build, after, reason = UNKNOWN[between]
    model = liven(Middle(build(), after=after))
    coupled = found(model)
    assert sorted(group.name for group in coupled.groups) == ["three.weight", "two.weight"]
    assert list(coupled.whole) == ["one.weight"]
    masks = pruned(model, 0.1)
    assert masks["one.weight"].all()
    exactly(model, masks, images(4, size=16))
    with pytest.raises(Refused, match=rf"one.weight.*({reason})"):
        pruned(model, 0.9)


class Recurrent(nn.Module):
    """A convolution whose channels an LSTM reads, and one after another that stand alone."""

    def __init__(self) -> None:
        super().__init__()
        self.free, self.read = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 1)
        self.rnn, self.hidden = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 12)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.read(self.free(x).relu()).mean(3).transpose(1, 2)
        return self.head(self.hidden(self.rnn(x)[0][:, -1]).relu())


def test_what_a_recurrent_layer_reads_goes_with_its_columns() -> None:
    model = liven(Recurrent())
    coupled = found(model)
    assert not coupled.whole
    assert {group.name for group in coupled.groups} == {
        "free.weight", "read.weight", "rnn.weight_ih_l0", "hidden.weight",
    }  # fmt: skip
    masks = pruned(model, 0.5, "uniform")
    shrunk = exactly(model, masks, images(4, size=16))
    assert sum(v.numel() for v in shrunk.model.parameters()) == kept(model, masks)
    rnn = shrunk.model.rnn
    assert (rnn.input_size, rnn.hidden_size) == (
        shrunk.model.read.out_channels,
        int(masks["rnn.weight_hh_l0"].any(0).sum()),
    )
    assert rnn.hidden_size < 8


class Returning(nn.Module):
    """Returns its features beside the logits, in a form of one's choice."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.one, self.two = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 12, 3, padding=1)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> object:
        features = self.two(self.one(x).relu()).relu().mean((2, 3))
        logits = self.head(features)
        return {
            "tuple": (logits, features),
            "mapping": {"logits": logits, "hidden": [features]},
            "dataclass": Output(logits, features),
        }[self.form]


@dataclass
class Output:
    logits: Tensor
    features: Tensor


@pytest.mark.parametrize("form", ["tuple", "mapping", "dataclass"])
def test_every_output_counts(form: str) -> None:
    model = liven(Returning(form))
    coupled = found(model)
    assert [group.name for group in coupled.groups] == ["one.weight"]
    assert "two.weight" in coupled.whole
    masks = pruned(model, 0.3)
    shrunk = exactly(model, masks, images(4, size=16))
    assert shrunk.model.two.out_channels == 12
    assert shrunk.model.one.out_channels < 16
    # and what is wrong behind the first output is seen
    with torch.no_grad():
        other = shrink(model, {}, images(1, size=16)).model
        other.two.weight[3].zero_()
        other.two.bias[3] = 0
        other.head.weight[:, 3] = model.head.weight[:, 3] = 0
    assert verify(model, other, images(4, size=16)) > TOLERANCE


def test_other_outputs_are_refused_in_one_line() -> None:
    class Odd(Returning):
        def forward(self, x: Tensor) -> object:
            return {"scores": self.head(self.two(self.one(x)).mean((2, 3)))}

    inputs = [(images(4, size=16), torch.zeros(4, dtype=torch.long))]
    with pytest.raises(PrunebenchError, match=r"must return logits.*found dict"):
        prunebench.prune(Odd("mapping"), "snip", 0.5, batches=inputs)


class Split(nn.Module):
    """Half of the channels pass residual blocks and are joined again: cross-stage (Wang 2020)."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 12, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(6, 6, 3, padding=1) for _ in range(blocks))
        self.after, self.last = nn.Conv2d(12, 300, 1), nn.Conv2d(300, 10, 1)
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        way, beside = self.before(x).relu().split(6, dim=1)
        for block in self.blocks:
            way = way.sigmoid() * way + block(way).relu()
        joined = self.after(torch.cat([way, beside], dim=1))
        return self.head(self.last(joined.relu()).relu().mean((2, 3)))


@pytest.mark.parametrize("blocks", [1, 8])
def test_a_split_whose_parts_are_read_again_leaves_its_channels_whole(blocks: int) -> None:
    model = liven(Split(blocks)).eval()
    coupled = found(model)
    assert set(coupled.whole) == {"before.weight", *(f"blocks.{i}.weight" for i in range(blocks))}
    with pytest.warns(UserWarning, match=r"before\.weight.* cannot be told apart"):
        masks = prunebench.prune(
            model, FILTERS, 0.3, batches=[(images(4, size=16), torch.zeros(4, dtype=torch.long))]
        )
    shrunk = exactly(model, masks, images(4, size=16))
    assert not shrunk.notes
    assert sum(v.numel() for v in shrunk.model.parameters()) == kept(model, masks)


@pytest.mark.slow
def test_a_network_that_shuffles_its_channels_loses_filters() -> None:
    model = liven(torchvision.models.shufflenet_v2_x0_5(num_classes=5)).eval()
    with pytest.warns(UserWarning, match=r"keep all of their filters: .*branch2"):
        masks = prunebench.prune(model, FILTERS, 0.2, example=images(1, size=32))
    assert exactly(model, masks, images(4, size=32)).removed
