"""Prune a network of one's own in one call."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.part_kinds import Schedule
from prunebench.experiment.settings import Method, Prunable
from prunebench.experiment.validation import validated
from prunebench.pruning import compose, left_out
from prunebench.pruning.held_networks import made_permanent, require_tensor, unwrapped
from prunebench.pruning.layers import Layers, sort_layers
from prunebench.pruning.masks import Masks
from prunebench.pruning.view import Batches, Loss, View


def prune(
    model: nn.Module,
    method: str | Mapping[str, Any] = "magnitude",
    sparsity: float = 0.9,
    *,
    batches: Batches | None = None,
    loss: Loss | None = None,
    seed: int = 0,
    prunable: Mapping[str, Any] | None = None,
    example: Tensor | None = None,
) -> dict[str, Tensor]:
    """Prune ``model`` in place, once, and return what was kept.

    Args:
        model: any module; its weights become zero where the masks are False. Of a ``DataParallel``
            the network inside is pruned. What torch.nn.utils.prune has pruned stays pruned, and
            counts; its hooks and masks give way to plain parameters.
        method: a preset's name, or a mapping as in the configuration's ``methods``. Its criterion,
            pattern and allocation are used; schedule and recovery are training, which is yours.
        sparsity: the share of the prunable weights to remove, in [0, 1).
        batches: calibration data, ``[(inputs, targets), ...]``, for criteria that look at data.
        loss: ``loss(logits, targets)``, a mean over the batch; cross-entropy by default.
        seed: of every random draw.
        prunable: as in the configuration: ``{"head": False, "exclude": ["*.downsample.*"]}``.
        example: an input [B, ...] to trace the network with, for filters and blocks; by default the
            first of ``batches``.

    Returns:
        ``{parameter name: bool tensor}`` as in ``model.named_parameters()``, True is kept. To keep
        the weights zero while training on, multiply by the masks after every optimizer step.

    Warns:
        UserWarning: weights that are a notable part of the network are not prunable, or layers
            keep all of their filters since what follows them is not known to lose channels.

    Raises:
        PrunebenchError: unknown method or part, a control that removes nothing, sparsity out of
            range or less than was pruned before, nothing to prune, a pattern that names no layer,
            data missing, or a method that cannot do what was asked on this model (with the reason).
    """
    if not 0 <= sparsity < 1:
        raise PrunebenchError(f"sparsity must lie in [0, 1), found {sparsity}")
    if example is not None:
        require_tensor(example)
    resolved = config.method(method if isinstance(method, str) else {"name": "custom", **method})
    _refuse_controls(resolved, sparsity)
    inner, prefix = unwrapped(model)
    settings = _without(prefix, validated(Prunable, dict(prunable or {}), "prunable"))
    given = None if batches is None else list(batches)  # more than one round may read it
    earlier = made_permanent(inner)
    traced = example if example is not None or not given else given[0][0]
    layers = sort_layers(inner, settings, traced)
    _check(layers, earlier, sparsity)
    # found once: the view need not trace again
    settings = settings.model_copy(update={"classifier": [*layers.classifier]})

    view = View(
        inner, batches=given, loss=loss, seed=seed, prunable=settings, within=earlier,
        example=example,
    )  # fmt: skip

    def look(masks: Masks | None) -> View:
        return view if masks is None else view.pruned(masks)

    rounds = resolved.schedule.parameters.get("rounds", 1)
    scored, masks = compose.masks_in_rounds(resolved, look, sparsity, rounds)
    compose.prune(inner, scored, masks)
    for line in _notable(view, layers, settings):
        warnings.warn(line, stacklevel=2)
    return {f"{prefix}{name}": mask for name, mask in {**earlier, **masks}.items()}


def _refuse_controls(method: Method, sparsity: float) -> None:
    """Refuse a method whose schedule knows other sparsities alone: a control removes nothing."""
    schedule = method.spec(Schedule)
    own = schedule.traits.sparsities
    if isinstance(own, tuple) and sparsity not in own:
        known = " or ".join(f"{one:g}" for one in own)
        what = "which removes nothing" if own == (0.0,) else f"which knows sparsity {known} alone"
        raise PrunebenchError(
            f"method {method.name!r} has schedule {schedule.name!r}, {what}: sparsity {sparsity:g}"
            " needs a method that prunes, e.g. 'magnitude'"
        )


def _without(prefix: str, settings: Prunable) -> Prunable:
    """Return the settings with patterns that do not begin with what a wrapper puts before names."""
    named = {"exclude": settings.exclude, "classifier": settings.classifier}
    changed = {key: [p.removeprefix(prefix) for p in value] for key, value in named.items()}
    return settings.model_copy(update=changed)


def _check(layers: Layers, earlier: Masks, sparsity: float) -> None:
    """Refuse patterns that name nothing, and a target that earlier pruning is beyond."""
    for fault in layers.unfitting.values():
        raise PrunebenchError(fault)
    total = sum(layer.weight.numel() for layer in layers.prunable.values())
    gone = sum(int((~earlier[name]).sum()) for name in layers.prunable if name in earlier)
    if gone > round(sparsity * total):
        raise PrunebenchError(
            f"sparsity {sparsity:g}: torch.nn.utils.prune has removed {gone / total:.4g} of the"
            " prunable weights already, which do not come back"
        )


def _notable(view: View, layers: Layers, settings: Prunable) -> list[str]:
    """Return what a user should know of what was not pruned, in lines."""
    lines = [left_out.said(view.model, layers, settings)]
    if "coupling" in vars(view) and view.coupling.whole:  # found: a pattern asked for it
        lines.append(f"these layers keep all of their filters: {view.coupling.said()}")
    return [line for line in lines if line]
