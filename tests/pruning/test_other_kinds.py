"""Schedules, recoveries and patterns on detectors, language models, translation and CTC.

Every composition that a configuration allows prunes exactly and keeps what it removed at zero, or
refuses before it trains anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunebench.compression.shrunk_training import CHECKED, smaller_network
from prunebench.errors import PrunebenchError
from prunebench.experiment import config, registry
from prunebench.experiment.part_kinds import Recovery, Schedule, TaskKindTraits
from prunebench.experiment.registry import builtin
from prunebench.experiment.settings import Method, Model, Prunable, Training
from prunebench.pruning import curve as curves
from prunebench.pruning.curve import Cost, Curve
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.task_kind import kind_of
from prunebench.training.loop import Run, Samples, learning_rate, train
from prunebench.training.models import create
from tests.pruning.in_memory import cells

TRAINED, HELD_OUT = 12, 6
WORDS = ["", "<unk>", *"abcdefgh"]
TRAINING = Training(
    epochs=2, recovery_epochs=1, batch_size=4, optimizer="adamw", learning_rate=0.002,
    gradient_clip=1.0,
)  # fmt: skip


def tokens(count: int) -> tuple[Tensor, Tensor]:
    """Sequences that count upwards from a letter, and at every place the next letter."""
    start = torch.arange(count).view(-1, 1)
    rows = 2 + (start + torch.arange(7)) % 8
    rows[1::3, 5:] = 0
    return rows[:, :-1].int(), rows[:, 1:].int()


def sentences(count: int) -> tuple[Tensor, Tensor]:
    """As ``tokens``; what counts is the second half alone."""
    inputs, targets = tokens(count)
    return inputs, torch.where(torch.arange(6) < 3, 0, targets)


def canvases(count: int) -> tuple[Tensor, Tensor]:
    """A bright square on noise for each image, and its box; every third image has none."""
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 60, (count, 1, 32, 32), generator=draw).to(torch.uint8)
    boxes = torch.zeros(count, 1, 5)
    for number in range(count):
        left, top = (int(v) for v in torch.randint(2, 14, (2,), generator=draw))
        images[number, 0, top : top + 12, left : left + 12] = 120 + 60 * (number % 2)
        boxes[number, 0] = torch.tensor([left, top, left + 12.0, top + 12, number % 2])
    boxes[2::3, :, 4] = -1
    boxes[2::3, :, :4] = 0
    return images, boxes


def strings(count: int) -> tuple[Tensor, Tensor]:
    """Spectrograms of two words, each a bright band for some frames."""
    draw = torch.Generator().manual_seed(2)
    words = torch.randint(1, 4, (count, 2), generator=draw, dtype=torch.int32)
    images = torch.randint(0, 60, (count, 1, 8, 16), generator=draw).to(torch.uint8)
    for number, place in product(range(count), range(2)):
        band = 2 * int(words[number, place]) - 1
        images[number, 0, band : band + 2, 8 * place + 1 : 8 * place + 6] = 220
    return images, words


@dataclass(frozen=True)
class Case:
    """A small network of a kind of task."""

    kind: str
    model: str
    samples: Callable[[int], tuple[Tensor, Tensor]]
    facts: dict[str, Any]  # of the kind
    network: dict[str, Any]  # what the network must know of the data
    arguments: dict[str, Any]


LANGUAGE = {"num_classes": len(WORDS), "vocabulary": len(WORDS), "length": 6}
SMALL = {"width": 16, "depth": 2, "heads": 4, "mlp_ratio": 2.0}
CASES = {
    "detector": Case(
        "detection", "fcos", canvases, {"names": ["dark", "bright"], "shape": [1, 32, 32]},
        {"num_classes": 2, "in_chans": 1, "image_size": (32, 32)}, {"channels": 32},
    ),
    "recurrent language model": Case(
        "language-model", "lstm-lm", tokens, {"names": [], "vocabulary": WORDS}, LANGUAGE,
        {"embedding": 8, "units": 12, "layers": 2},
    ),
    "language model": Case(
        "language-model", "causal-transformer", tokens, {"names": [], "vocabulary": WORDS},
        LANGUAGE, SMALL,
    ),
    "translation": Case(
        "translation", "causal-transformer", sentences,
        {"names": [], "vocabulary": WORDS}, LANGUAGE, SMALL,
    ),
    "speech recognition": Case(
        "speech-recognition", "ctc-gru", strings,
        {"names": [], "target_vocabulary": ["", "one", "two", "three"]},
        {"num_classes": 4, "in_chans": 1, "image_size": (8, 16)},
        {"filters": [4, 6], "units": 8},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def baselines() -> Callable[[str], Curve]:
    """Return a curve on a baseline of a moment, of a method that does nothing, by its case."""
    return cache(lambda name: baseline_of(CASES[name]))


def baseline_of(case: Case) -> Curve:
    inputs, targets = case.samples(TRAINED + HELD_OUT)
    pixels = inputs.dtype == torch.uint8

    def normalize(values: Tensor) -> Tensor:
        return values.float() / 128 - 1 if pixels else values.long()

    samples = Samples(
        inputs[:TRAINED], targets[:TRAINED], inputs[TRAINED:], targets[TRAINED:],
        kind_of(case.kind, case.facts), normalize,
    )  # fmt: skip
    settings = Model(name=case.model, arguments=case.arguments)

    def build_anew(seed: int) -> nn.Module:
        return create(settings, NetworkFacts(case.network), seed)

    start = build_anew(0)
    states = {0: deepcopy(start.state_dict())}
    model = deepcopy(start)
    run = train(
        model, samples, TRAINING, seed=3, rate=learning_rate(TRAINING), stop=TRAINING.epochs
    )
    states[TRAINING.epochs] = deepcopy(model.state_dict())

    def smaller(network: nn.Module, masks: Any) -> Any:
        first, targets = normalize(samples.inputs[:CHECKED]), samples.targets[:CHECKED]
        return smaller_network(network, masks, first, targets, samples.kind.loss)

    return Curve(
        method=config.method({"name": "nothing", "criterion": "magnitude", "recovery": "none"}),
        training=TRAINING, prunable=Prunable(), seed=7, baseline_seed=3,
        build=lambda: deepcopy(start), states=states.__getitem__, samples=samples,
        finished=lambda sparsity: None, baseline_cost=Cost().and_run(run),
        calibration=[(normalize(samples.inputs[:8]), samples.targets[:8])],
        build_anew=build_anew, smaller=smaller,
    )  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is asked of a pattern: by which criterion, and how much is to go."""

    criterion: str
    sparsity: float
    parameters: dict[str, Any] = field(default_factory=dict)


