"""Probe: the error under corruptions of the test images."""

from __future__ import annotations

from torch import Tensor

from prunebench.evaluation.image_corruptions import corrupted_errors
from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.registry import probe
from prunebench.tasks.forms import Pixels
from prunebench.tasks.kinds.classification import Classification
from prunebench.training.loop import predict


@probe(
    columns={
        "corrupted_error": "mean of the four below",
        "corrupted_noise_error": "mean over σ of mean(ŷ(x + ε) ≠ y), ε ~ N(0, σ²)",
        "corrupted_blur_error": "mean over σ of mean(ŷ(G_σ * x) ≠ y)",
        "corrupted_contrast_error": "mean over c of mean(ŷ(x̄ + c (x − x̄)) ≠ y)",
        "corrupted_pixelation_error": "mean over c of mean(ŷ(block means of x, c per pixel) ≠ y)",
    },
    better="lower",
    unit="share",
    source="Hendrycks 2019",
    kinds=("classification",),
)
def corruptions(subject: Subject) -> dict[str, float]:
    """Test error on seeded corruptions of three strengths each; of images with one class each."""
    if not (isinstance(subject.form, Pixels) and isinstance(subject.kind, Classification)):
        return {}  # the columns stay empty
    images, labels = subject.test

    def logits(batch: Tensor) -> Tensor:
        wanted = labels[: len(batch)]  # classes are stored as logits whatever they should be
        return predict(subject.model, batch, wanted, subject.kind, subject.normalize)

    return corrupted_errors(logits, images, labels, subject.seed)
