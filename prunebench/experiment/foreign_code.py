"""Python outside the package that computing an experiment runs: its own parts, networks and data.

It is found without running it. Whoever checks the results of others decides by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from prunebench.experiment import registry
from prunebench.experiment.code_identity import with_helpers
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.own_code import OwnCode
from prunebench.experiment.part_kinds import KINDS, Engine, Measure, Probe, TaskKindTraits
from prunebench.experiment.settings import PARTS, SCORING, Experiment, Method, Model, Task
from prunebench.experiment.sources import PACKAGE
from prunebench.storage.files import sha256_file
from prunebench.storage.layout import CHANNELS

# kind of job -> the kind of part that it looks at cells with, and their names
_LOOKS: dict[str, tuple[type, Callable[[Experiment], list[str]]]] = {
    "probes": (Probe, lambda experiment: experiment.probes.run),
    CHANNELS: (Engine, lambda experiment: experiment.latency.engines),
    "latencies": (Engine, lambda experiment: experiment.latency.engines),
    "measures": (Measure, lambda experiment: experiment.report.measures),
}


def of_experiment(experiment: Experiment) -> list[Path]:
    """Return the files of an experiment's own code, with all that they import beside them.

    Empty where every part, network and source of data is one that ships.
    """
    named = [path for task in experiment.tasks for path in _of_task(task)]
    named += [path for model in experiment.models for path in model.sources()]
    named += [path for method in experiment.methods for path in _of_method(method)]
    named += [path for kind in _LOOKS for path in _of_looks(experiment, kind)]
    return _with_helpers(named)


def of_job(experiment: Experiment, kind: str, method: Method | None = None) -> list[Path]:
    """Return the files of own code that a job of a kind runs; of curves, on their ``method``."""
    named = _own((TaskKindTraits, task.kind) for task in experiment.tasks)
    named += [path for model in experiment.models for path in model.sources()]
    named += _of_method(method) if method else []
    return _with_helpers([*named, *_of_looks(experiment, kind)])


def of_data(task: Task, models: Iterable[Model] = ()) -> list[Path]:
    """Return the files of own code that preparing a task's data and building networks runs."""
    own = [path for model in models for path in model.sources()]
    return _with_helpers([*_of_task(task), *own])


def of_method(method: Method) -> list[Path]:
    """Return the files of a method's own code, with all that they import beside them."""
    return _with_helpers(_of_method(method))


def fetched(experiment: Experiment) -> list[str]:
    """Return the names of the hub, and pretrained networks, that computing an experiment fetches.

    What lies in a folder or a file is none of them; nor are data sets, which ``download`` fetches.
    """
    found = [task.tokens for task in experiment.tasks if _of_hub(task.tokens)]
    found += [
        model.architecture
        for model in experiment.models
        if _of_hub(model.architecture) or (model.pretrained and _not_here(model.architecture))
    ]
    return list(dict.fromkeys(found))


def _of_hub(name: str) -> bool:
    hub = HubName.named(name)
    return hub is not None and hub.folder is None


def _not_here(architecture: str) -> bool:
    return HubName.named(architecture) is None and OwnCode.named(architecture) is None


def told(files: Iterable[Path]) -> list[str]:
    """Return each file with the SHA-256 of its content, by which a reader knows what he trusts."""
    return [f"{path} (sha256 {sha256_file(path)})" for path in files]


def _of_task(task: Task) -> list[Path]:
    found = _own([(TaskKindTraits, task.kind)])
    own = None if task.path is None else OwnCode.named(task.path)
    return found if own is None else [*found, own.source]


def _of_looks(experiment: Experiment, kind: str) -> list[Path]:
    """The files of what a kind of job looks at cells with; none of jobs that do not."""
    if kind not in _LOOKS:
        return []
    part, names = _LOOKS[kind]
    found = _own((part, name) for name in names(experiment))
    alone = experiment.probes.sensitivity if kind == "probes" else []
    return [*found, *(path for method in alone for path in _of_method(method))]


def _of_method(method: Method) -> list[Path]:
    parts = [(KINDS[kind], getattr(method, kind).name) for kind in PARTS]
    if method.first is not None:
        parts += [(KINDS[kind], getattr(method.first, kind).name) for kind in SCORING]
    return _own(parts)


def _own(parts: Iterable[tuple[type, str]]) -> list[Path]:
    """The files of parts that do not ship; also of a file of the package that is named as one."""
    return [
        registry.find(kind, name).source
        for kind, name in parts
        if name not in registry.builtin(kind)
    ]


def _with_helpers(named: Iterable[Path]) -> list[Path]:
    named = list(dict.fromkeys(named))
    return [
        path for path in with_helpers(named) if path in named or not path.is_relative_to(PACKAGE)
    ]
