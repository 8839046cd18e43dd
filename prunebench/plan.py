"""The grid and its jobs: which baselines and curves an experiment has, and what names each.

A curve is one method on one baseline over all sparsities; importing torch and timm costs longer
than a small curve trains, so a job may run several curves of one method in one process
(``compute.curves_per_job``), each still stored, resumed and named on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench import components
from prunebench.errors import PrunebenchError, suggest
from prunebench.files import read_json, write_json
from prunebench.identity import (
    BASELINE_SOURCES,
    PRUNING_SOURCES,
    code_hash,
    digest,
    package_sources,
    with_helpers,
)
from prunebench.layout import Layout
from prunebench.records import DENSE
from prunebench.settings import Experiment, Method, Model, Regime, Task, Training


@dataclass(frozen=True)
class Baseline:
    """One dense model: a task under a regime, a network, a seed."""

    task: Task
    regime: Regime
    model: Model
    seed: int
    training: Training

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What its folder and its seeds are derived from."""
        return self.task.name, self.regime.name, self.model.name, self.seed

    def settings(self) -> dict[str, Any]:
        """What decides its bits, beside data, code and machine."""
        unused = set() if self.regime.augmentation else {"augmentation"}
        return {
            "task": self.task.model_dump(exclude={"name", "path", *unused}),
            "regime": self.regime.model_dump(exclude={"name", "training"}),
            "model": self.model.model_dump(exclude={"name", "training"}),
            "training": self.training.model_dump(exclude={"recovery_epochs"}),
            "key": list(self.key),
        }


@dataclass(frozen=True)
class BaselineJob:
    """Baselines of one task that one process trains."""

    name: str
    baselines: tuple[Baseline, ...]

    @property
    def task(self) -> Task:
        return self.baselines[0].task


@dataclass(frozen=True)
class CurveJob:
    """Curves of one method, on some baselines of one task, that one process computes."""

    name: str
    method: Method
    baselines: tuple[Baseline, ...]

    @property
    def task(self) -> Task:
        return self.baselines[0].task


@dataclass(frozen=True)
class ProbeJob:
    """Baselines of one task, all cells on which one process probes."""

    name: str
    baselines: tuple[Baseline, ...]

    @property
    def task(self) -> Task:
        return self.baselines[0].task


def expected_epochs(method: Method, training: Training) -> float:
    """How many epochs a cell of a method trains for, to tell how long a grid will take."""
    lengths_of = [method.spec(kind).trait("length", "none") for kind in ("schedule", "recovery")]
    own = method.recovery.parameters.get("epochs")
    lengths = {
        "none": 0.0,
        "recovery": own or training.recovery_epochs or training.epochs,
        "training": training.epochs,
    }
    return max(float(sum(lengths[length] for length in lengths_of)), 1.0)  # looking at it counts


