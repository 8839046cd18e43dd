"""Verify that a file predicts, in another process, what the network was measured to predict."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.tasks.task_kind import TaskKind, scale_of

Floats = NDArray[Any]
SHARE = 0.999  # of the samples on which a file must agree
# of the largest magnitude of what is stored: what other kernels, and folded batch norms, may round
# away
TOLERANCE = 1e-3
_LIMIT = 900  # seconds
_BEFORE = """
import os
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what the file's libraries print is no answer
"""
# part by part, each behind its length in bytes: all answers may be larger than memory
_AFTER = """
import io
import sys

import numpy

inputs, batch = numpy.load(sys.argv[1], mmap_mode="r"), int(sys.argv[2])
for i in range(0, len(inputs), batch):
    part = io.BytesIO()
    numpy.save(part, predict(numpy.array(inputs[i : i + batch])))
    answers.write(len(part.getbuffer()).to_bytes(8, "big"))
    answers.write(part.getbuffer())
    answers.flush()
"""


@dataclass(frozen=True)
class Agreement:
    """How far two sets of predictions agree."""

    samples: int
    share: float  # of the samples: the same prediction within the tolerance
    difference: float  # the largest of what is stored, relative to its largest magnitude
    tolerance: float = TOLERANCE


def predict_fresh(
    loader: str, folder: Path, inputs: NDArray[Any], batch: int = 500
) -> Iterator[Floats]:
    """Yield what an exported file answers in a new process, a batch [B, ...] at a time.

    Args:
        loader: code that defines ``predict``.
        folder: of the exported files, in which the process runs.
        inputs: [N, ...] as they are stored, e.g. uint8 [N, C, H, W].
        batch: samples at a time.

    Raises:
        PrunebenchError: that process fails.
    """
    # the suite need not be installed to be found
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    with tempfile.TemporaryDirectory() as name:
        given, errors, code = (Path(name) / file for file in ("in.npy", "errors", "predict.py"))
        np.save(given, inputs)
        code.write_text(_BEFORE + loader + _AFTER, encoding="utf-8")
        late = threading.Event()
        with (
            errors.open("wb") as said,
            subprocess.Popen(  # noqa: S603
                [sys.executable, str(code), str(given), str(batch)],
                cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=said,
            ) as process,
        ):  # fmt: skip

            def stop() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(_LIMIT, stop)
            timer.start()
            try:
                assert process.stdout is not None
                while (part := _part(process.stdout)) is not None:
                    yield part
                process.wait()
            finally:
                timer.cancel()
                process.kill()
        if late.is_set():
            raise PrunebenchError(f"{folder}: the exported file took over {_LIMIT} s")
        if process.returncode != 0:
            lines = errors.read_text("utf-8", "replace").strip().splitlines()
            reason = lines[-1] if lines else f"exit status {process.returncode}"
            raise PrunebenchError(f"{folder}: the exported file does not predict: {reason}")


def _part(stream: IO[bytes]) -> Floats | None:
    """Return the next answers; None where there are no more, or not all of them came."""
    length = int.from_bytes(stream.read(8), "big")
    content = stream.read(length)
    if not length or len(content) < length:
        return None
    answers: Floats = np.load(io.BytesIO(content), allow_pickle=False)
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
