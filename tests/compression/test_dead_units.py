"""Dead units of small networks: by hand, for any mask, and the hard cases."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunebench.compression.shrink import Removed, shrink, verify
from prunebench.errors import PrunebenchError, Refused
from tests.compression.nets import exactly, gone, images, liven, masked, parameters
from tests.pruning.test_groups import Concat, Opaque, Residual

EVERY = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def mlp(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for one, two in pairwise(sizes):
        layers += [nn.Linear(one, two), nn.ReLU()]
    return liven(nn.Sequential(*layers[:-1]))


class Small(nn.Module):
    """Convolutions with and without padding, batch norms, one without scale, a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
            nn.Conv2d(6, 5, 3, padding=1), nn.BatchNorm2d(5, affine=False), nn.SiLU(),
            nn.MaxPool2d(2), nn.Conv2d(5, 6, 2), nn.Sigmoid(),
        )  # fmt: skip
        self.hidden, self.head = nn.Linear(6 * 9, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.features(x).flatten(1)).tanh())


class Excited(nn.Module):
    """Expansion, depth-wise convolution, squeeze-and-excitation, projection, addition."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.up, self.norm = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 8, 1), nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.less, self.more = nn.Conv2d(8, 3, 1), nn.Conv2d(3, 8, 1)
        self.down, self.head = nn.Conv2d(8, 5, 1), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.deep(self.norm(self.up(x)).relu()).relu()
        gate = self.more(self.less(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return self.head((x + self.down(y * gate)).relu().mean((2, 3)))


class Grouped(nn.Module):
    """A convolution of 3 groups of 2 inputs and 4 outputs each."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(3, 6, 1), nn.BatchNorm2d(12)
        self.two = nn.Conv2d(6, 12, 3, padding=1, groups=3, bias=False)
        self.three, self.head = nn.Conv2d(12, 4, 1), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.two(self.one(x).relu())).relu()
        return self.head(self.three(x).relu().mean((2, 3)))


