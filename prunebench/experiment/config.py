"""Read a configuration: YAML to checked settings, before any job starts, without torch.

Every entry of ``tasks``, ``regimes``, ``models`` and ``methods`` is a name from what ships
(``experiment/presets/*.yaml``) or a mapping that refines one: ``{name: x, ...}`` refines the preset
``x`` where there is one, ``{name: mine, base: x, ...}`` refines it under a name of its own.
"""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.experiment import foreign_paths, inheritance, registry
from prunebench.experiment.part_kinds import (
    Allocation,
    Criterion,
    Pattern,
    Recovery,
    Schedule,
    Traits,
)
from prunebench.experiment.settings import PARTS, SCORING, Experiment, Method
from prunebench.experiment.sources import PACKAGE, PRESETS
from prunebench.experiment.strict_yaml import check_extent, read_yaml
from prunebench.experiment.validation import Settings, validated
from prunebench.experiment.variants import at_lengths, with_budgets
from prunebench.storage.records import FAMILIES

T = TypeVar("T", bound=Traits)
_PRESETS = PACKAGE / PRESETS


@cache
def presets(kind: str) -> dict[str, dict[str, Any]]:
    """Return the presets that ship, by name, as YAML has them.

    Args:
        kind: ``tasks``, ``regimes``, ``models`` or ``methods``.
    """
    file = _PRESETS / f"{kind}.yaml"
    return read_yaml(file) if file.exists() else {}


def _entry(kind: str, value: Any) -> dict[str, Any]:
    """An entry of the configuration, a name or a mapping, with what its preset says."""
    known = presets(kind)
    if isinstance(value, str):
        value = {"name": value}
        if kind in ("tasks", "regimes", "methods") and value["name"] not in known:
            raise PrunebenchError(
                f"{kind}: unknown {kind[:-1]} {value['name']!r}{suggest(value['name'], known)}"
            )
    if not isinstance(value, dict) or "name" not in value:
        raise PrunebenchError(
            f"{kind}: each entry is a name or a mapping with a name, found {shown(value)}"
        )
    base = value.get("base", value["name"])
    if "base" in value and (not isinstance(base, str) or base not in known):
        raise PrunebenchError(
            f"{kind}: {value['name']}: unknown base {shown(base)}{suggest(str(base), known)}"
        )
    rest = {key: item for key, item in value.items() if key != "base"}
    preset = dict(known.get(base, {})) if isinstance(base, str) else {}
    if {"criterion", "pattern"} & rest.keys():
        preset.pop("family", None)  # it follows from these two
    if "recovery" in rest:
        preset.pop("budget", None)  # whoever names the recovery says how long it lasts
    return {**preset, **rest}


def method(value: str | dict[str, Any]) -> Method:
    """Return a checked method.

    Args:
        value: a preset's name, or a mapping as in a configuration.

    Raises:
        PrunebenchError: a part or a parameter is unknown, or parts cannot go together.
    """
    entry = _entry("methods", value)
    where = f"methods: {entry['name']}"
    _refuse_unknown(entry, Method, where)
    if "criterion" not in entry:
        raise PrunebenchError(f"{where}: needs a criterion, e.g. criterion: magnitude")
    try:
        parts, family = _parts(entry)
        if entry.get("first") is not None:
            parts, family = {**parts, "first": _first(entry)}, FAMILIES[3]
    except PrunebenchError as error:
        raise PrunebenchError(f"{where}: {error}") from None
    family = entry.get("family") or family
    checked: Method = validated(Method, {**entry, **parts, "family": family}, where)
    try:
        own = checked.sparsities([])
    except (TypeError, ZeroDivisionError):
        own = [math.nan]
    if not all(0 <= sparsity < 1 for sparsity in own):
        raise PrunebenchError(f"{where}: its pattern's parameters give no sparsity in [0, 1)")
    return checked


