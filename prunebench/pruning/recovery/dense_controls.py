"""Controls that fight overfitting without pruning: early stopping, a tuned weight decay.

They go with the schedule ``dense``. Both start from the baseline's initialization, see its batches
in its order, and choose on validation: on labels with the noise of the training labels, which is
what a practitioner has, or on clean ones, where asked for. Their record's cost is that of all they
tried.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace

from torch import nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import recovery
from prunebench.pruning.curve import Curve
from prunebench.pruning.masks import Masks, apply
from prunebench.training.loop import Run, predict

# defaults: around the values that are usual with each optimizer; their scales differ
_DECAYS = {"sgd": (0.0, 1e-4, 5e-4, 2e-3, 1e-2), "adamw": (0.0, 0.01, 0.05, 0.2, 1.0)}


def validation(curve: Curve, model: nn.Module) -> tuple[float, float]:
    """Return error in [0, 1] and mean negative log-likelihood (nats) on validation.

    Against the targets by which a choice is made: with the regime's noise, if any. Kinds of tasks
    without a likelihood have 0.
    """
    samples, kind = curve.samples, curve.samples.kind
    targets = samples.choice_targets
    stored = predict(model, samples.val_inputs, targets, kind, samples.normalize)
    found, wanted = kind.read(stored.double().numpy()), targets.cpu().numpy()
    losses = kind.nlls(found, wanted)
    return kind.error(found, wanted), 0.0 if losses is None else float(losses.mean())


def _start(curve: Curve, model: nn.Module, masks: Masks) -> None:
    model.load_state_dict(dict(curve.states(0)))
    apply(model, masks)


def _choosing(curve: Curve, clean: bool) -> Curve:
    """Return the curve as one that chooses on clean validation labels, if asked to."""
    if not clean:
        return curve
    return replace(curve, samples=replace(curve.samples, noisy_val_targets=None))


@recovery(length="training", from_scratch=True, stops=True)
def early_stopping(
    curve: Curve, model: nn.Module, masks: Masks, *, clean_validation: bool = False
) -> Run:
    """Train from initialization; keep the epoch of the lowest validation error (Prechelt 1998).

    The first of equal epochs among those validated (``training.validate_every``) is kept. Training
    runs to its end, to see that no later epoch is better, and counts in full. The history marks the
    epoch kept (``kept: true``).

    Args:
        clean_validation: whether to choose on validation labels without the regime's noise.
    """
    _start(curve, model, masks)
    run = _choosing(curve, clean_validation).train(model, masks, start=0, stop=curve.epochs)
    if run.stopped is not None:
        model.load_state_dict(run.stopped.state)
        kept = run.stopped.epoch
        run.history = [
            {**entry, "kept": True} if entry["epoch"] == kept else entry for entry in run.history
        ]
    return run


@recovery(length="training", from_scratch=True, regularizes=True, ranges={"values": "[0, inf)"})
def tuned_weight_decay(
    curve: Curve,
    model: nn.Module,
    masks: Masks,
    *,
    values: list[float] | None = None,
    clean_validation: bool = False,
) -> Run:
    """Train from initialization with each weight decay; keep the lowest validation error.

    The negative log-likelihood decides between equal errors, then the order of the values. Every
    training counts as cost. The history is that of the training kept, and names its
    ``weight_decay``.

    Args:
        values: weight decays to try; None: five around what is usual for the optimizer.
        clean_validation: whether to choose on validation labels without the regime's noise.

    Raises:
        PrunebenchError: there is no value.
    """
    # YAML reads 1e-3 as a text
    tried = _DECAYS[curve.training.optimizer] if values is None else list(map(float, values))
    if not tried:
        raise PrunebenchError("tuned-weight-decay: values must be at least one number")
    curve = _choosing(curve, clean_validation)
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
    return replace(chosen, epochs=total.epochs, seconds=total.seconds)
