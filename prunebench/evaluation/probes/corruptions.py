"""Probe: the error under corruptions of the test images."""

from __future__ import annotations

from prunebench.evaluation.image_corruptions import corrupted_errors
from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.registry import probe
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
)
def corruptions(subject: Subject) -> dict[str, float]:
    """Test error on seeded corruptions of three strengths each."""
    images, labels = subject.test
    return corrupted_errors(
        lambda batch: predict(subject.model, batch, subject.normalize), images, labels, subject.seed
    )
