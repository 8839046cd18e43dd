"""prunebench.prune on networks of one's own."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

import prunebench
from prunebench.errors import PrunebenchError, Refused

Masks = dict[str, Tensor]


def data(*shape: int, count: int = 12, dtype: torch.dtype = torch.float32) -> list:
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, *shape, generator=draw).to(dtype)
    labels = torch.randint(0, 3, (count,), generator=draw)
    return [(inputs[:8], labels[:8]), (inputs[8:], labels[8:])]


def mlp() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 10), nn.ReLU(), nn.Linear(10, 3)
    )


def share(masks: Masks, names: list[str]) -> float:
    gone = sum(int((~masks[name]).sum()) for name in names)
    return gone / sum(masks[name].numel() for name in names)


def only_touched(model: nn.Module, before: dict[str, Tensor], masks: Masks) -> None:
    """Weights are zero where the masks say so; all else is what it was, to the bit."""
    for name, value in model.state_dict().items():
        mask = masks.get(name, torch.ones_like(value, dtype=torch.bool))
        assert mask.dtype == torch.bool
        assert mask.shape == value.shape
        assert torch.equal(value, torch.where(mask, before[name], torch.zeros_like(value)))


METHODS = ["random", "magnitude", "magnitude-uniform", "snip", "taylor", "weight-activation"]
STRUCTURED = ["l1-filter", "l2-filter", "random-filter", "apoz", "mean-activation"]


@pytest.mark.parametrize("method", METHODS + STRUCTURED)
def test_cnn(small_net: Callable[[], nn.Module], method: str) -> None:
    model = small_net().train()
    before, generator = deepcopy(model.state_dict()), torch.get_rng_state()
    masks = prunebench.prune(model, method, 0.6, batches=data(1, 8, 8), seed=3)
    names = ["features.0.weight", "features.3.weight", "hidden.0.weight"]
    only_touched(model, before, masks)
    if method in METHODS:
        assert sorted(masks) == names
        assert share(masks, names) == pytest.approx(0.6, abs=1 / 2000)
    else:
        assert set(masks) - set(names) <= {
            "features.1.weight", "features.1.bias", "features.3.bias", "features.4.weight",
            "features.4.bias", "hidden.0.bias", "head.weight",
        }  # fmt: skip
        assert share(masks, names) == pytest.approx(0.6, abs=0.08)
    assert model.training
    assert torch.equal(torch.get_rng_state(), generator)
    again = prunebench.prune(small_net(), method, 0.6, batches=iter(data(1, 8, 8)), seed=3)
    torch.testing.assert_close(masks, again, rtol=0, atol=0)


def test_seed_matters() -> None:
    one, two = (prunebench.prune(mlp(), "random", 0.5, seed=seed) for seed in (0, 1))
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_mlp_without_get_classifier() -> None:
    model = mlp()
    masks = prunebench.prune(model, sparsity=0.5)
    assert sorted(masks) == ["0.weight", "2.weight"]  # its last linear layer is the head
    assert share(masks, list(masks)) == 0.5
    masks = prunebench.prune(model, sparsity=0.5, prunable={"head": True})
    assert sorted(masks) == ["0.weight", "2.weight", "4.weight"]
    masks = prunebench.prune(model, sparsity=0.5, prunable={"exclude": ["2.*"]})
    assert list(masks) == ["0.weight"]


def test_filters_of_an_mlp() -> None:
    model = mlp()
    masks = prunebench.prune(model, "l1-filter", 0.5, batches=data(6))
    dead = ~masks["0.weight"].any(1)
    assert dead.any()
    assert not masks["0.bias"][dead].any()
    assert not masks["2.weight"][:, dead].any()


class Tied(nn.Module):
    """One layer used twice, one weight in two layers, an embedding tied to the head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.words = nn.Embedding(11, 8)
        self.twice, self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.two.weight = self.one.weight
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        x = self.twice(self.twice(self.words(tokens)).relu()).relu()
        x = self.two(self.one(x).relu())
        return self.head(x.mean(1)), x

    def get_classifier(self) -> nn.Module:
        return self.head


