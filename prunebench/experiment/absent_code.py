"""Python files that a stored configuration names and that are not here, and what does without them.

Whoever gets the results of others has their records, and not always their code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.text.numbers import first_few

_OWN = re.compile(r"^(?P<file>.+\.py):\w+$")
_TEXTS = ("description", "paper")
_OF_CELLS = ("tasks", "models", "methods")  # a cell needs one of each
# of what is looked at beside: cells can be computed without it
_BESIDE = (
    ("probes", "run"), ("probes", "sensitivity"), ("latency", "engines"), ("report", "measures"),
    ("report", "figures"),
)  # fmt: skip


@dataclass(frozen=True)
class Present:
    """What can be done of a configuration here."""

    value: dict[str, Any]  # without the entries that need an absent file
    absent: dict[tuple[str, str], list[str]]  # (methods, its name) -> the files that it needs


def files(value: Any) -> list[str]:
    """Return the Python files that settings name as ``file.py:function``, in their order.

    Args:
        value: settings, as YAML or JSON has read them.
    """
    return list(dict.fromkeys(_files(value)))


def _files(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if found := _OWN.match(value):
            yield found["file"]
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in _TEXTS:
                yield from _files(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _files(item)


def absent(value: Any) -> list[str]:
    """Return those of ``files`` that are not here."""
    return [name for name in files(value) if not Path(name).is_file()]


def present(value: dict[str, Any]) -> Present:
    """Return a configuration as far as the files that it names are here.

    Args:
        value: the configuration, as YAML or JSON has read it.
    """
    kept = dict(value)
    lacking: dict[tuple[str, str], list[str]] = {}
    for kind in _OF_CELLS:
        entries = value.get(kind)
        if not isinstance(entries, list):
            continue
        needed = [absent(entry) for entry in entries]
        kept[kind] = [entry for entry, names in zip(entries, needed, strict=True) if not names]
        lacking |= {
            (kind, str(entry["name"])): names
            for entry, names in zip(entries, needed, strict=True)
            if names and isinstance(entry, dict) and "name" in entry
        }
    for section, key in _BESIDE:
        own = value.get(section)
        if isinstance(own, dict) and isinstance(own.get(key), list):
            there = [entry for entry in own[key] if not absent(entry)]
            kept[section] = {**kept[section], key: there}
    report = kept.get("report")
    if isinstance(report, dict) and isinstance(report.get("highlight"), list):
        gone = {name for kind, name in lacking if kind == "methods"}
        shown = [name for name in report["highlight"] if name not in gone]
        kept["report"] = {**report, "highlight": shown}
    return Present(kept, lacking)


def where_from(names: list[str]) -> str:
    """Return which files are needed, who has them, and where they belong."""
    them = "it" if len(names) == 1 else "them"
    return (
        f"needs {first_few(names)}, not here: the author of the results has {them}, and so has a"
        f" folder made by `submit pack`; put {them} at that path, seen from where you run this"
    )