PATTERNS = {
    "weight": Asked("magnitude", 0.5),
    "n-m": Asked("magnitude", 0.5, {"n": 2, "m": 4, "leave_dense": True}),
    "filter": Asked("l1-norm", 0.2), "column": Asked("magnitude", 0.1),
    "row": Asked("magnitude", 0.02), "block": Asked("random", 0.1),
}  # fmt: skip
EVERY = {"gradual": {"every": 1}, "dynamic": {"every": 1}}  # step: there are few
NORMED = ("detector", "speech recognition")  # with batch norm
TOKENS = tuple(name for name, case in CASES.items() if case.samples in (tokens, sentences))
Composition = tuple[str, str, str]  # schedule, recovery, pattern


def method_of(composition: Composition) -> Method:
    schedule, recovery, pattern = composition
    asked = PATTERNS[pattern]
    return config.method({
        "name": "mine", "criterion": asked.criterion,
        "pattern": {"name": pattern, **asked.parameters},
        "schedule": {"name": schedule, **EVERY.get(schedule, {})}, "recovery": recovery,
    })  # fmt: skip


def allowed() -> list[Composition]:
    """Every composition that a configuration may have; without removal, of one pattern."""
    found = []
    for composition in product(builtin(Schedule), builtin(Recovery), PATTERNS):
        with suppress(PrunebenchError):
            method_of(composition)
            if composition[0] != "dense" or composition[2] == "weight":
                found.append(composition)
    return found


