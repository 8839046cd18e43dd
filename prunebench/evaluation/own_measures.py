"""Measures of one's own: functions of a cell's stored predictions, each a column of cells.csv."""

from __future__ import annotations

from numbers import Real

from prunebench.errors import reason_of
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import Measure
from prunebench.experiment.settings import Experiment
from prunebench.tasks.predictions import Predictions


class OwnMeasures:
    """The measures that a configuration names, and all columns that an experiment has of its own.

    Args:
        experiment: the checked settings.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.columns = tuple(experiment.own_columns)
        specs = [registry.find(Measure, name) for name in experiment.report.measures]
        self.names = tuple(spec.function for spec in specs)
        self._measures = {spec.function: registry.load(spec) for spec in specs}

    def values(self, predictions: Predictions) -> tuple[dict[str, float | None], list[str]]:
        """Return the values of some predictions, and what went wrong, a line for each measure.

        A measure that raises or gives no number leaves its column empty, and the others alone.
        """
        found: dict[str, float | None] = {}
        faults = []
        for column, measure in self._measures.items():
            try:
                value = measure(predictions)
            except Exception as error:  # whatever the user's own code may raise
                faults.append(f"{column}: {reason_of(error)}")
                continue
            if value is None or (isinstance(value, Real) and not isinstance(value, bool)):
                found[column] = None if value is None else float(value)
            else:
                faults.append(f"{column}: must return a number or None, a {type(value).__name__}")
        return found, faults