class Twice(nn.Module):
    """One layer used twice, and two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Linear(12, 6), nn.Linear(6, 6)
        self.tied, self.other, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)
        self.other.weight = self.tied.weight
        self.register_buffer("offset", torch.tensor(0.3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1)).relu() + self.offset
        x = self.again(self.again(x).relu()).relu()
        return self.head(self.other(self.tied(x).relu()).relu())


KINDS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "small": (Small, 8), "excited": (Excited, 8), "grouped": (Grouped, 6), "twice": (Twice, 2),
    "concat": (Concat, 6), "residual": (Residual, 8),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@EVERY
@given(
    seed=st.integers(0, 2**20), share=st.floats(0.0, 1.0), round_to=st.sampled_from([1, 1, 2, 4])
)
def test_exact_for_any_mask(kind: str, seed: int, share: float, round_to: int) -> None:
    """Single weights, whole rows and whole columns of anything, norms and biases included."""
    build, size = KINDS[kind]
    model = liven(build(), seed=seed)
    draw = torch.Generator().manual_seed(seed)
    masks = {}
    for name, value in model.named_parameters():
        mask = torch.rand(value.shape, generator=draw) < share
        mask[torch.rand(len(value), generator=draw) < 0.3] = False
        if value.ndim > 1:
            mask[:, torch.rand(value.shape[1], generator=draw) < 0.3] = False
        masks[name] = mask | bool(torch.rand((), generator=draw) < 0.3)
    inputs = images(3, size=size)
    shrunk = exactly(model, masks, inputs, round_to)
    biases = sum(
        len(m.bias) for m in shrunk.model.modules() if getattr(m, "bias", None) is not None
    )
    assert parameters(shrunk.model) <= parameters(model) + biases


def test_what_goes_and_what_follows_by_hand() -> None:
    model, inputs = mlp(12, 6, 5, 4, 3), images(size=2)
    with torch.no_grad():
        model[3].bias.fill_(0.7)
    # layer 3's units 0 and 2: dead, but for their bias; layer 5 no longer reads unit 1 of layer 3
    masks = gone(model, "3", 0, 2)
    masks["5.weight"] = torch.ones(4, 5, dtype=torch.bool)
    masks["5.weight"][:, 1] = False
    shrunk = exactly(model, masks, inputs)
    small = shrunk.model
    assert [m.weight.shape for m in small if isinstance(m, nn.Linear)] == [
        (6, 12), (2, 6), (4, 2), (3, 4),
    ]  # fmt: skip
    torch.testing.assert_close(small[3].weight, model[3].weight[[3, 4]])
    constants = model[3].bias[[0, 2]].relu()
    assert constants.any()
    folded = model[5].bias + model[5].weight[:, [0, 2]] @ constants
    torch.testing.assert_close(small[5].bias, folded)
    assert shrunk.removed == (Removed("3", "filters", 5, 2),)


def test_death_goes_back_through_the_layers() -> None:
    """Nobody reads units 0 to 2 of layer 3; they alone read units 0 and 1 of layer 1."""
    model, inputs = mlp(12, 6, 5, 3), images(size=2)
    masks = {"5.weight": torch.ones(3, 5, dtype=torch.bool)}
    masks["5.weight"][:, :3] = False
    masks["3.weight"] = torch.ones(5, 6, dtype=torch.bool)
    masks["3.weight"][3:, :2] = False
    shrunk = exactly(model, masks, inputs)
    assert [(r.name, r.after) for r in shrunk.removed] == [("1", 4), ("3", 2)]


def test_a_constant_before_padding_is_merged_into_one() -> None:
    """The border of a zero-padded convolution tells a constant from nothing."""
    model, inputs = liven(Small()), images(size=8)
    with torch.no_grad():
        model.features[1].running_mean.zero_()
        model.features[1].bias.copy_(torch.tensor([0.5, -1, 0.7, 2, 0.1, 1]))
    masks = gone(model, "features.0", 0, 1, 2, 3)
    shrunk = exactly(model, masks, inputs)
    # filter 1 is zero behind its ReLU; 0 and 2 merge into 3, the largest
    assert shrunk.model.features[0].out_channels == 3
    assert any("1 units that are the same" in note for note in shrunk.notes)
    torch.testing.assert_close(shrunk.model.features[1].bias, torch.tensor([2, 0.1, 1]))
    with torch.no_grad():
        model.features[3].padding = (0, 0)
    model.hidden = liven(nn.Linear(6 * 4, 7))
    unpadded = exactly(model, masks, inputs)
    assert unpadded.model.features[0].out_channels == 2
    assert not any("same for every input" in note for note in unpadded.notes)


def test_a_bias_appears_where_it_must() -> None:
    model, inputs = liven(nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4),
        nn.Flatten(), nn.Linear(16, 3, bias=False),
    )), images(size=2)  # fmt: skip
    with torch.no_grad():
        model[0].bias.fill_(1)
    shrunk = exactly(model, gone(model, "0", 1), inputs)
    torch.testing.assert_close(shrunk.model[2].bias, model[2].weight[:, 1, 0, 0])
    assert shrunk.model[5].bias is None
    assert any(note.startswith("1 layer got a bias") for note in shrunk.notes)


def test_added_branches_go_together_alone() -> None:
    model, inputs = liven(Residual()), images(size=9)
    only_stem = exactly(model, gone(model, "stem", 2), inputs)
    assert only_stem.model.stem.out_channels == 6
    masks = gone(model, "stem", 2, 4) | gone(model, "down", 2)
    masks |= {"down.bias": torch.arange(6) != 2, "norm.weight": torch.arange(6) != 2}
    masks["norm.bias"] = masks["norm.weight"]
    both = exactly(model, masks, inputs)
    assert both.model.stem.out_channels == both.model.down.out_channels == 5
    assert both.model.norm.running_mean.shape == (5,)


def test_groups_of_a_convolution_stay_even() -> None:
    model, inputs = liven(Grouped()), images(size=6)
    silent = {"norm.weight": torch.ones(12, dtype=torch.bool)}
    silent["norm.weight"][:5] = False  # the outputs 0 to 3 are group 0, 4 is of group 1
    silent["norm.bias"] = silent["norm.weight"]
    small = exactly(model, silent, inputs).model
    # group 0 goes with its two inputs; of group 1 one output could go, but group 2 keeps four
    assert (small.two.groups, small.two.in_channels, small.two.out_channels) == (2, 4, 8)
    silent["norm.weight"][8] = False
    small = exactly(model, silent, inputs).model
    assert (small.two.groups, small.two.in_channels, small.two.out_channels) == (2, 4, 6)
    assert small.two.weight.shape == (6, 2, 3, 3)
    assert small.two.bias is None


def test_channels_are_kept_at_a_multiple() -> None:
    model, inputs = mlp(12, 16, 10, 3), images(size=2)
    masks = gone(model, "1", *range(7)) | gone(model, "3", *range(9))
    shrunk = exactly(model, masks, inputs, round_to=4)
    assert [(r.name, r.after) for r in shrunk.removed] == [("1", 12), ("3", 4)]
    assert exactly(model, masks, inputs, round_to=100).removed == ()


def test_the_last_channel_stays() -> None:
    model, inputs = mlp(12, 6, 5, 3), images(size=2)
    shrunk = exactly(model, gone(model, "3", *range(5)), inputs)
    assert [(r.name, r.after) for r in shrunk.removed] == [("1", 1), ("3", 1)]
    assert sum("would lose its last channel: one is kept" in note for note in shrunk.notes) == 2


def test_shared_layers_and_buffers() -> None:
    """A layer may be called twice; weights that two layers share keep their size."""
    model, inputs = liven(Twice()), images(size=2)
    masks = {f"{name}.weight": torch.ones(6, 6, dtype=torch.bool) for name in ("again", "tied")}
    masks["tied.weight"][:, 3] = masks["tied.weight"][3] = False
    shrunk = exactly(model, masks, inputs)
    assert shrunk.removed == ()
    assert any("layers share a weight" in note for note in shrunk.notes)
    assert shrunk.model.other.weight is shrunk.model.tied.weight
    torch.testing.assert_close(shrunk.model.offset, model.offset)
    again = liven(nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), *[nn.Linear(6, 6)] * 2,
                                nn.Linear(6, 3)))  # fmt: skip
    mask = torch.ones(6, 6, dtype=torch.bool)
    mask[2], mask[:, 2] = False, False
    masks = {"3.weight": mask, "3.bias": mask[0] & mask[:, 0], "5.weight": mask[:3]}
    with torch.no_grad():
        again[3].bias[2] = 0
    small = exactly(again, masks | {"3.bias": torch.arange(6) != 2}, inputs)
    assert small.model[3] is small.model[4]
    assert small.model[3].weight.shape == (5, 5)


@pytest.mark.filterwarnings("ignore:Opaque cannot be traced for its classifier")
def test_what_cannot_be_shrunk_is_said() -> None:
    model = Opaque()  # a batch of fewer than three fails in it, the two that trace it too
    with pytest.raises(Refused, match=r"cannot shrink: Opaque .*; the masks still hold"):
        shrink(model, {}, torch.randn(1, 3, 9, 9))
    assert verify(model, masked(model, {}), torch.randn(3, 3, 9, 9)) == 0
    normed = liven(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)))
    found = shrink(normed, gone(normed, "0", 1), torch.randn(1, 3))
    assert found.removed == ()
    assert "no channels that could be removed" in found.notes[0]
    with pytest.raises(PrunebenchError, match=r"'0.bias' is of shape \(3,\), the model has \(4,\)"):
        shrink(normed, {"0.bias": torch.ones(3, dtype=torch.bool)}, torch.randn(1, 3))
    with pytest.raises(PrunebenchError, match="no parameter of that name"):
        shrink(normed, {"bias": torch.ones(3, dtype=torch.bool)}, torch.randn(1, 3))
    with pytest.raises(PrunebenchError, match="round_to must be 1 or more, found 0"):
        shrink(normed, {}, torch.randn(1, 3), round_to=0)


def test_verify_finds_a_difference() -> None:
    model = nn.Linear(2, 2, bias=False)
    other = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
        other.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 1.5]]))
    inputs = torch.tensor([[1.0, 0.8]])
    found = verify(model, other, inputs)  # (2, 0.8) against (2, 1.2)
    assert found >= 0.4 / 2 - 1e-6
    assert verify(model, model, inputs) == 0
    assert verify(model, nn.Linear(2, 3), inputs) == torch.inf
    with torch.no_grad():
        other.weight[0, 0] = torch.nan
    assert verify(model, other, inputs) == torch.inf
    silent = nn.Linear(2, 2)
    for parameter in silent.parameters():
        nn.init.zeros_(parameter)
    assert verify(silent, silent, inputs) == 0
    assert verify(silent, model, inputs) == torch.inf
