"""Controls that fight overfitting without pruning: early stopping, a tuned weight decay.

They go with the schedule ``dense``. Both start from the baseline's initialization, see its batches
in its order, and choose on validation. Their record's cost is that of all they tried.
"""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import recovery
from prunebench.pruning.curve import Curve
from prunebench.pruning.masks import Masks, apply
from prunebench.training.checkpoints import Memory, Tensors
from prunebench.training.loop import Hooks, Run, predict

# defaults: around the values that are usual with each optimizer; their scales differ
_DECAYS = {"sgd": (0.0, 1e-4, 5e-4, 2e-3, 1e-2), "adamw": (0.0, 0.01, 0.05, 0.2, 1.0)}


def validation(curve: Curve, model: nn.Module) -> tuple[float, float]:
    """Return error in [0, 1] and mean negative log-likelihood (nats) on the validation images."""
    labels = curve.samples.val_labels.cpu()
    logits = predict(model, curve.samples.val_images, curve.samples.normalize)
    error = (logits.argmax(1) != labels).float().mean().item()
    return error, functional.cross_entropy(logits, labels).item()


def _start(curve: Curve, model: nn.Module, masks: Masks) -> None:
    model.load_state_dict(dict(curve.states(0)))
    apply(model, masks)


@recovery(length="training", anew=True)
def early_stopping(curve: Curve, model: nn.Module, masks: Masks) -> Run:
    """Train from initialization; keep the epoch of the lowest validation error (Prechelt 1998).

    The first of equal epochs is kept. Training runs to its end, to see that no later epoch is
    better, and counts in full. The history marks the epoch kept (``kept: true``).
    """
    _start(curve, model, masks)
    errors: list[float] = []
    state: dict[str, Tensor] = {}

    def look(epoch: int) -> None:
        nonlocal state
        errors.append(validation(curve, model)[0])
        if epoch == 1 or errors[-1] < min(errors[:-1]):
            state = deepcopy(model.state_dict())

    def keep() -> Tensors:
        found = {f"best/{name}": value for name, value in state.items()}
        return {**found, "errors": torch.tensor(errors, dtype=torch.float64)}

    def recall(kept: Tensors) -> None:
        nonlocal errors, state
        errors = kept["errors"].tolist()
        state = {name: kept[f"best/{name}"] for name in model.state_dict()}

    hooks = Hooks(memory=Memory(keep, recall))
    run = curve.train(model, masks, start=0, stop=curve.epochs, after_epoch=look, hooks=hooks)
    for entry, error in zip(run.history, errors, strict=False):  # a diverged epoch has none
        entry["val_error"] = error
    if errors:
        model.load_state_dict(state)
        run.history[errors.index(min(errors))]["kept"] = True
    return run


@recovery(length="training", anew=True, ranges={"values": "[0, inf)"})
def tuned_weight_decay(
    curve: Curve, model: nn.Module, masks: Masks, *, values: list[float] | None = None
) -> Run:
    """Train from initialization with each weight decay; keep the lowest validation error.

    The negative log-likelihood decides between equal errors, then the order of the values. Every
    training counts as cost. The history is that of the training kept, and names its
    ``weight_decay``.

    Args:
        values: weight decays to try; None: five around what is usual for the optimizer.

    Raises:
        PrunebenchError: there is no value.
    """
    # YAML reads 1e-3 as a text
    tried = _DECAYS[curve.training.optimizer] if values is None else list(map(float, values))
    if not tried:
        raise PrunebenchError("tuned-weight-decay: values must be at least one number")
    total, chosen, best, state = Run(), Run(diverged=True), (math.inf, math.inf), None
    for value in tried:
        _start(curve, model, masks)
        training = curve.training.model_copy(update={"weight_decay": value})
        run = curve.train(model, masks, start=0, stop=curve.epochs, training=training)
        total.epochs += run.epochs
        total.seconds += run.seconds
        found = (math.inf, math.inf) if run.diverged else validation(curve, model)
        if state is None or found < best:
            best, state, chosen = found, deepcopy(model.state_dict()), run
            chosen.history = [{**entry, "weight_decay": value} for entry in run.history]
    assert state is not None
    model.load_state_dict(state)
    return Run(chosen.history, total.epochs, total.seconds, chosen.diverged)
