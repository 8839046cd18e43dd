"""Put a method's parts together: from a view of a network to its masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import Refused
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import KINDS, Allocation, Pattern
from prunebench.experiment.settings import First, Method, Part
from prunebench.pruning.allocation import drawn_units
from prunebench.pruning.held_networks import copied
from prunebench.pruning.layers import Layer
from prunebench.pruning.masks import Chosen, Masks, apply, drawn_of, search_of, tied_share
from prunebench.pruning.modes import evaluating
from prunebench.pruning.view import Compensated, Scores, Swept, View
from prunebench.storage.hashing import derive_seed
from prunebench.text.numbers import percent
from prunebench.training import models
from prunebench.training.loop import logits_of, seed_layers

MOSTLY = 0.5  # the largest share of what is kept that may be a draw that matters
_SAME = 1e-5  # relative difference of outputs that rounding explains


def part(method: Method | First, kind: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the function of a part, and the parameters that the method gives it."""
    return registry.load(method.spec(KINDS[kind])), dict(getattr(method, kind).parameters)


def score(method: Method | First, view: View) -> Compensated:
    """Return the criterion's scores (higher is kept), and how it changes the weights that stay."""
    criterion, parameters = part(method, "criterion")
    view.counts_known = (
        method.spec(Pattern).traits.counts_alone or method.spec(Allocation).traits.counts_alone
    )
    with torch.random.fork_rng():
        # a criterion that draws from the global generator still repeats itself
        device = next(view.model.parameters()).device
        seed_layers(derive_seed(view.seed, "global"), device)
        scored = criterion(view, **parameters)
    scored = scored if isinstance(scored, Compensated) else Compensated(scored, lambda masks: {})
    _refuse_others(scored.scores, method.criterion.name)
    return scored


def _refuse_others(scores: Any, name: str) -> None:
    """Refuse what a criterion returned where it is no mapping of names to tensors."""
    wanted = f"criterion {name!r} must return {{name of a weight: tensor of its scores}}"
    if not isinstance(scores, Mapping):
        raise Refused(f"{wanted}, it returned a {type(scores).__name__}")
    for weight, value in scores.items():
        if not isinstance(value, Tensor):
            hint = "; torch.from_numpy makes a tensor of it" if hasattr(value, "__array__") else ""
            raise Refused(f"{wanted}, it returned a {type(value).__name__} for {weight!r}{hint}")


@torch.no_grad()
def prune(model: nn.Module, scored: Compensated, masks: Masks) -> None:
    """Change the weights as the criterion says, then set to zero what is not kept, in place."""
    parameters = dict(model.named_parameters())
    for name, value in scored.update(masks).items():
        parameters[name].copy_(value)
    apply(model, masks)


def masks_in_rounds(
    method: Method, look: Callable[[Masks | None], View], sparsity: float, rounds: int
) -> tuple[Compensated, Masks]:
    """Score and prune several times without training (Tanaka 2020, algorithm 1).

    Args:
        method: its criterion, pattern and allocation are used.
        look: returns a view of the network pruned by the masks so far (None: not at all).
        sparsity: the target s; round k goes to density (1 − s)^(k / rounds).
        rounds: how many.

    Returns:
        The scores of the last round, and the masks at the target.
    """
    masks: Masks | None = None
    for number in range(1, rounds + 1):
        view = look(masks)
        scored = score(method, view)
        target = sparsity if number == rounds else 1 - (1 - sparsity) ** (number / rounds)
        earlier = search_of(masks or {})
        masks = masks_at(method, view, scored.scores, target)
        if isinstance(masks, Chosen):
            masks.search = masks.search.after(earlier)
    assert masks is not None
    return scored, masks


def masks_at(method: Method, view: View, scores: Scores, sparsity: float) -> Masks:
    """Return masks at a target sparsity; nothing outside ``view.within`` is kept.

    What the method prunes ``first`` goes to its share of the target, and the rest is chosen from
    what is left.

    Args:
        method: its pattern and allocation are used, and its ``first``.
        view: the network that was scored.
        scores: of the method's criterion.
        sparsity: the target, in [0, 1).

    Raises:
        Refused: a pattern or an allocation cannot meet its target on this network.
    """
    if method.first is None:
        return _chosen(method, view, scores, sparsity)
    first = method.first
    if "first" not in view.memory:  # both parts score the same network, once for all sparsities
        view.memory["first"] = score(first, view).scores
    density = (1 - sparsity) ** first.share
    early = _chosen(first, view, view.memory["first"], 1 - density)
    left = copy(view)
    left.within = {**view.within, **early}
    late = _chosen(method, left, scores, sparsity)
    drawn = dict(drawn_of(late))
    for name, flags in drawn_of(early).items():
        drawn[name] = flags & late.get(name, flags) | drawn.get(name, torch.zeros_like(flags))
    return Chosen({**early, **late}, drawn, search_of(late).after(search_of(early)))


def checked_for_draws(method: Method, view: View, masks: Masks, sparsity: float) -> Masks:
    """Return masks as they are, unless most of what they keep is a draw that matters.

    A draw among weights that do nothing decides nothing: kernel positions that only ever see
    padding, inputs that are always zero. It is recorded, not refused.

    Raises:
        Refused: most of what is kept was drawn among equal scores, and it changes what the network
            computes, or will once residual branches that start at zero have left it. The result
            would be random pruning's under the name of a criterion.
    """
    share = tied_share(masks, view.layers)
    if share is None or share <= MOSTLY:
        return masks
    zero = models.zero_branches(view.model)
    if not zero and not _matters(view, masks, drawn_of(masks)):
        return masks
    remedy = (
        "residual branches of this network start at zero: build it with arguments:"
        " {zero_init_last: false}"
        if zero
        else "use another criterion, network or sparsity, or random itself"
    )
    raise Refused(
        f"at {percent(sparsity)}, {percent(share)} of the weights kept were drawn among equal"
        f" scores: {method.criterion.name} does not tell them apart, so this would be random"
        f" pruning under another name; {remedy}"
    )