def _chunks(items: Sequence[Baseline], size: int) -> Iterator[tuple[Baseline, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


class Plan:
    """The jobs of an experiment, by name."""

    def __init__(self, experiment: Experiment, results: str | Path = "results") -> None:
        self.experiment = experiment
        self.layout = Layout(Path(results) / experiment.experiment)
        self.baselines = [
            Baseline(task, regime, model, seed, experiment.training_of(model, regime))
            for task in experiment.tasks
            for regime in experiment.regimes
            for model in experiment.models
            for seed in experiment.seeds
        ]
        self.baseline_jobs = {job.name: job for job in self._baseline_jobs()}
        self.curve_jobs = {job.name: job for job in self._curve_jobs()}
        self.probe_jobs = {job.name: job for job in self._probe_jobs()}
        self._job_of = {
            baseline.key: job.name
            for job in self.baseline_jobs.values()
            for baseline in job.baselines
        }

    def _by_task(self, size: int) -> Iterator[tuple[str, tuple[Baseline, ...]]]:
        for task in self.experiment.tasks:
            own = [baseline for baseline in self.baselines if baseline.task == task]
            for number, chunk in enumerate(_chunks(own, size)):
                yield f"{task.name}-{number}", chunk

    def _baseline_jobs(self) -> Iterator[BaselineJob]:
        for name, chunk in self._by_task(self.experiment.compute.baselines_per_job):
            yield BaselineJob(name, chunk)

    def _curve_jobs(self) -> Iterator[CurveJob]:
        chunks = list(self._by_task(self.experiment.compute.curves_per_job))
        for method in self.experiment.methods:
            for name, chunk in chunks:
                # a sign that names cannot hold: no two jobs are named alike
                yield CurveJob(f"{method.name}@{name}", method, chunk)

    def _probe_jobs(self) -> Iterator[ProbeJob]:
        if self.experiment.probes.run:
            for name, chunk in self._by_task(self.experiment.compute.curves_per_job):
                yield ProbeJob(name, chunk)

    def curve_jobs_of(self, job: ProbeJob) -> list[str]:
        """The curve jobs that a probe job waits for: every method on its baselines."""
        return [name for name, other in self.curve_jobs.items() if other.baselines == job.baselines]

    def probe_jobs_of(self, job: BaselineJob | CurveJob) -> list[str]:
        """The probe jobs that the measures of a job wait for."""
        own = {baseline.key for baseline in job.baselines}
        return [
            name
            for name, other in self.probe_jobs.items()
            if own & {baseline.key for baseline in other.baselines}
        ]

    def baseline_jobs_of(self, job: CurveJob | ProbeJob) -> list[str]:
        """The baseline jobs that a job waits for."""
        return sorted({self._job_of[baseline.key] for baseline in job.baselines})

    def baseline_settings(self, baseline: Baseline) -> dict[str, Any]:
        """Everything that names a baseline's result, but the content of its data."""
        compute = self.experiment.compute
        return {
            "baseline": baseline.settings(),
            "precision": compute.precision,
            "threads": compute.threads,
            "code": code_hash(package_sources(BASELINE_SOURCES)),
        }

    def cell_settings(self, baseline: Baseline, method: Method, sparsity: float) -> dict[str, Any]:
        """Everything that names a cell's result, but the content of its data."""
        return {
            **self.baseline_settings(baseline),
            "method": method.settings(),
            "method_name": method.name,
            "recovery_epochs": baseline.training.recovery_epochs,
            "prunable": self.experiment.prunable.model_dump(),
            "sparsity": sparsity,
            "method_code": code_hash(self.curve_sources(method)),
        }

    @staticmethod
    def baseline_sources() -> list[Path]:
        """The source files that a baseline depends on."""
        return package_sources(BASELINE_SOURCES)

    @staticmethod
    def curve_sources(method: Method) -> list[Path]:
        """The source files that a method's curves depend on, beyond those of its baselines."""
        return with_helpers([*package_sources(PRUNING_SOURCES), *method.sources()])

    def probe_sources(self) -> list[Path]:
        """The source files that the probes depend on."""
        names = self.experiment.probes.run
        return with_helpers([components.find("probe", name).source for name in names])

    def job_digest(self, job: BaselineJob | CurveJob) -> str:
        """Changes when anything that the job must compute changes; a rule's parameter."""
        if isinstance(job, BaselineJob):
            return digest([self.baseline_settings(baseline) for baseline in job.baselines])
        return digest(
            [
                self.cell_settings(baseline, job.method, sparsity)
                for baseline in job.baselines
                for sparsity in self.sparsities(job.method)
            ]
        )

    def sparsities(self, method: Method) -> list[float]:
        """The sparsities of a method's cells."""
        return method.sparsities(self.experiment.sparsities)

    def chunks_of(self, method: Method) -> list[str]:
        """The names of a method's curve jobs."""
        return [job.name for job in self.curve_jobs.values() if job.method == method]

    def task(self, name: str) -> Task:
        """A task by its name; PrunebenchError where there is none."""
        tasks = {task.name: task for task in self.experiment.tasks}
        if name not in tasks:
            raise PrunebenchError(f"no task {name!r}{suggest(name, tasks)}")
        return tasks[name]

    def find(self, kind: str, name: str) -> Any:
        """A job by its name; PrunebenchError where there is none."""
        every: dict[str, dict[str, Any]] = {
            "baselines": self.baseline_jobs,
            "curves": self.curve_jobs,
            "probes": self.probe_jobs,
        }
        if kind not in every:
            raise PrunebenchError(f"no kind of job {kind!r}{suggest(kind, every)}")
        jobs = every[kind]
        if name not in jobs:
            raise PrunebenchError(f"no {kind} job {name!r}{suggest(name, jobs)}")
        return jobs[name]

    def write(self) -> Path:
        """Write the resolved configuration where the jobs read it, if it changed."""
        resolved = self.experiment.model_dump(mode="json")
        path = self.layout.config
        stored = None
        with suppress(PrunebenchError):  # missing, or damaged: written anew
            stored = read_json(path)
        if stored != resolved:
            write_json(path, resolved)
        return path

    def cells_of_baseline(self) -> Iterator[tuple[str, float]]:
        """(method, sparsity) of every cell on a baseline, its own first."""
        yield DENSE, 0.0
        for method in self.experiment.methods:
            for sparsity in self.sparsities(method):
                yield method.name, sparsity

    @property
    def gpus_per_job(self) -> int:
        """1 where jobs are to use a GPU; ``--resources gpu=N`` says how many there are."""
        device = self.experiment.compute.device
        here = device == "auto" and Path("/dev/nvidia0").exists()  # as asking torch costs seconds
        return 1 if here or device.startswith("cuda") else 0

    @property
    def cell_count(self) -> int:
        """Rows of cells.csv: the dense baselines and every method at every sparsity."""
        return len(self.baselines) * sum(1 for _ in self.cells_of_baseline())
