"""Recoveries that go on from the baseline's weights, trained or rewound."""

from __future__ import annotations

import torch
from torch import nn

from prunebench.experiment.registry import recovery
from prunebench.experiment.settings import Training
from prunebench.pruning.curve import Curve
from prunebench.pruning.masks import Masks, apply
from prunebench.pruning.modes import batch_norms
from prunebench.training.loop import Run, learning_rate


@recovery(length="none")
def none(curve: Curve, model: nn.Module, masks: Masks) -> Run:
    """Do nothing after pruning."""
    return Run()


@recovery(
    length="recovery",
    ranges={"epochs": "[1, inf)", "rate_share": "(0, inf)", "milestones": "(0, 1)"},
)
def fine_tuning(
    curve: Curve,
    model: nn.Module,
    masks: Masks,
    *,
    epochs: int | None = None,
    rate_share: float = 0.1,
    milestones: list[float] | None = None,
) -> Run:
    """Train on at a small learning rate: ``rate_share`` of the baseline's (Han 2015).

    Args:
        epochs: None: the configuration's ``training.recovery_epochs``.
        rate_share: learning rate, relative to the baseline's.
        milestones: where the rate falls to a tenth, as shares of the epochs; None: it stays.
    """
    length = epochs or curve.training.recovery_epochs or curve.training.epochs
    first = curve.training.learning_rate * rate_share
    falls = [share * length for share in map(float, milestones or ())]

    def rate(epoch: float) -> float:
        return first * 0.1 ** sum(epoch >= fall for fall in falls)

    return curve.train(model, masks, start=0, stop=length, rate=rate, own_order=True)


def last_rate(training: Training, least: float) -> float:
    """Return the learning rate at the end of a schedule, or the last one that has not vanished.

    Args:
        training: epochs and schedule.
        least: for a schedule that falls to 0: the share of its largest learning rate below which a
            rate has vanished.
    """
    rate = learning_rate(training)
    end = rate(training.epochs)
    rates = [rate(epoch) for epoch in range(training.epochs)]
    return end or [value for value in rates if value >= least * max(rates)][-1]


@recovery(length="training", ranges={"least": "(0, 1]", "times": "[1, inf)"})
def last_rate_fine_tuning(
    curve: Curve, model: nn.Module, masks: Masks, *, least: float = 0.01, times: int = 1
) -> Run:
    """Train on at the baseline's last learning rate, for as many epochs as it (Renda 2020).

    The last rate of a step schedule is that after its last milestone. A cosine ends at 0, at which
    nothing is learned: there it is the last rate, at the start of an epoch, of at least ``least``
    times the largest.

    Args:
        least: for a schedule that falls to 0: the share of its largest learning rate below which a
            rate has vanished. Two milestones of a tenth each, as in the paper, end at 0.01.
        times: how many times the baseline's epochs.
    """
    rate, length = last_rate(curve.training, least), times * curve.training.epochs
    return curve.train(model, masks, start=0, stop=length, rate=lambda epoch: rate, own_order=True)


@recovery(length="training", ranges={"to_epoch": "[0, inf)", "times": "[1, inf)"})
def learning_rate_rewinding(
    curve: Curve, model: nn.Module, masks: Masks, *, to_epoch: int = 0, times: int = 1
) -> Run:
    """Keep the trained weights, repeat the schedule from ``to_epoch`` (Renda 2020).

    Args:
        to_epoch: the epoch of the baseline's schedule to go back to.
        times: how often in a row. With the schedule ``dense`` this is the dense network trained as
            long as a method of as many rounds.
    """
    rate, length = learning_rate(curve.training), curve.training.epochs - to_epoch
    return curve.train(
        model, masks, start=to_epoch, stop=to_epoch + times * length,
        rate=lambda epoch: rate(to_epoch + (epoch - to_epoch) % length),
    )  # fmt: skip


@recovery(length="training", ranges={"to_epoch": "[0, inf)"})
def weight_rewinding(curve: Curve, model: nn.Module, masks: Masks, *, to_epoch: int = 0) -> Run:
    """Set the kept weights back to ``to_epoch`` and train from there (Frankle 2019, 2020).

    Args:
        to_epoch: the epoch of the baseline's training to go back to.
    """
    model.load_state_dict(dict(curve.states(to_epoch)))
    apply(model, masks)
    return curve.train(model, masks, start=to_epoch, stop=curve.training.epochs)


@recovery(batch_norms=True)
@torch.no_grad()
def batch_norm_recalibration(curve: Curve, model: nn.Module, masks: Masks) -> Run:
    """Measure the statistics of the batch norms again on the training samples; train nothing."""
    norms = batch_norms(model)
    momenta = [module.momentum for module in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a plain mean over the batches
    model.train()
    for images in curve.samples.inputs.split(curve.training.batch_size):
        if len(images) > 1:
            model(curve.samples.normalize(images))
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
    return Run()
