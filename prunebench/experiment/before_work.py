"""Checks of a configuration before any work: those that need neither data nor torch.

They stand apart from reading it: results of others must be read where their networks cannot be
built.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.own_code import OwnCode
from prunebench.experiment.part_kinds import Network
from prunebench.experiment.registry import builtin, from_package
from prunebench.experiment.settings import Experiment, Model, Task

# how timm's source registers a network, and another name that a network had before
_REGISTERED = re.compile(r"^@register_model\s*\ndef (\w+)\(", re.MULTILINE)
_FORMER = re.compile(r"""^\s+['"](\w+)['"] *: *['"]""", re.MULTILINE)
_FORMERLY = "register_model_deprecations("


def check(experiment: Experiment) -> None:
    """Refuse networks that do not exist, and data of one's own whose function does not.

    Args:
        experiment: the checked settings.

    Raises:
        PrunebenchError: no job could do what is asked; one line says why.
    """
    for model in experiment.models:
        _check_architecture(model)
    for task in experiment.tasks:
        _check_own_data(task)
    for tracker in experiment.tracking:
        _check_tracker(tracker)


def _check_architecture(model: Model) -> None:
    named = model.architecture
    if OwnCode.named(named) or HubName.named(named):
        return  # checked where settings are read
    ours = builtin(Network)
    if named in ours or from_package(Network, named):
        return
    theirs = timm_names()
    if theirs and named.partition(".")[0] not in theirs:
        near = suggest(named, [*ours, *theirs])
        more = near if "did you mean" in near else "; `timm.list_models()` lists timm's"
        raise PrunebenchError(f"models: {model.name}: unknown model {named!r}{more}")


def _check_own_data(task: Task) -> None:
    own = OwnCode.named(task.path or "")
    if own is not None:
        own.check(f"tasks: {task.name}: path")


def _check_tracker(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise PrunebenchError(
            f"tracking: {name} is not installed: pip install {name}, or leave it out"
        )


@cache
def timm_names() -> frozenset[str]:
    """Return the names of timm's networks, without the tags of their weights.

    They are read from its source, since importing it takes seconds. Empty where it is missing.
    """
    found = importlib.util.find_spec("timm")
    if found is None or found.origin is None:
        return frozenset()
    names: set[str] = set()
    for file in (Path(found.origin).parent / "models").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        names |= set(_REGISTERED.findall(source))
        for part in source.split(_FORMERLY)[1:]:
            names |= set(_FORMER.findall(part))
    return frozenset(names)
