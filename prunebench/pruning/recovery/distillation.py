"""Recovery by knowledge distillation from the dense network (Hinton 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.experiment.registry import recovery
from prunebench.pruning.curve import Curve
from prunebench.pruning.masks import Masks
from prunebench.training.loop import Hooks, Run, logits_of


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T² · KL(teacher ‖ student) of logits [B, classes] softened by T, mean of the batch."""
    return temperature**2 * functional.kl_div(
        functional.log_softmax(student.float() / temperature, 1),
        functional.log_softmax(teacher.float() / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )


@recovery(
    length="recovery",
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

    The loss is ``weight`` · T² · KL(baseline ‖ network) + (1 − ``weight``) · cross-entropy. The
    baseline sees the same batches, in eval mode.

    Args:
        temperature: T, above 0.
        weight: of the divergence, in [0, 1].
        rewind: repeat the baseline's whole learning-rate schedule, as learning-rate rewinding does;
            ``epochs`` and ``rate_share`` then do not count.
        epochs: length of the training; None: the configuration's ``training.recovery_epochs``.
        rate_share: constant learning rate, relative to the baseline's.
    """
    teacher = curve.model_at(curve.epochs).eval().requires_grad_(False)

    def loss(logits: Tensor, labels: Tensor, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = logits_of(teacher(inputs))
        plain = functional.cross_entropy(logits, labels)
        return weight * divergence(logits, wanted, temperature) + (1 - weight) * plain

    hooks = Hooks(loss=loss)
    if rewind:
        return curve.train(model, masks, start=0, stop=curve.epochs, hooks=hooks)
    length = epochs or curve.training.recovery_epochs or curve.epochs
    rate = curve.training.learning_rate * rate_share
    return curve.train(
        model, masks, start=0, stop=length, rate=lambda epoch: rate, own_order=True, hooks=hooks
    )