def cover(compositions: list[Composition]) -> list[Composition]:
    """A few of them, in which every schedule, recovery and pattern occurs."""
    left, found = {part for each in compositions for part in each}, []
    while left:
        found.append(max(compositions, key=lambda each: len(left & set(each))))
        left -= set(found[-1])
    return found


ALLOWED = allowed()


def refusals(case: str, composition: Composition) -> list[str]:
    """Why a composition cannot be had on a network, each reason alone; none: it can."""
    schedule, recovery, pattern = composition
    found = []
    if case not in NORMED and schedule == "regularized":
        found.append("has no batch norm whose scales could be made small")
    if case not in NORMED and recovery == "batch-norm-recalibration":
        found.append("recovery 'batch-norm-recalibration' works on batch norms")
    if schedule == "dense":
        return found
    if pattern in ("row", "column") and case not in TOKENS:
        found.append("no embedding may be pruned|has no embedding that may be pruned")
    if pattern == "column" and "transformer" in CASES[case].model:
        found.append("no columns of embeddings that could be removed")
    if pattern == "block" and case in ("recurrent language model", "speech recognition"):
        found.append("no residual block that could be removed")
    return found


def faults_of(curve: Curve, case: str, composition: Composition, trainings: list[int]) -> list[str]:
    """What is wrong with what a composition does to a network; empty: nothing."""
    method, reasons = method_of(composition), refusals(case, composition)
    _, recovery, pattern = composition
    kind = registry.find(TaskKindTraits, CASES[case].kind)
    if recovery == "distillation" and not kind.traits.distils:
        return []  # refused with the configuration
    sparsity = 0.0 if composition[0] == "dense" else PATTERNS[pattern].sparsity
    curve = replace(
        curve, method=method, finished=lambda sparsity: None,
        smaller=curve.smaller if method.units else None,
    )  # fmt: skip
    trainings.clear()
    try:
        *_, found = cells(curve, [sparsity])
    except PrunebenchError as error:
        if trainings:
            return [f"refused after {len(trainings)} trainings: {error}"]
        known = any(re.search(reason, str(error)) for reason in reasons)
        return [] if known else [f"refused: {error}"]
    faults = ["was to be refused"] if reasons else []
    weights = dict(found.model.named_parameters())
    faults += [name for name, mask in found.masks.items() if weights[name][~mask].any()]
    if pattern == "weight":
        total = sum(mask.numel() for mask in found.masks.values())
        kept = sum(int(mask.sum()) for mask in found.masks.values())
        faults += [f"{kept} of {total} are kept"] * (kept != total - round(sparsity * total))
    if composition == ("one-shot", "fine-tuning", "filter"):
        faults += [str(found.run.why_masked)] * (not found.run.shrunk)
    samples = curve.samples
    stored = curve.look(found.model).double().numpy()
    error = samples.kind.error(samples.kind.read(stored), samples.val_targets.numpy())
    faults += [f"an error of {error}"] * (not 0 <= error <= 1)
    return faults + ["diverged"] * found.run.diverged


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every training of a curve."""
    found: list[int] = []

    def watched(*args: Any, **kwargs: Any) -> Run:
        found.append(1)
        return train(*args, **kwargs)

    monkeypatch.setattr(curves, "train", watched)
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("composition", cover(ALLOWED), ids="/".join)
def test_every_part_on_other_kinds(
    case: str, composition: Composition, baselines: Callable[[str], Curve], trainings: list[int]
) -> None:
    assert faults_of(baselines(case), case, composition, trainings) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("schedule", builtin(Schedule))
def test_every_composition_on_other_kinds(
    case: str, schedule: str, baselines: Callable[[str], Curve], trainings: list[int]
) -> None:
    found = {
        composition: faults_of(baselines(case), case, composition, trainings)
        for composition in ALLOWED
        if composition[0] == schedule
    }
    assert {composition: faults for composition, faults in found.items() if faults} == {}