def _parts(entry: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The parts of a method by kind, with defaults, and the family that follows from them.

    Raises PrunebenchError where they cannot go together, by their own traits.
    """
    parts: dict[str, Any] = {}

    def part(kind: type[T], default: str = "") -> registry.Spec[T]:
        spec, parts[kind.kind] = _part(kind, entry.get(kind.kind, default))
        return spec

    criterion = part(Criterion)
    scored = criterion.traits.patterns
    pattern = part(Pattern, "weight" if "weight" in scored else scored[0])
    allocation = part(Allocation, "global")
    schedule = part(Schedule, "one-shot")
    recovery = part(Recovery, "fine-tuning")
    for spec in (criterion, allocation, schedule):
        _check_among(spec, spec.traits.patterns, pattern)
    _check_schedule(schedule, criterion, pattern)
    _check_allocation(allocation, criterion, schedule)
    _check_among(schedule, schedule.traits.recoveries, recovery, schedule.traits.why)
    if "activations" in criterion.traits.needs:
        return parts, FAMILIES[1]
    return parts, FAMILIES[0 if pattern.name == "weight" else 2]


def _first(entry: dict[str, Any]) -> dict[str, Any]:
    """The pruning that comes before a method's own, with its parts checked."""
    value = entry["first"]
    if not isinstance(value, dict) or "criterion" not in value:
        raise PrunebenchError(
            "first must be a mapping with a criterion, e.g. {criterion: apoz, share: 0.5}, found"
            f" {shown(value)}"
        )
    given = {kind: value[kind] for kind in SCORING if kind in value}
    given |= {kind: entry[kind] for kind in PARTS if kind not in SCORING and kind in entry}
    parts, _ = _parts(given)
    return {**value, **{kind: parts[kind] for kind in SCORING}}


def _part(kind: type[T], value: Any) -> tuple[registry.Spec[T], dict[str, Any]]:
    reference = {"name": value} if isinstance(value, str) else value
    if not isinstance(reference, dict) or not isinstance(reference.get("name"), str):
        raise PrunebenchError(
            f"{kind.kind} must be a name or a mapping with a name, found {shown(value)}"
        )
    spec = registry.find(kind, reference["name"])
    given = {key: item for key, item in reference.items() if key != "name"}
    if set(given) == {"parameters"} and isinstance(given["parameters"], dict):
        given = given["parameters"]  # as a resolved configuration has it
    return spec, {"name": spec.name, "parameters": registry.check_parameters(spec, given)}


def _check_among(
    part: registry.Spec, goes: tuple[str, ...] | None, other: registry.Spec, why: str = ""
) -> None:
    """Refuse a part that another one does not go with; None goes with all."""
    if goes is not None and other.name not in goes:
        raise PrunebenchError(
            f"{part.kind} {part.name!r} goes with {other.kind} {' or '.join(map(repr, goes))},"
            f" not {other.name!r}" + (f": {why}" if why else "")
        )


def _check_schedule(
    schedule: registry.Spec[Schedule],
    criterion: registry.Spec[Criterion],
    pattern: registry.Spec[Pattern],
) -> None:
    if "training" in criterion.traits.needs and "training" not in schedule.traits.supplies:
        raise PrunebenchError(
            f"criterion {criterion.name!r} does not go with schedule {schedule.name!r}, which"
            f" scores no network in training: {criterion.traits.why}"
        )
    if pattern.traits.sparsities and schedule.traits.passes:
        raise PrunebenchError(
            f"schedule {schedule.name!r} passes sparsities on its way that pattern"
            f" {pattern.name!r} does not have"
        )


def _check_allocation(
    allocation: registry.Spec[Allocation],
    criterion: registry.Spec[Criterion],
    schedule: registry.Spec[Schedule],
) -> None:
    _check_among(allocation, allocation.traits.schedules, schedule, allocation.traits.why)
    changes = criterion.traits.compensates or criterion.traits.sweeps
    if allocation.traits.tries and changes:
        raise PrunebenchError(
            f"allocation {allocation.name!r} does not go with criterion {criterion.name!r}, which"
            " changes the weights that stay: the networks that it tries have them as they are"
        )


def parse(value: Any, where: str = "configuration") -> Experiment:
    """Check a configuration.

    Args:
        value: what YAML has read.
        where: the file's name, with which a message begins.

    Raises:
        PrunebenchError: something is wrong; one line says what, where, and what would be right.
    """
    if not isinstance(value, dict):
        raise PrunebenchError(f"{where}: must be a mapping of keys to values, found {shown(value)}")
    check_extent(value, where)
    _refuse_unknown(value, Experiment, where)
    foreign_paths.refuse(value, where)
    value = dict(value)
    for kind in ("tasks", "regimes", "models", "methods"):
        if isinstance(value.get(kind), list):
            resolve = method if kind == "methods" else lambda entry, kind=kind: _entry(kind, entry)
            try:
                value[kind] = [resolve(entry) for entry in value[kind]]
            except PrunebenchError as error:
                raise PrunebenchError(f"{where}: {error}") from None
    probes = value.get("probes")
    lists = isinstance(value.get("methods", []), list)  # else it is refused below
    if lists and isinstance(probes, dict) and isinstance(probes.get("sensitivity"), list):
        try:
            value["probes"] = {**probes, "sensitivity": _of_grid(probes["sensitivity"], value)}
        except PrunebenchError as error:
            raise PrunebenchError(f"{where}: probes: sensitivity: {error}") from None
    if isinstance(value.get("methods"), list):
        value["methods"] = at_lengths(value["methods"], value.get("recovery_lengths"))
    experiment: Experiment = validated(Experiment, value, where)
    try:
        experiment = with_budgets(experiment)
    except PrunebenchError as error:
        raise PrunebenchError(f"{where}: {error}") from None
    for task in experiment.tasks:
        if task.local and not os.path.exists(task.local):  # noqa: PTH110  # raises for no text
            raise PrunebenchError(
                f"{where}: tasks: {task.name}: path {shown(task.local)} does not exist"
            )
    return experiment


def _of_grid(entries: list[Any], value: dict[str, Any]) -> list[Method]:
    """Return methods; a name means the grid's own method of that name before a preset's."""
    own = {item.name: item for item in value.get("methods") or () if isinstance(item, Method)}
    return [
        own[entry] if isinstance(entry, str) and entry in own else method(entry)
        for entry in entries
    ]


def _refuse_unknown(value: dict[str, Any], model: type[Settings], where: str) -> None:
    for key in value:
        if key not in model.model_fields:
            near = suggest(str(key), model.model_fields)
            raise PrunebenchError(f"{where}: {key}: unknown key{near}")


def load(path: str | Path) -> Experiment:
    """Read and check a configuration file, with what it extends; or the JSON of a resolved one.

    Args:
        path: the file.

    Raises:
        PrunebenchError: it is missing, or something in it is wrong.
    """
    return parse(inheritance.read(path).value, str(path))
