"""An experiment in one call: from a configuration to its results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunebench.experiment import config as configurations
from prunebench.experiment.plan import Plan, plan_of
from prunebench.report.results import Results
from prunebench.runner import pipeline
from prunebench.runner.progress import grid_bar
from prunebench.storage.layout import DATA


def run(
    config: str | Path | Mapping[str, Any], *, results: str | Path = "results",
    data: str | Path = DATA,
) -> Results:  # fmt: skip
    """Compute what is missing of an experiment, in this process, and return its results.

    What is finished is not computed again: interrupted, the same call goes on.

    Args:
        config: a configuration file, the ``config.json`` of an experiment, or a mapping of the same
            keys.
        results: the folder that holds a folder for each experiment.
        data: the folder of downloaded and prepared data.

    Raises:
        PrunebenchError: the configuration is wrong, another process is at work on the experiment,
            or jobs failed.
    """
    if isinstance(config, Mapping):
        plan = Plan(configurations.parse(dict(config)), results)
    else:
        plan = plan_of(Path(config), results)
    with grid_bar(plan):
        pipeline.run(plan, Path(data))
    return Results(plan.layout.root)
