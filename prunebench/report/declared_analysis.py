"""The configuration that lies beside the records, and the analysis that it declares."""

from __future__ import annotations

from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.settings import Analysis, Experiment
from prunebench.report.tables import compression_tables
from prunebench.storage.layout import Layout
from prunebench.storage.records import LAYER_COLUMNS, SENSITIVITY_COLUMNS


def experiment(layout: Layout) -> tuple[Experiment | None, str]:
    """Return the resolved configuration, or None and why it cannot be read."""
    if not layout.config.is_file():
        return None, f"{layout.config.name} is not there"
    try:
        return config.load(layout.config), ""
    except PrunebenchError as error:
        return None, str(error)


def highlighted(layout: Layout) -> list[str]:
    """Return the methods that shall stand out; none where no configuration can be read."""
    found, _ = experiment(layout)
    return [] if found is None else found.report.highlight


def analysis(layout: Layout) -> Analysis:
    """Return how the records are to be judged; the defaults where no configuration can be read."""
    found, _ = experiment(layout)
    return Analysis() if found is None else found.analysis


def for_figures(layout: Layout) -> dict[str, Any]:
    """Return what figures take beside the cells, by the names of their arguments."""
    return {
        "analysis": analysis(layout),
        "layers": compression_tables.read(layout.layers_csv, LAYER_COLUMNS),
        "sensitivity": compression_tables.read(layout.sensitivity_csv, SENSITIVITY_COLUMNS),
        "highlight": highlighted(layout),
    }


def own_figures(layout: Layout) -> list[str]:
    """Return the names of figures of one's own; none where no configuration can be read."""
    found, _ = experiment(layout)
    return [] if found is None else found.report.figures
