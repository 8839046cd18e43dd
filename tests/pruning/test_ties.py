"""What of a mask was a draw among equal scores: counted naively, on networks, and refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.experiment import config
from prunebench.experiment.part_kinds import Allocation
from prunebench.experiment.registry import builtin, find, load
from prunebench.experiment.settings import Model, Prunable
from prunebench.pruning import compose, contract
from prunebench.pruning.allocation import drawn_units
from prunebench.pruning.curve import Pruned
from prunebench.pruning.masks import Chosen, tied_share
from prunebench.pruning.view import View
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models
from tests.pruning.in_memory import cells, curve_of

COMPARES = {
    "global": "network", "uniform": "layer", "erk": "layer", "lamp": "layer", "per-row": "row",
    "explicit": "layer", "shuffled": "nothing", "threshold": "layer", "owl": "layer",
    "budgeted": "layer", "searched": "layer", "random-allocation": "layer",
}  # fmt: skip
# of scores alone, at a given number of units
PLAIN = [
    name for name, spec in builtin(Allocation).items()
    if not spec.traits.tries and spec.traits.outcome is not True
]  # fmt: skip


def draw(purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(len(purpose))


def naive(scores: dict[str, Tensor], keep: dict[str, Tensor], compares: str) -> int:
    """Kept units that have a removed one of the same score among those they are compared with."""
    count = 0
    pools: dict[object, list[tuple[float, bool]]] = {}
    for name, value in scores.items():
        for place in torch.cartesian_prod(*(torch.arange(size) for size in value.shape)).tolist():
            key = {"network": 0, "layer": name, "row": (name, place[0])}.get(compares)
            pair = float(value[tuple(place)]), bool(keep[name][tuple(place)])
            if key is not None:
                pools.setdefault(key, []).append(pair)
    for pool in pools.values():
        gone = {score for score, kept in pool if not kept and score != float("-inf")}
        count += sum(kept and score in gone for score, kept in pool)
    return count


def test_every_allocation_says_what_it_compares() -> None:
    assert {name: s.traits.compares for name, s in builtin(Allocation).items()} == COMPARES


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(PLAIN), st.integers(0, 1000), st.floats(0.1, 0.9), st.integers(1, 9),
    st.booleans(),
)  # fmt: skip
def test_ties_are_counted_as_by_hand(
    name: str, seed: int, share: float, levels: int, gone: bool
) -> None:
    draws = torch.Generator().manual_seed(seed)
    shapes = {"one": (4, 3), "two": (2, 5, 2)}
    scores = {
        key: torch.randint(1, levels + 1, shape, generator=draws).float()
        for key, shape in shapes.items()
    }
    if gone:
        scores["one"][1, 1] = -torch.inf
    keep = load(find(Allocation, name))(scores, max(1, round(share * 32)), 0, draw)
    found = drawn_units(scores, keep, COMPARES[name])
    assert sum(int(flags.sum()) for flags in found.values()) == naive(scores, keep, COMPARES[name])
    assert all(bool(keep[key][flags].all()) for key, flags in found.items())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PLAIN), st.integers(0, 1000), st.floats(0.1, 0.9), st.booleans())
def test_counts_of_layers_that_need_no_scores_are_the_same_for_all(
    name: str, seed: int, share: float, gone: bool
) -> None:
    spec, draws = find(Allocation, name), torch.Generator().manual_seed(seed)
    counts = []
    for _ in range(3):
        scores = {
            "one": torch.rand(4, 3, generator=draws) ** 3,
            "two": 9 * torch.rand(2, 5, 2, generator=draws),
        }
        if gone:
            scores["one"][1] = -torch.inf
        keep = load(spec)(scores, max(3, round(share * 32)), 0, draw)
        counts.append([int(keep[key].sum()) for key in scores])
    if spec.traits.counts_alone:
        assert counts[0] == counts[1] == counts[2]


def test_by_hand() -> None:
    scores = {"w": torch.tensor([[3.0, 1, 1, 1], [1, 0, 2, 1]])}
    keep = {"w": torch.tensor([[True, True, False, False], [True, False, True, False]])}
    drawn = drawn_units(scores, keep, "network")
    assert drawn["w"].tolist() == [[False, True, False, False], [True, False, False, False]]
    assert tied_share(Chosen(keep, drawn), ["w"]) == 2 / 4
    assert tied_share(keep, ["w"]) is None  # masks that were not chosen by scores


def score_file(folder: Path, body: str) -> str:
    file = folder / "score.py"
    file.write_text(
        "import torch\nfrom prunebench.experiment.registry import criterion\n"
        '@criterion(patterns=("weight", "n-m", "filter"))\n'
        f"def score(view):\n    return {body}\n"
    )
    return f"{file}:score"


@pytest.mark.parametrize(
    ("pattern", "allocation", "expected"),
    [
        ("weight", "global", 1.0),
        ("weight", "per-row", 1.0),
        ({"name": "n-m", "n": 2, "m": 4}, "global", 1.0),
        # one convolution, two linear layers: of each some filters stay, all of them by a draw
        ("filter", "uniform", 1.0),
    ],
)
def test_all_alike_is_all_drawn(
    pattern: object, allocation: str, expected: float, tmp_path: Path
) -> None:
    body = "{n: torch.ones_like(w) for n, w in view.weights.items()}"
    method = config.method(
        {
            "name": "alike", "criterion": score_file(tmp_path, body), "pattern": pattern,
            "allocation": allocation,
        }
    )  # fmt: skip
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    view = View(model, batches=[(torch.randn(4, 8), torch.zeros(4, dtype=torch.int64))])
    masks = compose.masks_at(method, view, compose.score(method, view).scores, 0.5)
    assert tied_share(masks, view.layers) == expected


@pytest.mark.parametrize("name", ["random", "random-filter", "magnitude-shuffled", "magnitude"])
def test_draws_that_are_scores_are_no_ties(name: str) -> None:
    model, batches = contract.network("seed-cnn", side=8, channels=1)
    view, method = View(model, batches=batches), config.method(name)
    masks = compose.masks_at(method, view, compose.score(method, view).scores, 0.9)
    assert tied_share(masks, view.layers) == 0.0


def test_what_filters_first_draw_counts(tmp_path: Path) -> None:
    alike = score_file(tmp_path, "{n: torch.ones(len(w)) for n, w in view.weights.items()}")
    method = config.method(
        {
            "name": "two", "criterion": "magnitude",
            "first": {"criterion": alike, "pattern": "filter", "share": 0.5},
        }
    )  # fmt: skip
    model, batches = contract.network("seed-cnn", side=8, channels=1)
    view = View(model, batches=batches)
    masks = compose.masks_at(method, view, compose.score(method, view).scores, 0.9)
    assert tied_share(masks, view.layers) > 0.5
    kept = sum(int(masks[name].sum()) for name in view.layers)
    assert kept == round(0.1 * sum(weight.numel() for weight in view.weights.values()))


AT_INITIALIZATION = ("snip", "grasp", "synflow")


@pytest.fixture(scope="module")
def starts() -> dict[bool, tuple[nn.Module, contract.Batches]]:
    """test_resnet as it is built here, and as timm builds it."""
    _, batches = contract.network("test_resnet")
    given = {False: {}, True: {"zero_init_last": True}}
    return {
        zero: (
            models.create(
                Model(name="test_resnet", arguments=arguments),
                NetworkFacts.of_images(10, 3, 32),
                seed=0,
            ).eval(),
            batches,
        )
        for zero, arguments in given.items()
    }


@pytest.mark.parametrize("name", AT_INITIALIZATION)
def test_criteria_at_initialization_see_the_branches(name: str, starts) -> None:
    method = config.method(name)
    found = {}
    for zero, (model, batches) in starts.items():
        view = View(model, batches=batches)
        scores = compose.score(method, view).scores
        for sparsity in (0.8, 0.9):
            masks = compose.masks_at(method, view, scores, sparsity)
            found[zero, sparsity] = tied_share(masks, view.layers)
    assert found[False, 0.9] == 0.0
    assert found[True, 0.9] > 0.01
    assert found[True, 0.8] > 0.5  # the stems are kept, and of every branch what was drawn


def test_a_mask_that_is_mostly_a_draw_is_refused(tmp_path: Path) -> None:
    # 192 of 228 weights score the same: at 0.5, 114 stay, 78 of them by a draw; at 0.9 none does
    body = (
        "{n: w.abs() + 1 if n.startswith('conv') else torch.zeros_like(w)"
        " for n, w in view.weights.items()}"
    )
    curve = curve_of({"criterion": score_file(tmp_path, body)})
    found: list[Pruned] = []
    schedule, parameters = compose.part(curve.method, "schedule")
    with pytest.raises(Refused, match=r"at 50 %, 68.42 % of the weights kept were drawn"):
        found.extend(schedule(curve, [0.5, 0.9], **parameters))
    assert [cell.sparsity for cell in found] == [0.9]
    assert tied_share(found[0].masks, ["conv.weight"]) == 0.0


def test_a_draw_among_weights_that_do_nothing_is_recorded(tmp_path: Path) -> None:
    """Seven of eight inputs are always zero: which of the weights that read them stay is idle."""
    method = config.method({"name": "wanda", "criterion": "wanda", "allocation": "global"})
    model = nn.Sequential(nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 3))
    inputs = torch.randn(6, 8)
    inputs[:, :7] = 0
    view = View(model, batches=[(inputs, torch.zeros(6, dtype=torch.int64))])
    masks = compose.masks_at(method, view, compose.score(method, view).scores, 0.5)
    assert tied_share(masks, view.layers) == 6 / 8  # 2 of 16 weights see anything
    assert compose.checked_for_draws(method, view, masks, 0.5) is masks
    alike = score_file(tmp_path, "{n: torch.ones_like(w) for n, w in view.weights.items()}")
    other = config.method({"name": "alike", "criterion": alike})
    masks = compose.masks_at(other, view, compose.score(other, view).scores, 0.5)
    model[0].weight.data[:, 7] = 0  # whatever was drawn of what sees nothing, it does nothing
    assert compose.checked_for_draws(other, view, masks, 0.5) is masks
    view.batches[0][0].normal_()
    with pytest.raises(Refused, match="random itself"):
        compose.checked_for_draws(other, view, masks, 0.5)


def test_zero_branches_are_refused_although_they_compute_nothing_yet(starts) -> None:
    model, batches = starts[True]
    view, method = View(model, batches=batches), config.method("snip")
    masks = compose.masks_at(method, view, compose.score(method, view).scores, 0.8)
    with pytest.raises(Refused, match=r"zero_init_last: false"):
        compose.checked_for_draws(method, view, masks, 0.8)


def test_gradual_masks_keep_what_was_drawn(tmp_path: Path) -> None:
    body = "{n: (w.abs() * 20).round() for n, w in view.weights.items()}"
    method = {"criterion": score_file(tmp_path, body), "schedule": {"name": "gradual", "every": 3}}
    (cell,) = cells(curve_of(method), [0.6])
    share = tied_share(cell.masks, ["conv.weight", "first.weight", "second.weight"])
    assert share is not None
    assert 0 < share < 0.5


@pytest.mark.parametrize("name", AT_INITIALIZATION)
def test_the_classifier_can_be_pruned_too(name: str, starts) -> None:
    """As Tanaka 2020 and Wang 2020 have it: prunable: {head: true}."""
    model, batches = starts[False]
    view, method = View(model, batches=batches, prunable=Prunable(head=True)), config.method(name)
    masks = compose.masks_at(method, view, compose.score(method, view).scores, 0.9)
    head = masks["fc.weight"]
    assert head.shape == model.fc.weight.shape
    assert 0 < int(head.sum()) < head.numel()
    total = sum(weight.numel() for weight in view.weights.values())
    assert sum(int(masks[key].sum()) for key in view.layers) == total - round(0.9 * total)
