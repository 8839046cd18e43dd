"""The trackers that an experiment names, beside MLflow: each gets the runs that MLflow gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.storage.layout import Layout
from prunebench.tracking import tensorboard_export, wandb_export
from prunebench.tracking.mlflow_runs import read_config

MLFLOW = "mlflow"
OTHERS: dict[str, Callable[[Layout], str]] = {
    "tensorboard": tensorboard_export.export,
    "wandb": wandb_export.export,
}


def trackers_of(layout: Layout) -> list[str]:
    """Return the trackers that the configuration names; of an earlier version, MLflow.

    Raises:
        PrunebenchError: One is not known.
    """
    named = read_config(layout).get("tracking", [MLFLOW])
    known = [MLFLOW, *OTHERS]
    for name in named if isinstance(named, list) else [named]:
        if name not in known:
            raise PrunebenchError(
                f"{layout.config}: tracking: no tracker {shown(str(name))}"
                f"{suggest(str(name), known)}"
            )
    return list(named)


def export_to_others(layout: Layout) -> Iterator[str]:
    """Export to each tracker beside MLflow; yield what was done.

    Raises:
        PrunebenchError: A tracker is not installed, or its export fails.
    """
    for name in trackers_of(layout):
        if name in OTHERS:
            try:
                yield OTHERS[name](layout)
            except ImportError as error:
                raise PrunebenchError(
                    f"tracking: {name} is not installed: pip install {name}"
                ) from error
