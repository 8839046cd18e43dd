"""Which networks the recoveries of a curve train: those without the units that they lost."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from prunebench.compression.shrunk_training import CHECKED, smaller_network
from prunebench.experiment.settings import Method
from prunebench.pruning.curve import Smaller
from prunebench.pruning.masks import Masks
from prunebench.runner.job_context import JobContext
from prunebench.training.loop import Samples


def smaller_of(
    job: JobContext, method: Method, samples: Samples
) -> Callable[[nn.Module, Masks], Smaller] | None:
    """Return what gives the smaller network to train; None where masked networks are trained.

    Args:
        job: its settings.
        method: of the curve; most remove no whole units.
        samples: of the baseline; the first show that a smaller network trains as the masked one.
    """
    if not (method.units and job.plan.experiment.compute.train_shrunk):
        return None

    def smaller(model: nn.Module, masks: Masks) -> Smaller:
        inputs = samples.normalize(samples.inputs[:CHECKED])
        targets = samples.targets[:CHECKED]
        return smaller_network(model, masks, inputs, targets, samples.kind.loss)

    return smaller
