"""Reading a configuration: YAML to checked settings, before any job starts. Never torch.

Every entry of ``tasks``, ``regimes``, ``models`` and ``methods`` is a name from what ships
(``experiment/presets/*.yaml``) or a mapping that refines one: ``{name: x, ...}`` refines the preset
``x`` where there is one, ``{name: mine, base: x, ...}`` refines it under a name of its own.
"""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.experiment import registry
from prunebench.experiment.settings import PARTS, SCORING, Experiment, Method
from prunebench.experiment.sources import PACKAGE, PRESETS
from prunebench.experiment.strict_yaml import check_extent, read_yaml
from prunebench.experiment.validation import validated
from prunebench.storage.records import FAMILIES

_PRESETS = PACKAGE / PRESETS


@cache
def presets(kind: str) -> dict[str, dict[str, Any]]:
    """What ships under a name, for ``tasks``, ``regimes`` or ``methods``."""
    file = _PRESETS / f"{kind}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}


def _entry(kind: str, value: Any) -> dict[str, Any]:
    """A name or mapping of the configuration, refined from its preset."""
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
    return {**preset, **rest}


def method(value: str | dict[str, Any]) -> Method:
    """A method from a preset's name or from a mapping in the form of the configuration.

    Raises PrunebenchError: unknown part or parameter, or parts that cannot go together, with the
    reason.
    """
    entry = _entry("methods", value)
    where = f"methods: {entry['name']}"
    unknown = [key for key in entry if key not in Method.model_fields]
    if unknown:
        raise PrunebenchError(
            f"{where}: {unknown[0]}: unknown key{suggest(str(unknown[0]), Method.model_fields)}"
        )
    if "criterion" not in entry:
        raise PrunebenchError(f"{where}: needs a criterion, e.g. criterion: magnitude")
    try:
        parts = _parts(entry)
        first = None if entry.get("first") is None else _first(entry)
    except PrunebenchError as error:
        raise PrunebenchError(f"{where}: {error}") from None
    family = entry.get("family") or _family({kind: spec for kind, (spec, _) in parts.items()})
    if first is not None and "family" not in entry:
        family = FAMILIES[3]
    chosen: dict[str, Any] = {kind: part for kind, (_, part) in parts.items()}
    chosen |= {} if first is None else {"first": first}
    checked: Method = validated(Method, {**entry, **chosen, "family": family}, where)
    try:
        own = checked.sparsities([])
    except (TypeError, ZeroDivisionError):
        own = [math.nan]
    if not all(0 <= sparsity < 1 for sparsity in own):
        raise PrunebenchError(f"{where}: its pattern's parameters give no sparsity in [0, 1)")
    return checked


def _parts(entry: dict[str, Any]) -> dict[str, tuple[registry.Spec, dict[str, Any]]]:
    """The parts of a method, defaults filled in. Raises PrunebenchError where they do not fit."""
    scored = _part("criterion", entry["criterion"])[0].trait("patterns", ("weight",))
    defaults = {
        "pattern": "weight" if "weight" in scored else scored[0],
        "allocation": "global",
        "schedule": "one-shot",
        "recovery": "fine-tuning",
    }
    parts = {kind: _part(kind, entry.get(kind, defaults.get(kind))) for kind in PARTS}
    _check_composition({kind: spec for kind, (spec, _) in parts.items()})
    return parts


def _first(entry: dict[str, Any]) -> dict[str, Any]:
    """What a method prunes before its own part, its parts resolved."""
    value = entry["first"]
    if not isinstance(value, dict) or "criterion" not in value:
        raise PrunebenchError(
            "first must be a mapping with a criterion, e.g. {criterion: apoz, share: 0.5}, found"
            f" {shown(value)}"
        )
    given = {kind: value[kind] for kind in SCORING if kind in value}
    given |= {kind: entry[kind] for kind in PARTS if kind not in SCORING and kind in entry}
    parts = _parts(given)
    return {**value, **{kind: parts[kind][1] for kind in SCORING}}


