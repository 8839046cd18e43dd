"""Gate of the protocol: whether a baseline was trained until it knows its training set."""

from __future__ import annotations

MEMORIZED_AT = 0.01  # the largest training error, a fraction, of a baseline that passes


def under_trained(train_error: float | None, *, noisy: bool, augmented: bool) -> bool:
    """Return whether a baseline did not learn its training set although it could have.

    Gains over such a network are spurious. With augmentation alone it need not learn every sample.

    Args:
        train_error: Against the labels trained on, a fraction; None or NaN where not measured.
        noisy: Whether its regime has wrong labels.
        augmented: Whether its regime trains with augmentation.
    """
    return (noisy or not augmented) and (train_error or 0.0) > MEMORIZED_AT