@torch.no_grad()
def _matters(view: View, masks: Masks, drawn: Masks) -> bool:
    """Return whether the network computes something else without the weights that were drawn."""
    without = {name: mask & ~drawn.get(name, ~mask) for name, mask in masks.items()}
    one, two = (copied(view.model) for _ in range(2))
    apply(one, masks)
    apply(two, without)
    with evaluating(one), evaluating(two):
        for inputs, _ in view.batches:
            kept, left = logits_of(one(inputs)), logits_of(two(inputs))
            if (kept - left).abs().max() > _SAME * kept.abs().max():
                return True
    return False


def _chosen(method: Method | First, view: View, scores: Scores, sparsity: float) -> Masks:
    masks = _ranked(method, view, scores, sparsity)
    return scores.settle(view, masks, _Part(method, view)) if isinstance(scores, Swept) else masks


def _ranked(method: Method | First, view: View, scores: Scores, sparsity: float) -> Masks:
    traits = method.spec(Allocation).traits
    if traits.tries:
        return _tried(method, view, scores, sparsity)
    pattern, pattern_parameters = part(method, "pattern")
    allocation, parameters = part(method, "allocation")

    def allocate(units: Scores, remove: int, least: int) -> Chosen:
        keep = allocation(units, remove, least, view.generator, **parameters)
        return Chosen(keep, drawn_units(units, keep, traits.compares))

    return _within(view, pattern(view, scores, allocate, sparsity, **pattern_parameters))


def _within(view: View, masks: Masks) -> Chosen:
    kept = {name: mask & view.within.get(name, mask) for name, mask in masks.items()}
    return Chosen(kept, {name: flags & kept[name] for name, flags in drawn_of(masks).items()})


@dataclass(frozen=True)
class Trial:
    """What an allocation that tries networks works with (trait ``tries``).

    ``masks(keep)`` returns what is left of each parameter where ``keep`` says it of the units, by
    the names of the scores, True is kept. ``whole_layers`` tells whether each unit is a layer of
    its own, as a block is, and not one of the many of a layer.
    """

    view: View
    masks: Callable[[Masks], Masks]
    whole_layers: bool


def _tried(method: Method | First, view: View, scores: Scores, sparsity: float) -> Masks:
    """Return masks by an allocation that chooses among networks, whichever units these have."""
    allocation, parameters = part(method, "allocation")
    units, least, trial = trial_of(method, view, scores)
    remove = round(sparsity * sum(value.numel() for value in view.weights.values()))
    keep = allocation(units, remove, least, view.generator, trial, **parameters)
    drawn = drawn_units(units, keep, method.spec(Allocation).traits.compares)
    masks = trial.masks(Chosen(keep, drawn))
    return Chosen(masks, drawn_of(masks), search_of(keep))


def trial_of(method: Method | First, view: View, scores: Scores) -> tuple[Scores, int, Trial]:
    """Return the units that a method's pattern removes, and what tells the networks without some.

    The pattern is not asked how many units go, but what is left of the network without some.

    Args:
        method: its pattern is used.
        view: the network that was scored.
        scores: of the method's criterion.

    Returns:
        The scores of the units, how many of each tensor must stay, and the networks.
    """
    pattern, parameters = part(method, "pattern")
    seen: list[tuple[Scores, int]] = []

    def whole(units: Scores, remove: int, least: int) -> Masks:
        seen.append((units, least))
        return {name: ~value.isneginf() for name, value in units.items()}

    def masks_of(keep: Masks) -> Chosen:
        masks = pattern(view, scores, lambda *_: keep, 0.0, **parameters)
        return _within(view, masks)

    pattern(view, scores, whole, 0.0, **parameters)
    (units, least), *_ = seen
    return units, least, Trial(view, masks_of, method.spec(Pattern).traits.whole_layers)


@dataclass(frozen=True)
class _Inputs(Layer):
    """A layer cut down to some of its inputs."""

    part: nn.Parameter = field(kw_only=True)

    @property
    def weight(self) -> nn.Parameter:
        return self.part


@dataclass(frozen=True)
class _Part:
    """The Choice of a method: its pattern and allocation, applied to some inputs of one layer."""

    method: Method | First
    view: View

    @property
    def together(self) -> int:
        parameter = self.method.spec(Pattern).traits.together
        return self.method.pattern.parameters[parameter] if parameter else 0

    def __call__(self, name: str, first: int, scores: Tensor, remove: int) -> Tensor:
        layer, view = self.view.layers[name], copy(self.view)
        part = nn.Parameter(scores, requires_grad=False)
        view.layers = {name: _Inputs(name, layer.module, layer.parameter, part=part)}
        view.within = {
            key: mask[:, first : first + scores.shape[1]]
            for key, mask in self.view.within.items()
            if key == name
        }
        view.seed = derive_seed(view.seed, "inputs", first)  # ties are drawn anew
        alone = self.method.spec(Allocation).traits.alone
        changed = {"allocation": Part(name=alone)} if alone else {}
        method = self.method.model_copy(update=changed)
        return _ranked(method, view, {name: scores}, remove / scores.numel())[name]
