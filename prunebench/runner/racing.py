"""Race the methods of an experiment: train only what the race asks for.

What is trained are ordinary cells of the experiment, by the steps of ``run``: an interrupted race
goes on, and ``run`` computes the rest of the grid.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Method
from prunebench.runner import pipeline
from prunebench.statistics import read_cells
from prunebench.statistics.race import INSTANCE, Raced, curve_losses, race, split_seeds
from prunebench.storage.files import local, replacing
from prunebench.storage.layout import DATA
from prunebench.storage.lock import locked
from prunebench.storage.records import COLUMNS


def run(plan: Plan, data: Path = DATA, sparsity: float | None = None) -> Raced:
    """Race the methods, and run the winner on the report's seeds.

    Args:
        plan: the experiment; its controls and methods with sparsities of their own stay out.
        data: the folder of all data.
        sparsity: the one that counts; None: all, with equal weight.

    Raises:
        PrunebenchError: nothing to race; another command is at work on the experiment; or a
            baseline cannot be trained.
    """
    methods = _methods(plan, sparsity)
    told = split_seeds(plan.experiment.seeds)
    with locked(plan.layout.root):
        pipeline.begin(plan, data)
        return _Racing(plan, data, methods, sparsity).race(told)


def _methods(plan: Plan, sparsity: float | None) -> dict[str, Method]:
    grid = plan.experiment.sparsities
    if sparsity is not None and not any(np.isclose(grid, sparsity)):
        known = ", ".join(f"{each:g}" for each in grid)
        raise PrunebenchError(f"race: no sparsity {sparsity:g}; there are {known}")
    methods = {
        method.name: method
        for method in plan.experiment.methods
        if not method.control and plan.sparsities(method) == grid
    }
    if len(methods) < 2:
        raise PrunebenchError(
            "race: needs two methods, controls aside, at the sparsities of the grid, found"
            f" {', '.join(methods) or 'none'}"
        )
    return methods


class _Racing:
    """What is run so far: a job for each baseline and curve, measured at once."""

    def __init__(
        self, plan: Plan, data: Path, methods: dict[str, Method], sparsity: float | None
    ) -> None:
        self.plan, self.data, self.methods, self.sparsity = (
            _one_by_one(plan),
            data,
            methods,
            sparsity,
        )
        self.rows: list[dict[str, Any]] = []

    def race(self, told: list[int]) -> Raced:
        plan = self.plan
        selection = [each for each in plan.baselines if each.seed not in told]
        order = np.random.default_rng(0).permutation(len(selection))
        instances = [selection[place] for place in order]
        names = list(self.methods)
        found = race(names, instances, self._run, plan.experiment.analysis.alpha)
        winner = found.left[0]
        for baseline in plan.baselines:
            if baseline.seed in told:
                self._run(baseline, [winner])
        curves = self._curves()
        reported = curves[curves["seed"].isin(told) & (curves["method"] == winner)]
        return Raced(
            result=found, methods=names, instances=len(selection), report_seeds=told,
            selected=float(found.losses[winner].mean()),
            reported=float(reported["choice"].mean()), test=float(reported["test"].mean()),
        )  # fmt: skip

    def _run(self, instance: Hashable, names: Sequence[str]) -> list[float]:
        """Train what is missing of the methods on a baseline; return their losses."""
        assert isinstance(instance, Baseline)
        from prunebench.evaluation.rows import Targets

        print(f"race: {' · '.join(map(str, instance.key))}: {', '.join(names)}", file=sys.stderr)
        self._job("baselines", instance)
        for name in names:
            self._job("curves", instance, name)
        targets = Targets(self.plan, instance)
        self.rows.append(targets.row(self.plan.cell(instance).folder, None))
        for name in names:
            method = self.methods[name]
            cells = self.plan.curve(instance, method)
            self.rows += [targets.row(cell.folder, method) for cell in cells]
        found = self._curves().set_index([*INSTANCE, "method"])["choice"]
        losses = [float(found[(*instance.key, name)]) for name in names]
        if np.isnan(losses).any():
            raise PrunebenchError(
                f"race: {' · '.join(map(str, instance.key))}: no baseline's error"
            )
        return losses

    def _job(self, kind: str, baseline: Baseline, method: str = "") -> None:
        for name, job in self.plan.jobs[kind].items():
            if job.baselines == (baseline,) and (not method or job.method.name == method):
                getattr(pipeline, kind)(self.plan, name, self.data)

    def _curves(self) -> pd.DataFrame:
        """Return the losses of what was run, which is written beside the experiment's records."""
        path = self.plan.layout.race_csv
        with replacing(path) as temporary:
            pd.DataFrame(self.rows, columns=list(COLUMNS)).to_csv(local(temporary), index=False)
        return curve_losses(read_cells(path), self.sparsity)


def _one_by_one(plan: Plan) -> Plan:
    """Return a plan of the same cells with a job for each baseline and curve, without probes."""
    experiment = plan.experiment
    compute = experiment.compute.model_copy(update={"baselines_per_job": 1, "curves_per_job": 1})
    probes = experiment.probes.model_copy(update={"run": [], "sensitivity": []})
    latency = experiment.latency.model_copy(update={"engines": []})
    changed = {"compute": compute, "probes": probes, "latency": latency}
    found = Plan(experiment.model_copy(update=changed))
    found.layout = plan.layout
    return found
