"""What holds for every kind of task: errors in [0, 1], noise, storing, and a loss that learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.experiment.settings import Regime
from prunebench.tasks.regimes import apply
from prunebench.tasks.task_kind import TaskKind, kind_of, stored_kind

WORDS = ["", *"abcdef"]
# kind -> facts, and targets of n samples
FACTS: dict[str, dict[str, Any]] = {
    "classification": {"names": ["a", "b", "c"]},
    "regression": {"names": [], "mean": 0.5, "std": 2.0},
    "recommendation": {"names": [], "mean": 3.0, "std": 1.2, "range": 4.0},
    "language-model": {"names": [], "vocabulary": WORDS},
    "translation": {"names": [], "vocabulary": WORDS},
    "speech-recognition": {"names": [], "target_vocabulary": WORDS},
}
FACTS["detection"] = {"names": ["a", "b", "c"], "shape": [1, 32, 32]}
KINDS = sorted(FACTS)


def targets_of(kind: str, count: int, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    if kind == "classification":
        return torch.arange(count) % 3
    if kind == "regression":
        return torch.randn(count, generator=draw)
    if kind == "recommendation":
        ratings = torch.randint(1, 6, (count,), generator=draw).float()
        ratings[:2] = torch.tensor([1.0, 5.0])
        return ratings
    if kind == "detection":
        corners = torch.rand(count, 2, 2, generator=draw) * 10
        corners[:, 1] += 16  # two boxes that do not overlap
        classes = torch.randint(0, 3, (count, 2, 1), generator=draw).float()
        boxes = torch.cat([corners, corners + 6 + corners.flip(1) / 4, classes], 2)
        boxes[1::2, 1] = torch.tensor([0.0, 0, 0, 0, -1])  # every second has one
        return boxes
    tokens = torch.randint(1, len(WORDS), (count, 4), generator=draw, dtype=torch.int32)
    tokens[1::2, 3] = 0  # every second is shorter
    tokens[0, 0], tokens[1, 0] = 1, 2
    return tokens


def outputs_of(kind: str, targets: Tensor, seed: int) -> Tensor:
    """What a network might return, drawn."""
    draw = torch.Generator().manual_seed(seed)
    shape = {
        "classification": (3,), "regression": (1,), "recommendation": (1,),
        "speech-recognition": (11, len(WORDS)), "detection": (8 * 8 + 4 * 4 + 2 * 2, 3 + 5),
    }.get(kind, (4, len(WORDS)))  # fmt: skip
    return torch.randn(len(targets), *shape, generator=draw)


def made(kind: str) -> TaskKind:
    return kind_of(kind, FACTS[kind])


def test_every_kind_that_ships_is_here() -> None:
    assert set(registry.builtin(TaskKindTraits)) == set(FACTS)
    assert all(made(name).name == name for name in FACTS)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_declares_whether_it_measures_how_far_outputs_are(name: str) -> None:
    kind = made(name)
    distils = registry.find(TaskKindTraits, name).traits.distils
    assert distils == (type(kind).divergence is not TaskKind.divergence)
    if distils:
        targets = targets_of(name, 6, 0)
        one, near = outputs_of(name, targets, 1), 0.1 * outputs_of(name, targets, 2)
        same, close, far = (float(kind.divergence(one, one + by, 2.0)) for by in (0, near, one))
        assert abs(same) < 1e-6 < close < far


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(4, 30))
def test_errors_are_shares_and_the_same_for_samples_in_any_order(
    name: str, seed: int, count: int
) -> None:
    kind, targets = made(name), targets_of(name, count, seed)
    stored = kind.keep(kind.answers(outputs_of(name, targets, seed)), targets)
    assert stored.dtype == torch.float32
    assert len(stored) == count
    found, wanted = stored.double().numpy(), targets.numpy()
    errors, error = kind.errors(kind.read(found), wanted), kind.error(kind.read(found), wanted)
    assert errors.shape == (count,)
    assert 0 <= error <= 1
    assert 0 <= kind.chance(wanted) <= kind.constant_error(wanted) <= 1
    order = np.random.default_rng(seed).permutation(count)
    assert kind.error(kind.read(found[order]), wanted[order]) == pytest.approx(error)
    np.testing.assert_allclose(kind.errors(kind.read(found[order]), wanted[order]), errors[order])


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), shares=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)))
def test_noise_is_exact_and_less_of_it_is_a_part_of_more(
    name: str, seed: int, shares: tuple[float, float]
) -> None:
    kind, targets = made(name), targets_of(name, 25, 1)
    before = targets.clone()
    low, high = (
        apply(
            Regime(name="noisy", label_noise=share), targets, targets, kind,
            torch.Generator().manual_seed(seed),
        )
        for share in sorted(shares)
    )  # fmt: skip
    assert torch.equal(targets, before)
    places = kind.places(targets)
    for applied, share in ((low, min(shares)), (high, max(shares))):
        flat, clean = applied.given[places], applied.clean[places]
        changed = (flat != clean).reshape(len(flat), -1).any(1)
        assert int(changed.sum()) == round(share * len(flat))
        if name in ("language-model", "translation"):  # what counts stays the same
            assert torch.equal(applied.given > 0, before > 0)
    assert bool((low.flipped <= high.flipped).all())
    assert torch.equal(low.given[low.flipped], high.given[low.flipped])


@pytest.mark.parametrize("name", KINDS)
def test_the_loss_leads_to_the_targets(name: str) -> None:
    """Outputs that are themselves learned by the loss end without an error."""
    kind, targets = made(name), targets_of(name, 8, 3)
    outputs = outputs_of(name, targets, 3).requires_grad_()
    optimizer = torch.optim.Adam([outputs], lr=0.2)
    losses = []
    for _ in range(400):
        loss = kind.loss(outputs, targets)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.2 * losses[0]
    stored = kind.keep(kind.answers(outputs.detach()), targets).double().numpy()
    # of a detector the positions without a box hear little: they start from draws
    limit = 0.5 if name == "detection" else 0.02
    assert kind.error(kind.read(stored), targets.numpy()) < limit


@pytest.mark.parametrize("name", KINDS)
def test_answers_can_be_exported_for_any_number_of_samples(name: str) -> None:
    kind = made(name)

    class Answers(torch.nn.Module):
        def forward(self, outputs: Tensor) -> Tensor:
            return kind.answers(outputs)

    two, five = (outputs_of(name, targets_of(name, count, 0), 0) for count in (2, 5))
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(Answers(), (two,), dynamic_shapes=(batch,))
    torch.testing.assert_close(program.module()(five), kind.answers(five))


@pytest.mark.parametrize("name", KINDS)
def test_predictions_agree_with_themselves(name: str) -> None:
    kind, targets = made(name), targets_of(name, 9, 2)
    outputs = outputs_of(name, targets, 2)
    stored = kind.keep(kind.answers(outputs), targets).double().numpy()
    other = kind.keep(kind.answers(outputs.flip(0)), targets).double().numpy()
    assert kind.agrees(stored, stored, 0.0).all()
    assert not kind.agrees(stored, other, 1e-6).all()


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("regression", {"std": 0}, "std: input should be greater than 0"),
        ("regression", {"mean": "x"}, "mean: input should be a valid number"),
        ("recommendation", {"range": float("inf")}, "range: input should be a finite number"),
        ("detection", {"shape": [1]}, "shape: value should have at least 3 items"),
        ("language-model", {"vocabulary": 3}, "vocabulary: must be a list"),
        ("speech-recognition", {"target_vocabulary": [3]}, "target_vocabulary"),
        ("classification", {"names": None}, "names: must be a list"),
    ],
)
def test_facts_of_another_content_are_damage(
    tmp_path: Path, kind: str, change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps({"kind": kind, **FACTS[kind]}))
    assert stored_kind(path).name == kind
    path.write_text(json.dumps({"kind": kind, **FACTS[kind], **change}))
    with pytest.raises(PrunebenchError) as caught:
        stored_kind(path)
    assert str(caught.value).startswith(f"{path} is damaged: facts of a task of kind {kind}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_of_its_own_form_fit(kind: str) -> None:
    targets = {"train": targets_of(kind, 6, 0), "test": targets_of(kind, 4, 1)}
    outputs = outputs_of(kind, targets["train"], 0)[:1]
    assert made(kind).unfit(outputs, targets) is None


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        ("classification", (2,), "it gives 2 outputs for an input, and there are 3 classes"),
        ("classification", (3, 3), "it gives 3×3 outputs"),
        ("classification", (), "it gives no outputs"),
        ("regression", (2,), "it gives 2 outputs, and a value is one number"),
        ("recommendation", (5,), "it gives 5 outputs"),
        ("language-model", (4, 6), "it gives outputs [4, 6], not [4, 7]: each token"),
        ("language-model", (3, 7), "it gives outputs [3, 7], not [4, 7]"),
        ("translation", (7,), "it gives outputs [7], not [4, 7]"),
        ("speech-recognition", (11, 6), "it gives outputs [11, 6], not [steps, 7]"),
        ("speech-recognition", (3, 7), "it gives 3 steps, and a transcript of the train split"),
    ],
)
def test_outputs_that_can_never_be_the_targets(
    kind: str, shape: tuple[int, ...], message: str
) -> None:
    found = made(kind).unfit(torch.zeros(1, *shape), {"train": targets_of(kind, 6, 0)})
    assert found is not None
    assert found.startswith(message)


def test_a_pretrained_model_may_have_outputs_to_spare() -> None:
    targets = {"train": targets_of("language-model", 6, 0)}
    assert made("language-model").unfit(torch.zeros(1, 4, 64), targets) is None
