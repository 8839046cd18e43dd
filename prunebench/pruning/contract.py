"""Check on small networks what every method must keep: for its author, and in our own tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.experiment.part_kinds import Criterion
from prunebench.experiment.settings import Method, Model
from prunebench.pruning.api import prune
from prunebench.pruning.held_networks import copied
from prunebench.pruning.layers import prunable_layers
from prunebench.pruning.masks import Masks
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.text.numbers import percent, plural
from prunebench.training import models

Batches = list[tuple[Tensor, Tensor]]
ModelAndBatches = tuple[nn.Module, Batches]
SPARSITIES = (0.5, 0.9)
PASSED, REFUSED, BROKEN = "passed", "refused", "broken"


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check on one network."""

    network: str
    check: str
    outcome: str  # passed, refused (with its reason: that is allowed), broken
    detail: str = ""


def summary(findings: Sequence[CheckResult], entry: str) -> str:
    """Return one line: how many checks passed, failed or were not run, and what comes next.

    Args:
        findings: of a method on all networks.
        entry: the method as ``methods`` of a configuration has it.
    """
    counts = Counter(found.outcome for found in findings)
    said = (
        f"{plural(counts[PASSED], 'check')} passed, {counts[BROKEN]} failed, {counts[REFUSED]} not"
        f" run (refused with a reason{', which is allowed' if counts[PASSED] else ''})"
    )
    broken = [found for found in findings if found.outcome == BROKEN]
    if broken:
        first = broken[0]
        return f"{said}. Next: correct {first.check!r} on {first.network}, the first that failed"
    if nothing_passed(findings):
        first = findings[0]
        return (
            f"{said}: nothing was shown, and on networks like these a grid refuses it, too. On"
            f" {first.network}: {first.detail}"
        )
    return f"{said}. Next: methods: [{entry}] in a configuration, and prunebench check CONFIG"


def nothing_passed(findings: Sequence[CheckResult]) -> bool:
    """Return whether every network was refused: then nothing is known of the contract."""
    return all(found.outcome == REFUSED for found in findings)


def network(
    architecture: str, side: int = 32, channels: int = 3, classes: int = 10
) -> ModelAndBatches:
    """Return a network at initialization, with two calibration batches of noise.

    Args:
        architecture: as in the configuration's ``models``.
        side: height and width of the images, in pixels.
        channels: of the images.
        classes: how many.
    """
    settings = Model(name="contract", architecture=architecture)
    model = models.create(settings, NetworkFacts.of_images(classes, channels, side), seed=0)
    draw = torch.Generator().manual_seed(1)
    batches = [
        (
            torch.randn(8, channels, side, side, generator=draw),
            torch.randint(classes, (8,), generator=draw),
        )
        for _ in range(2)
    ]
    # as the grid runs it
    return model.eval().to(memory_format=torch.channels_last), batches


def perceptron(inputs: int = 3 * 8 * 8, classes: int = 10) -> ModelAndBatches:
    """Return a multi-layer perceptron without norms, with a calibration batch of noise."""
    draw = torch.Generator().manual_seed(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 48), nn.ReLU(),
            nn.Linear(48, classes),
        )  # fmt: skip
    images = torch.randn(16, 3, 8, 8, generator=draw)
    return model.eval(), [(images, torch.randint(classes, (16,), generator=draw))]


def standard_networks() -> dict[str, Callable[[], ModelAndBatches]]:
    """Return a CNN, a vision transformer and an MLP, each built when it is called."""
    return {
        "test_resnet": lambda: network("test_resnet"),
        "test_vit": lambda: network("test_vit"),
        "mlp": perceptron,
    }


def check(
    method: Method, networks: Mapping[str, Callable[[], ModelAndBatches]]
) -> list[CheckResult]:
    """Check a method on each network: exact sparsity, untouched rest, same seed same mask, nesting.

    Args:
        method: a resolved method.
        networks: name -> what builds a network with its calibration batches.

    Returns:
        A result for each check; a method may refuse a network with a reason.
    """
    return [result for name, make in networks.items() for result in _check(method, name, make())]