def _part(kind: str, value: Any) -> tuple[registry.Spec, dict[str, Any]]:
    reference = {"name": value} if isinstance(value, str) else value
    if not isinstance(reference, dict) or not isinstance(reference.get("name"), str):
        raise PrunebenchError(
            f"{kind} must be a name or a mapping with a name, found {shown(value)}"
        )
    spec = registry.find(kind, reference["name"])
    given = {key: item for key, item in reference.items() if key != "name"}
    if set(given) == {"parameters"} and isinstance(given["parameters"], dict):
        given = given["parameters"]  # as a resolved configuration has it
    return spec, {"name": spec.name, "parameters": registry.check_parameters(spec, given)}


def _check_composition(spec: dict[str, registry.Spec]) -> None:
    """Refuse parts that cannot go together; the parts' own traits say so."""
    pattern = spec["pattern"].name
    for kind, needed in (("criterion", ("weight",)), ("allocation", None), ("schedule", None)):
        can = spec[kind].trait("patterns", needed)
        if can is not None and pattern not in can:
            raise PrunebenchError(
                f"{kind} {spec[kind].name!r} is for pattern {' or '.join(map(repr, can))},"
                f" not {pattern!r}"
            )
    needs, supplied = spec["criterion"].trait("needs", ()), spec["schedule"].trait("supplies", ())
    if "training" in needs and "training" not in supplied:
        raise PrunebenchError(
            f"criterion {spec['criterion'].name!r} does not go with schedule"
            f" {spec['schedule'].name!r}, which scores no network in training:"
            f" {spec['criterion'].trait('why', '')}"
        )
    if spec["pattern"].trait("sparsities") and spec["schedule"].trait("passes", False):
        raise PrunebenchError(
            f"schedule {spec['schedule'].name!r} passes sparsities on its way that pattern"
            f" {pattern!r} does not have"
        )
    can = spec["schedule"].trait("recoveries")
    if can is not None and spec["recovery"].name not in can:
        raise PrunebenchError(
            f"schedule {spec['schedule'].name!r} goes with recovery {' or '.join(map(repr, can))},"
            f" not {spec['recovery'].name!r}: {spec['schedule'].trait('why', '')}"
        )


def _family(spec: dict[str, registry.Spec]) -> str:
    if "activations" in spec["criterion"].trait("needs", ()):
        return FAMILIES[1]
    return FAMILIES[0] if spec["pattern"].name == "weight" else FAMILIES[2]


def parse(value: Any, where: str = "configuration") -> Experiment:
    """Check a configuration that was read from YAML.

    Raises PrunebenchError: what, where, and what would be right, in one line.
    """
    if not isinstance(value, dict):
        raise PrunebenchError(f"{where}: must be a mapping of keys to values, found {shown(value)}")
    check_extent(value, where)
    for key in value:
        if key not in Experiment.model_fields:
            raise PrunebenchError(
                f"{where}: {key}: unknown key{suggest(str(key), Experiment.model_fields)}"
            )
    value = dict(value)
    for kind in ("tasks", "regimes", "models", "methods"):
        if isinstance(value.get(kind), list):
            resolve = method if kind == "methods" else lambda entry, kind=kind: _entry(kind, entry)
            try:
                value[kind] = [resolve(entry) for entry in value[kind]]
            except PrunebenchError as error:
                raise PrunebenchError(f"{where}: {error}") from None
    experiment: Experiment = validated(Experiment, value, where)
    for task in experiment.tasks:
        if task.path and not os.path.exists(task.path):  # noqa: PTH110  # raises for no text
            raise PrunebenchError(
                f"{where}: tasks: {task.name}: path {shown(task.path)} does not exist"
            )
    return experiment


def load(path: str | Path) -> Experiment:
    """Read and check a configuration file (YAML; a resolved JSON is YAML too)."""
    return parse(read_yaml(path), str(path))
