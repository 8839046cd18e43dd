"""Configurations that extend another one: ``extends: base.yaml`` at the top level.

Mappings are merged key by key, everything else is replaced: a list of one's own stands in the place
of the whole list of the base. A base may extend another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, shown
from prunebench.experiment.strict_yaml import read_plain, read_yaml

EXTENDS = "extends"
_FILES = (".yaml", ".yml")  # a resolved configuration, config.json, has nothing left to inherit
_MOST = 16  # files, one extending the other


@dataclass(frozen=True)
class Written:
    """What a configuration and the files that it extends say together."""

    value: Any  # as YAML has it, without ``extends``
    bases: list[Path] = field(default_factory=list)  # the nearest first
    inherited: dict[str, Path] = field(default_factory=dict)  # setting, with dots -> its file

    def said(self) -> list[str]:
        """Return a line for each base with the settings that come from it; [] without a base."""
        found = {path: [k for k, p in self.inherited.items() if p == path] for path in self.bases}
        return [f"from {path}: {', '.join(names) or 'nothing'}" for path, names in found.items()]


def read(path: str | Path) -> Written:
    """Read a configuration with what it extends.

    Args:
        path: a YAML file; a base is looked for beside the file that names it.

    Raises:
        PrunebenchError: a file cannot be read, ``extends`` is no path, or files extend each other
            in a circle.
    """
    chain = list(_chain(Path(path)))
    _, value = chain[0]
    if len(chain) == 1:
        return Written(value)
    together = {key: item for key, item in value.items() if key != EXTENDS}
    inherited: dict[str, Path] = {}
    for file, base in chain[1:]:
        rest = {key: item for key, item in base.items() if key != EXTENDS}
        inherited |= dict.fromkeys(_lacking(rest, together), file)
        together = merged(rest, together)
    return Written(together, [file for file, _ in chain[1:]], inherited)


def merged(base: dict[Any, Any], over: dict[Any, Any]) -> dict[Any, Any]:
    """Return two mappings as one: that of ``over``, with the keys that only ``base`` has.

    Args:
        base: a mapping.
        over: what goes before it; mappings under the same key are merged in the same way.
    """
    found = {**base, **over}
    for key in base.keys() & over.keys():
        if isinstance(base[key], dict) and isinstance(over[key], dict):
            found[key] = merged(base[key], over[key])
    return found


def _chain(path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield each file with its content, the first one first."""
    seen: list[Path] = []
    value: Any = read_yaml(path)
    while True:
        yield path, value
        seen.append(path.resolve())
        named = value.get(EXTENDS) if isinstance(value, dict) and path.suffix in _FILES else None
        if named is None:
            return
        if not isinstance(named, str) or not named.endswith(_FILES):
            raise PrunebenchError(
                f"{path}: extends must be the path of a YAML file, e.g. base.yaml, found"
                f" {shown(named)}"
            )
        path = path.parent / named
        if path.resolve() in seen:
            names = " extends ".join(file.name for file in [*seen, path])
            raise PrunebenchError(f"{seen[0]}: extends itself: {names}")
        if len(seen) == _MOST:
            raise PrunebenchError(f"{seen[0]}: more than {_MOST} files extend one another")
        value = read_plain(path)


def _lacking(base: dict[Any, Any], over: dict[Any, Any], before: str = "") -> Iterator[str]:
    """Yield the settings of ``base`` that ``over`` does not have, with dots between their keys."""
    for key, item in base.items():
        if key not in over:
            yield f"{before}{key}"
        elif isinstance(item, dict) and isinstance(over[key], dict):
            yield from _lacking(item, over[key], f"{before}{key}.")
