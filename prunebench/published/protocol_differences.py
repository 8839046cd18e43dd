"""What differs between the protocols of two experiments, for whoever compares their cells.

Cells are paired by names, which say nothing of how many samples there were or how long was trained.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prunebench.experiment.strict_yaml import read_yaml
from prunebench.storage.layout import Layout
from prunebench.text.private import without_paths

# what every cell is made with; of lists, what both have under a name
_LISTS = ("tasks", "regimes", "models", "methods")
_WHOLE = ("training", "prunable", "calibration")
_TEXTS = ("description", "paper")


def protocol_differences(a: Path, b: Path) -> list[str]:
    """Return the settings that differ, such as ``tasks digits: train 300 → 200``.

    Args:
        a: an experiment's folder.
        b: another one's.

    Returns:
        Empty where the settings are the same, or either has no ``config.json``.

    Raises:
        PrunebenchError: a configuration cannot be read.
    """
    paths = [Layout(place).config for place in (a, b)]
    if not all(path.is_file() for path in paths):
        return []
    one, other = map(read_yaml, paths)
    return list(_differing(one, other)) if isinstance(one, dict) and isinstance(other, dict) else []


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for kind in _LISTS:
        named, others = _named(one.get(kind)), _named(other.get(kind))
        for name in named:
            if name in others:
                yield from _of(f"{kind} {name}", named[name], others[name])
    for section in _WHOLE:
        yield from _of(section, one.get(section) or {}, other.get(section) or {})


def _named(entries: Any) -> dict[str, Any]:
    there = entries if isinstance(entries, list) else []
    return {e["name"]: e for e in there if isinstance(e, dict) and isinstance(e.get("name"), str)}


def _of(where: str, one: Any, other: Any) -> Iterator[str]:
    left, right = dict(_leaves(one)), dict(_leaves(other))
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    if keys:
        said = (f"{key} {_text(left.get(key))} → {_text(right.get(key))}" for key in keys)
        yield f"{where}: {', '.join(said)}"


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting of nested ones with its place: ``recovery.parameters.epochs``."""
    for key, item in value.items() if isinstance(value, Mapping) else ():
        if key in _TEXTS:
            continue
        here = f"{place}.{key}" if place else str(key)
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, here)
        else:
            yield here, item


def _text(value: Any) -> str:
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return without_paths("none" if value is None else said)
