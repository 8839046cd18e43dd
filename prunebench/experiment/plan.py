"""Plan of an experiment: its baselines, its cells, and the jobs that compute them.

A curve is one method on one baseline over all sparsities; importing torch and timm costs longer
than a small curve trains, so a job may run several curves of one method in one process
(``compute.curves_per_job``), each still stored, resumed and named on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment import config, registry
from prunebench.experiment.cell import Cell
from prunebench.experiment.code_identity import with_helpers
from prunebench.experiment.jobs import Baseline, BaselineJob, CurveJob
from prunebench.experiment.part_kinds import Criterion, Engine, Figure, Measure, Pattern, Probe
from prunebench.experiment.settings import Experiment, Method, Task
from prunebench.experiment.sources import MEASURES, SENSITIVITY, paths
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.files import json_text, read_text, write_text
from prunebench.storage.hashing import digest
from prunebench.storage.layout import Layout
from prunebench.storage.records import DENSE

DEV = Path("/dev")


def _jobs_by_baseline(jobs: Mapping[str, Any]) -> dict[tuple[str, str, str, int], list[str]]:
    """Names of the jobs of each baseline; searching all jobs each time would be quadratic."""
    found: dict[tuple[str, str, str, int], list[str]] = {}
    for name, job in jobs.items():
        for baseline in job.baselines:
            found.setdefault(baseline.key, []).append(name)
    return found


def _named(
    baselines: Sequence[Baseline], jobs: Mapping[tuple[str, str, str, int], list[str]]
) -> list[str]:
    return sorted({name for baseline in baselines for name in jobs.get(baseline.key, ())})


def _chunks(items: Sequence[Baseline], size: int) -> Iterator[tuple[Baseline, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


class Plan:
    """The baselines, cells and jobs of an experiment.

    Args:
        experiment: the checked settings.
        results: the folder that holds a folder for each experiment.

    Attributes:
        jobs: kind of job -> name -> job, in the order in which they can run.
    """

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
        self.measure_jobs = {job.name: job for job in self._measure_jobs()}
        looks = experiment.probes.run or experiment.probes.sensitivity
        self.probe_jobs = self.measure_jobs if looks else {}
        self.latency_jobs = {job.name: job for job in self._latency_jobs()}
        self.jobs: dict[str, Mapping[str, Any]] = {
            "baselines": self.baseline_jobs,
            "curves": self.curve_jobs,
            "probes": self.probe_jobs,
            "latencies": self.latency_jobs,
            "measures": self.measure_jobs,
        }
        self._jobs_of = {kind: _jobs_by_baseline(jobs) for kind, jobs in self.jobs.items()}

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

    def _measure_jobs(self) -> Iterator[BaselineJob]:
        for name, chunk in self._by_task(self.experiment.probes.baselines_per_job):
            yield BaselineJob(name, chunk)

    def _latency_jobs(self) -> Iterator[BaselineJob]:
        """One for each task: they run alone, one after the other, in any case."""
        seeds = self.experiment.seeds[: self.experiment.latency.seeds]
        for task in self.experiment.tasks if self.experiment.latency.engines else ():
            own = [b for b in self.baselines if b.task == task and b.seed in seeds]
            yield BaselineJob(task.name, tuple(own))

    def curve_jobs_of(self, job: BaselineJob) -> list[str]:
        """Return the names of the curve jobs on a job's baselines, of every method."""
        return _named(job.baselines, self._jobs_of["curves"])

    def network_jobs_of(self, job: BaselineJob) -> list[tuple[str, str]]:
        """Return kind and name of the jobs that probe or time networks on a job's baselines."""
        return [
            (kind, name)
            for kind in ("probes", "latencies")
            for name in _named(job.baselines, self._jobs_of[kind])
        ]

    def baseline_jobs_of(self, job: CurveJob | BaselineJob) -> list[str]:
        """Return the names of the jobs that train a job's baselines."""
        return _named(job.baselines, self._jobs_of["baselines"])

    def waits_for(self, kind: str, name: str) -> set[str]:
        """Return the jobs that a job waits for, each as ``kind/name``."""
        job = self.find(kind, name)
        if kind == "baselines":
            return set()
        found = {f"baselines/{other}" for other in self.baseline_jobs_of(job)}
        if kind != "curves":
            found |= {f"curves/{other}" for other in self.curve_jobs_of(job)}
        if kind == "measures":
            found |= {"/".join(other) for other in self.network_jobs_of(job)}
        return found

    def probe_sources(self) -> list[Path]:
        """Return the source files that the probes depend on."""
        names = self.experiment.probes.run
        return with_helpers([registry.find(Probe, name).source for name in names])

    def sensitivity_sources(self) -> list[Path]:
        """Return the source files that the measured sensitivities depend on; [] without any."""
        methods = self.experiment.probes.sensitivity
        parts = {method.spec(kind).source for method in methods for kind in (Criterion, Pattern)}
        return with_helpers([*paths(SENSITIVITY), *sorted(parts)]) if methods else []

    def latency_sources(self) -> list[Path]:
        """Return the source files that the measured times depend on."""
        names = self.experiment.latency.engines
        return with_helpers([registry.find(Engine, name).source for name in names])

    def measure_sources(self) -> list[Path]:
        """Return the source files that decide the measures of stored predictions."""
        own = [registry.find(Measure, name).source for name in self.experiment.report.measures]
        return [*paths(MEASURES), *with_helpers(own)]

    def figure_sources(self) -> list[Path]:
        """Return the source files of figures of one's own."""
        names = self.experiment.report.figures
        return with_helpers([registry.find(Figure, name).source for name in names])

    def job_digest(self, job: BaselineJob | CurveJob) -> str:
        """Return a hash that changes when anything changes that the job must compute."""
        if isinstance(job, BaselineJob):
            return digest([self.cell(baseline).settings() for baseline in job.baselines])
        settings = [self.cell(baseline, job.method).settings() for baseline in job.baselines]
        return digest([settings, self.sparsities(job.method)])

    def sparsities(self, method: Method) -> list[float]:
        """Return the sparsities of a method's cells."""
        return method.sparsities(self.experiment.sparsities)

    def task(self, name: str) -> Task:
        """Return a task by its name.

        Raises:
            PrunebenchError: there is none.
        """
        tasks = {task.name: task for task in self.experiment.tasks}
        if name not in tasks:
            raise PrunebenchError(f"no task {name!r}{suggest(name, tasks)}")
        return tasks[name]

    def find(self, kind: str, name: str) -> Any:
        """Return a job by its kind and name.

        Raises:
            PrunebenchError: there is none.
        """
        if kind not in self.jobs:
            raise PrunebenchError(f"no kind of job {kind!r}{suggest(kind, self.jobs)}")
        jobs = self.jobs[kind]
        if name not in jobs:
            raise PrunebenchError(f"no {kind} job {name!r}{suggest(name, jobs)}")
        return jobs[name]

    def write(self) -> Path:
        """Write the resolved configuration where jobs read it, if it changed; return its path."""
        resolved = json_text(self.experiment.model_dump(mode="json"))
        path = self.layout.config
        stored = None
        with suppress(PrunebenchError):  # missing, or damaged: written anew
            stored = read_text(path)
        if stored != resolved:
            write_text(path, resolved)
        return path

    def cell(self, baseline: Baseline, method: Method | None = None, sparsity: float = 0.0) -> Cell:
        """Return a cell of the grid; without a method the dense baseline's own."""
        return Cell(self.experiment, self.layout, baseline, method, sparsity)

    def cell_at(self, place: Coordinates) -> Cell:
        """Return the cell at some coordinates; its sparsity need not be one of the grid's.

        Raises:
            PrunebenchError: the configuration does not have its baseline or its method.
        """
        baselines = [b for b in self.baselines if b.key == place[:4]]
        methods = {DENSE: None, **{m.name: m for m in self.experiment.methods}}
        if not baselines or place.method not in methods:
            raise PrunebenchError(
                f"{self.layout.config} does not have the cell {self.layout.cell(*place)}: it is of"
                " an earlier configuration"
            )
        return self.cell(baselines[0], methods[place.method], place.sparsity)

    def curve(self, baseline: Baseline, method: Method) -> list[Cell]:
        """Return the cells of one method on one baseline, in the order of its sparsities."""
        return [self.cell(baseline, method, s) for s in self.sparsities(method)]

    def cells_on(self, baseline: Baseline) -> Iterator[Cell]:
        """Yield every cell on a baseline, its own first."""
        yield self.cell(baseline)
        for method in self.experiment.methods:
            yield from self.curve(baseline, method)

    def cells_of(self, kind: str, name: str) -> Iterator[Cell]:
        """Yield the cells of a job: its baselines, those of its curves, or all on its baselines."""
        job = self.find(kind, name)
        for baseline in job.baselines:
            if kind == "baselines":
                yield self.cell(baseline)
            elif kind == "curves":
                yield from self.curve(baseline, job.method)
            else:
                yield from self.cells_on(baseline)

    @property
    def timed(self) -> set[tuple[str, str, str, int]]:
        """Keys of the baselines on which times are measured."""
        return {b.key for job in self.latency_jobs.values() for b in job.baselines}

    @property
    def gpus_per_job(self) -> int:
        """1 if jobs use a GPU, else 0; ``--resources gpu=N`` says how many there are."""
        device = self.experiment.compute.device
        # asking torch costs seconds; a container may have the third GPU alone
        here = device == "auto" and any(DEV.glob("nvidia[0-9]*"))
        return 1 if here or device.startswith("cuda") else 0

    @property
    def cell_count(self) -> int:
        """Number of rows of ``cells.csv``: every baseline, and every method at every sparsity."""
        curves = sum(len(self.sparsities(method)) for method in self.experiment.methods)
        return len(self.baselines) * (1 + curves)


def plan_of(path: Path, results: str | Path = "results") -> Plan:
    """Return the plan of a configuration file.

    Args:
        path: a configuration, or the resolved one of an experiment, ``config.json``, whose folder
            then holds the results.
        results: the folder that holds a folder for each experiment otherwise.

    Raises:
        PrunebenchError: the configuration is missing or wrong.
    """
    plan = Plan(config.load(path), results)
    if path.name == "config.json":
        plan.layout = Layout(path.absolute().parent)
    return plan
