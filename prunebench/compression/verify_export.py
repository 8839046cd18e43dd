"""Verify that a file predicts, in another process, what the network was measured to predict."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError

Floats = NDArray[Any]
SHARE = 0.999  # of the images on which a file must agree
# of the largest magnitude of the logits: what other kernels, and folded batch norms, may round away
TOLERANCE = 1e-3
_BATCH = 500
_LIMIT = 900  # seconds
_HARNESS = f"""
import sys

import numpy

images = numpy.load(sys.argv[1])
parts = [predict(images[i : i + {_BATCH}]) for i in range(0, len(images), {_BATCH})]
numpy.save(sys.argv[2], numpy.concatenate(parts))
"""


@dataclass(frozen=True)
class Agreement:
    """How far two sets of predictions agree."""

    images: int
    share: float  # of the images: the same class, ties within the tolerance excepted
    difference: float  # the largest of the logits, relative to their largest magnitude
    tolerance: float = TOLERANCE


def predict_fresh(loader: str, folder: Path, images: NDArray[np.uint8]) -> Floats:
    """Return logits [N, classes] that an exported file predicts in a new process.

    Args:
        loader: code that defines ``predict``.
        folder: of the exported files, in which the process runs.
        images: uint8 [N, C, H, W].

    Raises:
        PrunebenchError: that process fails.
    """
    # the suite need not be installed to be found
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    with tempfile.TemporaryDirectory() as name:
        given, found, code = (Path(name) / file for file in ("in.npy", "out.npy", "predict.py"))
        np.save(given, images)
        code.write_text(loader + _HARNESS, encoding="utf-8")
        try:
            done = subprocess.run(  # noqa: S603
                [sys.executable, str(code), str(given), str(found)],
                cwd=folder, env=environment, capture_output=True, text=True, timeout=_LIMIT,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise PrunebenchError(f"{folder}: the exported file took over {_LIMIT} s") from error
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise PrunebenchError(f"{folder}: the exported file does not predict: {lines[-1]}")
        logits: Floats = np.load(found)
    return logits


def agreement(stored: Floats, found: Floats, tolerance: float = TOLERANCE) -> Agreement:
    """Compare two sets of logits: their classes, and how far they are apart.

    An image agrees where the class found is the stored one's largest, or below it by no more than
    ``tolerance`` times the largest magnitude of all stored logits, since rounding decides such
    ties. A value that is not finite agrees with nothing.

    Args:
        stored: logits [N, classes] that were stored.
        found: logits [N, classes] of the file.
        tolerance: relative to the largest stored logit.

    Raises:
        PrunebenchError: the two differ in shape.
    """
    if stored.shape != found.shape:
        raise PrunebenchError(
            f"the exported file predicts {found.shape}, the stored predictions are {stored.shape}"
        )
    stored, found = stored.astype(np.float64), found.astype(np.float64)
    finite = np.isfinite(found).all(1) & np.isfinite(stored).all(1)
    if not finite.any():
        return Agreement(len(stored), 0.0, float("inf"), tolerance)
    size = float(np.abs(stored[finite]).max()) or 1.0
    chosen = np.take_along_axis(stored, np.nan_to_num(found).argmax(1)[:, None], 1)[:, 0]
    with np.errstate(invalid="ignore"):
        agrees = finite & (stored.max(1) - chosen <= tolerance * size)
        apart = np.abs(stored - found).max() / size
    difference = float(apart) if finite.all() else float("inf")
    return Agreement(len(stored), float(agrees.mean()), difference, tolerance)
