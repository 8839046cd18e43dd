"""How a curve's method measures the time of networks that it may choose."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from prunebench.compression.smallest_network import CHECKED
from prunebench.compression.stopwatch import SmallestForms
from prunebench.experiment.jobs import Baseline
from prunebench.pruning.masks import Masks
from prunebench.pruning.view import Stopwatch
from prunebench.runner.channels import round_to
from prunebench.runner.job_context import JobContext
from prunebench.training.loop import Samples

ENGINE = "eager"  # where the configuration names none
CHOSEN_BY_TIME = "choice by measured times"


def stopwatch_of(job: JobContext, samples: Samples, baseline: Baseline) -> Stopwatch:
    """Return what measures times as the column ``latency_ms`` has them: first engine and batch.

    Other jobs may run meanwhile, which disturbs all networks of a turn alike. A cell that used it
    says so among what is not deterministic.

    Args:
        job: its settings and device.
        samples: of the baseline; the first training inputs show that a smaller network is the same.
        baseline: on whose curve networks are chosen.
    """
    settings = job.plan.experiment.latency

    def measure(model: nn.Module, candidates: Mapping[str, Masks]) -> dict[str, float]:
        job.nondeterministic.add(CHOSEN_BY_TIME)
        forms = SmallestForms(
            images=samples.normalize(samples.inputs[:CHECKED]),
            engine=(*settings.engines, ENGINE)[0], batch=settings.batches[0],
            threads=job.plan.experiment.compute.threads,
            repeats=settings.repeats, warm_up=settings.warm_up,
            round_to=round_to(job, baseline),
        )  # fmt: skip
        return forms(model, candidates)

    return measure