def _check(method: Method, name: str, made: ModelAndBatches) -> Iterator[CheckResult]:
    dense, batches = made

    def pruned(sparsity: float, seed: int = 0) -> tuple[nn.Module, Masks]:
        model = copied(dense)
        plain = method.model_dump(exclude={"name", "description", "paper"}, exclude_none=True)
        return model, prune(model, plain, sparsity, batches=batches, seed=seed)

    wanted = sorted(method.sparsities(list(SPARSITIES)))
    try:
        found = {sparsity: pruned(sparsity) for sparsity in wanted}
        again = pruned(wanted[-1])
    except Refused as error:
        yield CheckResult(name, "prunes", REFUSED, str(error))
        return
    layers = list(prunable_layers(dense))
    for sparsity, (model, masks) in found.items():
        at = percent(sparsity)
        yield _result(
            name, f"exact sparsity at {at}", _inexact(method, dense, masks, layers, sparsity)
        )
        yield _result(
            name, f"touches only what it says at {at}", _touched(method, dense, model, masks)
        )
    yield _result(name, "same seed, same mask", _differ(found[wanted[-1]][1], again[1]))
    if method.sparsities([0.0]) == [0.0] and not method.outcome:
        model, masks = pruned(0.0)
        lost = [key for key, mask in masks.items() if not mask.all()]
        moved = [] if _compensates(method) else _differ(_weights(dense), _weights(model))
        yield _result(name, "sparsity 0 is the identity", lost or moved)
    if method.nested and len(wanted) > 1:
        less, more = found[wanted[0]][1], found[wanted[-1]][1]
        yield _result(name, "nested masks", [k for k in less if (more[k] & ~less[k]).any()])


def _result(network: str, check: str, faults: list[str]) -> CheckResult:
    shown = ", ".join(faults[:3]) + (", …" if len(faults) > 3 else "")
    return CheckResult(network, check, BROKEN if faults else PASSED, shown)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in model.named_parameters()}


def _differ(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Return the names whose tensors are not equal bit by bit."""
    return [name for name in {**one, **other} if not torch.equal(one[name], other[name])]


def _compensates(method: Method) -> bool:
    return method.spec(Criterion).traits.compensates


def _inexact(
    method: Method, dense: nn.Module, masks: Masks, layers: list[str], sparsity: float
) -> list[str]:
    """Say where the number of removed weights is not round(s · n); whole units cannot meet it."""
    removed = sum(int((~masks[name]).sum()) for name in layers if name in masks)
    total = sum(dict(dense.named_parameters())[name].numel() for name in layers)
    if method.pattern.name != "weight" or method.outcome:
        return [] if 0 < removed < total else [f"{removed} of {total} weights removed"]
    wanted = round(sparsity * total)
    return [] if removed == wanted else [f"{plural(removed, 'weight')} removed, not {wanted}"]


def _touched(method: Method, dense: nn.Module, model: nn.Module, masks: Masks) -> list[str]:
    """Return parameters and buffers that changed although the masks do not say so."""
    before, after = _weights(dense), _weights(model)
    faults = []
    for name, value in after.items():
        mask = masks.get(name, torch.ones_like(value, dtype=torch.bool))
        if mask.shape != value.shape or mask.dtype != torch.bool:
            faults.append(f"{name}: the mask is {mask.dtype} {tuple(mask.shape)}")
        elif value[~mask].any():
            faults.append(f"{name}: not zero where the mask is False")
        elif not _compensates(method) and not torch.equal(value[mask], before[name][mask]):
            faults.append(f"{name}: changed where the mask is True")
    faults += _differ(dict(dense.named_buffers()), dict(model.named_buffers()))
    return faults
