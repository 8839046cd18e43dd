"""Export of the runs that MLflow gets to TensorBoard: event files, without torch."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from prunebench.storage.files import remove_tree
from prunebench.storage.layout import Layout
from prunebench.tracking.mlflow_runs import MlflowRun, read_runs

FOLDER = "tensorboard"  # in that of the experiment
# curves of few points over compression, which TensorBoard would smooth
_PAGE = "http://localhost:6006/?tagFilter=^curve/&smoothing=0"


def export(layout: Layout) -> str:
    """Write ``tensorboard/``, a folder for each run; what an earlier export wrote is replaced.

    Args:
        layout: The folders of the experiment.

    Returns:
        What was done, and the command that shows it.

    Raises:
        PrunebenchError: A file of the experiment is missing or damaged.
        ImportError: TensorBoard is not installed.
    """
    runs = read_runs(layout)
    folder, fresh = layout.root / FOLDER, layout.root / f".{FOLDER}-new"
    remove_tree(fresh)  # of an export that was killed
    _write(runs, fresh)
    remove_tree(folder)
    fresh.rename(folder)
    show = f"tensorboard --logdir {shlex.quote(str(folder))}"
    return f"{len(runs)} runs in {folder}: look at them with {show}, then {_PAGE}"


def _write(runs: Sequence[MlflowRun], folder: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder.mkdir()
    for run in runs:
        writer = EventFileWriter(str(folder / run.key))
        for name, value, step in run.metrics:
            tag = name if "/" in name else f"cell/{name}"  # one section of cards, not sixty
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
        writer.close()
