"""Prune a network of one's own in one call."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.settings import Prunable
from prunebench.experiment.validation import validated
from prunebench.pruning import compose, left_out
from prunebench.pruning.masks import Masks, apply
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
) -> dict[str, Tensor]:
    """Prune ``model`` in place, once, and return what was kept.

    Args:
        model: any module; its weights become zero where the masks are False.
        method: a preset's name, or a mapping as in the configuration's ``methods``. Its criterion,
            pattern and allocation are used; schedule and recovery are training, which is yours.
        sparsity: the share of the prunable weights to remove, in [0, 1).
        batches: calibration data, ``[(inputs, targets), ...]``, for criteria that look at data.
        loss: ``loss(logits, targets)``, a mean over the batch; cross-entropy by default.
        seed: of every random draw.
        prunable: as in the configuration: ``{"head": False, "exclude": ["*.downsample.*"]}``.

    Returns:
        ``{parameter name: bool tensor}`` of the parameters' shapes, True is kept. To keep them
        zero while training on, multiply by the masks after every step of the optimizer.

    Warns:
        UserWarning: weights that are a notable part of the network are not prunable, or layers
            keep all of their filters since what follows them is not known to lose channels.

    Raises:
        PrunebenchError: unknown method or part, sparsity out of range, nothing to prune, data
            missing, or a method that cannot do what was asked on this model (with the reason).
    """
    if not 0 <= sparsity < 1:
        raise PrunebenchError(f"sparsity must lie in [0, 1), found {sparsity}")
    resolved = config.method(method if isinstance(method, str) else {"name": "custom", **method})
    settings = validated(Prunable, dict(prunable or {}), "prunable")
    given = None if batches is None else list(batches)  # more than one round may read it

    views: list[View] = []

    def look(masks: Masks | None) -> View:
        apply(model, masks or {})
        view = View(model, batches=given, loss=loss, seed=seed, prunable=settings, within=masks)
        views.append(view)
        return view

    rounds = resolved.schedule.parameters.get("rounds", 1)
    scored, masks = compose.masks_in_rounds(resolved, look, sparsity, rounds)
    compose.prune(model, scored, masks)
    for line in _notable(views[-1], settings):
        warnings.warn(line, stacklevel=2)
    return masks


def _notable(view: View, settings: Prunable) -> list[str]:
    """Return what a user should know of what was not pruned, in lines."""
    lines = [left_out.said(view.model, view.layers, settings)]
    if "coupling" in vars(view) and view.coupling.whole:  # found: a pattern asked for it
        lines.append(f"these layers keep all of their filters: {view.coupling.said()}")
    return [line for line in lines if line]
