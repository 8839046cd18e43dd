"""Export of the runs that MLflow gets to Weights & Biases, online or offline as it is set."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.storage.files import read_json, write_json
from prunebench.storage.layout import Layout
from prunebench.text.progress_bars import watched
from prunebench.tracking.mlflow_runs import (
    CURVE_PREFIX,
    HISTORY_PREFIX,
    LEVEL,
    NOTE,
    MlflowRun,
    read_runs,
)

COMPRESSION = "compression"  # what curves are drawn over


def export(layout: Layout) -> str:
    """Make a run of each run that MLflow gets, unless one of the same content was made before.

    Args:
        layout: The folders of the experiment.

    Returns:
        What was done.

    Raises:
        PrunebenchError: A file of the experiment is missing or damaged, or W&B refuses.
        ImportError: W&B is not installed.
    """
    import wandb

    runs, owner = read_runs(layout), layout.root.resolve().name
    project = os.environ.get("WANDB_PROJECT") or f"prunebench-{owner}"
    # W&B changes no run that is finished: what was made is noted here, by its content
    noted = layout.root / "wandb" / "exported.json"
    before = read_json(noted) if noted.is_file() else {}
    made = dict(before) if isinstance(before, dict) else {}
    todo = [run for run in runs if made.get(run.key) != run.digest]
    noted.parent.mkdir(exist_ok=True)
    try:
        for run in watched(todo, "to W&B"):
            _write(run, project, owner, layout)
            made[run.key] = run.digest
            write_json(noted, made)
    except wandb.Error as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise PrunebenchError(
            f"cannot export to W&B, project {project!r}: {first}; `wandb login`, or"
            " WANDB_MODE=offline and later `wandb sync`"
        ) from error
    return f"{len(todo)} of {len(runs)} runs are new in W&B, project {project!r}"


def _write(run: MlflowRun, project: str, owner: str, layout: Layout) -> None:
    import wandb

    tags = {name: value for name, value in run.tags.items() if name != NOTE}
    live = wandb.init(
        project=project, name=run.name, notes=run.tags.get(NOTE), group=owner,
        id=hashlib.sha256(f"{owner}/{run.key}/{run.digest}".encode()).hexdigest()[:16],
        job_type=run.tags[LEVEL], config={**run.params, **tags}, dir=str(layout.root),
        resume="allow", reinit="create_new", settings=wandb.Settings(silent=True, console="off"),
    )  # fmt: skip
    live.define_metric(f"{CURVE_PREFIX}*", step_metric=COMPRESSION)
    live.define_metric(f"{HISTORY_PREFIX}*", step_metric="epoch")
    for row in _rows(run):
        live.log(row)
    live.summary.update({n: v for n, v, _ in run.metrics if "/" not in n})
    live.finish(exit_code=int(run.failed))


def _rows(run: MlflowRun) -> list[dict[str, Any]]:
    """Return the points of curves and histories, a row for each place on their axis."""
    rows: dict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
    for name, value, step in run.metrics:
        if name.startswith(CURVE_PREFIX):
            rows[COMPRESSION, step] |= {COMPRESSION: step / 100, name: value}
        elif name.startswith(HISTORY_PREFIX):
            rows["epoch", step] |= {"epoch": step, name: value}
    return [rows[place] for place in sorted(rows)]
