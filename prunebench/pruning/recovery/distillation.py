"""Recovery by knowledge distillation from the dense network (Hinton 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prunebench.experiment.registry import recovery
from prunebench.pruning.curve import Curve
from prunebench.pruning.masks import Masks
from prunebench.training.loop import Hooks, Run, logits_of


@recovery(
    length="recovery",
    distils=True,
    ranges={
        "temperature": "(0, inf)", "weight": "[0, 1]", "epochs": "[1, inf)",
        "rate_share": "(0, inf)",
    },
)  # fmt: skip
def distillation(
    curve: Curve,
    model: nn.Module,
    masks: Masks,
    *,
    temperature: float = 4.0,
    weight: float = 0.9,
    rewind: bool = False,
    epochs: int | None = None,
    rate_share: float = 0.1,
) -> Run:
    """Fine-tuning towards the dense baseline's outputs and the labels (Hinton 2015, section 2).

    The loss is ``weight`` · T² · KL(baseline ‖ network) + (1 − ``weight``) · the task's own, which
    for classes is the cross-entropy; the kind of task defines the divergence. The baseline sees
    the same batches, in eval mode.

    Args:
        temperature: T, above 0.
        weight: of the divergence, in [0, 1].
        rewind: repeat the baseline's whole learning-rate schedule, as learning-rate rewinding does;
            ``epochs`` and ``rate_share`` then do not count.
        epochs: length of the training; None: the configuration's ``training.recovery_epochs``.
        rate_share: constant learning rate, relative to the baseline's.
    """
    kind = curve.samples.kind
    teacher = curve.model_at(curve.epochs).eval().requires_grad_(False)

    def loss(outputs: Tensor, targets: Tensor, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = logits_of(teacher(inputs))
        plain = kind.loss(outputs, targets)
        return weight * kind.divergence(outputs, wanted, temperature) + (1 - weight) * plain

    hooks = Hooks(loss=loss)
    if rewind:
        return curve.train(model, masks, start=0, stop=curve.epochs, hooks=hooks)
    length = epochs or curve.training.recovery_epochs or curve.epochs
    rate = curve.training.learning_rate * rate_share
    return curve.train(
        model, masks, start=0, stop=length, rate=lambda epoch: rate, own_order=True, hooks=hooks
    )