def test_shared_layers_and_tuples() -> None:
    model, before = Tied(), deepcopy(Tied().state_dict())
    batches = [(torch.randint(0, 11, (6, 4)), torch.randint(0, 11, (6,)))]
    masks = prunebench.prune(model, "taylor", 0.5, batches=batches)
    # what the head shares is the head's: pruning it would take classes away
    assert sorted(masks) == ["one.weight", "twice.weight"]
    assert share(masks, list(masks)) == 0.5
    assert torch.equal(model.words.weight, before["words.weight"])
    assert torch.equal(model.two.weight, model.one.weight)


class TwoHeads(nn.Module):
    """As timm's distilled transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.head, self.head_dist = nn.Linear(8, 3), nn.Sequential(nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x).relu()
        return self.head(x) + self.head_dist(x)

    def get_classifier(self) -> tuple[nn.Module, nn.Module]:
        return self.head, self.head_dist


def test_every_head_is_spared() -> None:
    assert list(prunebench.prune(TwoHeads(), sparsity=0.5)) == ["body.weight"]


@pytest.mark.parametrize("method", ["magnitude", "taylor", "weight-activation", "l1-filter"])
def test_frozen_parameters(method: str) -> None:
    model, other = mlp(), mlp()
    model.requires_grad_(False)
    masks = prunebench.prune(model, method, 0.5, batches=data(6))
    expected = prunebench.prune(other, method, 0.5, batches=data(6))
    torch.testing.assert_close(masks, expected, rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("method", ["magnitude", "taylor", "weight-activation", "l1-filter"])
def test_precisions(dtype: torch.dtype, method: str) -> None:
    model = mlp().to(dtype)
    before = deepcopy(model.state_dict())
    masks = prunebench.prune(model, method, 0.5, batches=data(6, dtype=dtype))
    only_touched(model, before, masks)
    assert share(masks, ["0.weight", "2.weight"]) == pytest.approx(0.5, abs=0.05)
    assert all(value.dtype == dtype for value in model.state_dict().values())


def test_small_gradients_do_not_vanish_in_half_precision() -> None:
    """|w·g| lies far under the smallest float16 here: as zeros, the weights would be drawn."""
    batches = data(6)
    half = [(x.half(), y) for x, y in batches]

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits.float(), targets) * 1e-5

    torch.manual_seed(0)
    model = mlp().half()
    one = prunebench.prune(model, "taylor", 0.5, batches=half, loss=loss, seed=0)
    two = prunebench.prune(mlp().half(), "taylor", 0.5, batches=half, loss=loss, seed=1)
    same = sum(int((one[name] == two[name]).sum()) for name in one)
    assert same >= 0.95 * sum(mask.numel() for mask in one.values())


@pytest.mark.parametrize("sparsity", [0, 0.0, 0.25, 0.999])
def test_sparsities(sparsity: float) -> None:
    masks = prunebench.prune(mlp(), "magnitude", sparsity)
    assert sum(int((~mask).sum()) for mask in masks.values()) == round(sparsity * 256)


@pytest.mark.parametrize("sparsity", [1, 1.0, -0.1, 90, float("nan"), float("inf")])
def test_sparsity_out_of_range(sparsity: float) -> None:
    with pytest.raises(PrunebenchError, match=r"sparsity must lie in \[0, 1\)"):
        prunebench.prune(mlp(), "magnitude", sparsity)


def custom(tmp_path: Path, body: str) -> str:
    file = tmp_path / "mine.py"
    file.write_text(f"import torch\ndef score(view):\n    w = view.weights\n    return {body}\n")
    return f"{file}:score"


def test_own_criterion(tmp_path: Path) -> None:
    method = {"criterion": custom(tmp_path, "{n: v.abs() for n, v in w.items()}")}
    expected = prunebench.prune(mlp(), "magnitude", 0.5)
    torch.testing.assert_close(prunebench.prune(mlp(), method, 0.5), expected)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{n: v * torch.nan for n, v in w.items()}", r"NaN for 96 units of '0\.weight'"),
        ("{n: v[0] for n, v in w.items()}", r"scores of shape \(6,\)"),
        ("{'0.weight': w['0.weight']}", r"no scores for 2\.weight"),
        ("{**w, 'head': w['0.weight']}", "'head', which may not be pruned"),
    ],
)
def test_own_criterion_that_is_wrong(tmp_path: Path, body: str, message: str) -> None:
    model = mlp()
    before = deepcopy(model.state_dict())
    with pytest.raises(Refused, match=message):
        prunebench.prune(model, {"criterion": custom(tmp_path, body)}, 0.5)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("magnitud", "did you mean 'magnitude'"),
        ({"criterion": "magnitud"}, "unknown criterion 'magnitud'; did you mean 'magnitude'"),
        ({"criterion": "magnitude", "pattern": "filter"}, "goes with pattern"),
        ({"criterion": "magnitude", "allocatoin": "uniform"}, "did you mean 'allocation'"),
        ({}, "needs a criterion"),
        ({"criterion": "nowhere.py:score"}, "No such file"),
    ],
)
def test_unknown_methods(method: str | dict, message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        prunebench.prune(mlp(), method, 0.5)


def test_other_bad_input() -> None:
    with pytest.raises(Refused, match="give batches"):
        prunebench.prune(mlp(), "taylor", 0.5)
    with pytest.raises(PrunebenchError, match="nothing to prune"):
        prunebench.prune(nn.Sequential(nn.Linear(6, 3)), "magnitude", 0.5)
    with pytest.raises(PrunebenchError, match="did you mean 'exclude'"):
        prunebench.prune(mlp(), "magnitude", 0.5, prunable={"exclud": ["0.*"]})
    standardized = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)), mlp())
    with pytest.raises(Refused, match="computed from other values"):
        prunebench.prune(standardized, "magnitude", 0.5)


def test_magnitude_is_torchs() -> None:
    model, other = mlp(), mlp()
    masks = prunebench.prune(model, "magnitude", 0.75)
    layers = [(other[0], "weight"), (other[2], "weight")]
    torch_prune.global_unstructured(layers, torch_prune.L1Unstructured, amount=192)
    for number in (0, 2):
        assert torch.equal(masks[f"{number}.weight"], other[number].weight_mask.bool())
        assert torch.equal(model[number].weight, other[number].weight)


@pytest.mark.parametrize("method", ["dense-long", "dense-stopped", "dense-decayed"])
def test_a_control_that_removes_nothing_does_not_prune(method: str) -> None:
    model = mlp()
    before = deepcopy(model.state_dict())
    with pytest.raises(PrunebenchError, match=f"{method}.*removes nothing.*sparsity 0.5"):
        prunebench.prune(model, method, 0.5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    masks = prunebench.prune(model, method, 0.0)
    assert all(mask.all() for mask in masks.values())


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("{n: w.abs().numpy() for n, w in view.weights.items()}",
         "a ndarray for '0.weight'; torch.from_numpy"),
        ("{n: 1.0 for n in view.weights}", "a float for '0.weight'"),
        ("[w.abs() for w in view.weights.values()]", "it returned a list"),
        ("None", "it returned a NoneType"),
    ],
)  # fmt: skip
def test_a_criterion_that_returns_no_tensors_is_told_so(
    returned: str, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"def score(view):\n    return {returned}\n")
    with pytest.raises(Refused, match=r"must return \{name of a weight: tensor") as caught:
        prunebench.prune(mlp(), {"criterion": f"{file}:score"}, 0.5)
    assert reason in str(caught.value)
