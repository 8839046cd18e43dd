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
from prunebench.tasks.task_kind import TaskKind, scale_of

Floats = NDArray[Any]
SHARE = 0.999  # of the samples on which a file must agree
# of the largest magnitude of what is stored: what other kernels, and folded batch norms, may round
# away
TOLERANCE = 1e-3
_BATCH = 500
_LIMIT = 900  # seconds
_HARNESS = f"""
import sys

import numpy

inputs = numpy.load(sys.argv[1])
parts = [predict(inputs[i : i + {_BATCH}]) for i in range(0, len(inputs), {_BATCH})]
numpy.save(sys.argv[2], numpy.concatenate(parts))
"""


@dataclass(frozen=True)
class Agreement:
    """How far two sets of predictions agree."""

    samples: int
    share: float  # of the samples: the same prediction within the tolerance
    difference: float  # the largest of what is stored, relative to its largest magnitude
    tolerance: float = TOLERANCE


def predict_fresh(loader: str, folder: Path, inputs: NDArray[Any]) -> Floats:
    """Return what an exported file answers in a new process, [N, ...].

    Args:
        loader: code that defines ``predict``.
        folder: of the exported files, in which the process runs.
        inputs: [N, ...] as they are stored, e.g. uint8 [N, C, H, W].

    Raises:
        PrunebenchError: that process fails.
    """
    # the suite need not be installed to be found
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    with tempfile.TemporaryDirectory() as name:
        given, found, code = (Path(name) / file for file in ("in.npy", "out.npy", "predict.py"))
        np.save(given, inputs)
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
        answers: Floats = np.load(found)
    return answers


def agreement(
    kind: TaskKind, stored: Floats, found: Floats, tolerance: float = TOLERANCE
) -> Agreement:
    """Compare two sets of predictions: whether they say the same, and how far they are apart.

    The kind of task says when two agree, within ``tolerance`` times the largest magnitude of all
    that is stored: of classes, where the one found is the stored one, or tied with it. A value that
    is not finite agrees with nothing.

    Args:
        kind: of the task.
        stored: predictions [N, ...] that were stored.
        found: what would be stored of the file's, [N, ...].
        tolerance: relative to the largest stored value.

    Raises:
        PrunebenchError: the two differ in shape.
    """
    if stored.shape != found.shape:
        raise PrunebenchError(
            f"the exported file predicts {found.shape}, the stored predictions are {stored.shape}"
        )
    stored, found = stored.astype(np.float64), found.astype(np.float64)
    finite = _finite(found) & _finite(stored)
    if not finite.any():
        return Agreement(len(stored), 0.0, float("inf"), tolerance)
    size = scale_of(stored[finite])
    agrees = np.zeros(len(stored), bool)
    agrees[finite] = kind.agrees(stored[finite], found[finite], tolerance)
    apart = float(np.abs(stored[finite] - found[finite]).max()) / size
    difference = apart if finite.all() else float("inf")
    return Agreement(len(stored), float(agrees.mean()), difference, tolerance)


def _finite(values: Floats) -> NDArray[np.bool_]:
    finite: NDArray[np.bool_] = np.isfinite(values).reshape(len(values), -1)
    return np.asarray(finite.all(1))
