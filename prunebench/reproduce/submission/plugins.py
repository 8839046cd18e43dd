"""The Python files that a submission's configuration names: in its folder and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError


def renamed(value: Any, rename: Callable[[str], str]) -> Any:
    """A configuration with ``rename`` applied to the names of all parts of methods and to probes.

    Only names of somebody's own parts are given to it: those with a colon.
    """
    found = dict(value)
    if isinstance(value.get("methods"), list):
        found["methods"] = [_parts(method, rename) for method in value["methods"]]
    probes = value.get("probes")
    if isinstance(probes, dict) and isinstance(probes.get("run"), list):
        run = [_own(name, rename) for name in probes["run"]]
        found["probes"] = {**probes, "run": run}
    return found


def _parts(value: Any, rename: Callable[[str], str]) -> Any:
    """A method, a ``first`` or a part, and what is inside; a part's parameters stay."""
    if isinstance(value, str):
        return _own(value, rename)
    if not isinstance(value, dict):
        return value
    texts = ("description", "paper", "family", "parameters")
    return {key: item if key in texts else _parts(item, rename) for key, item in value.items()}


def _own(name: Any, rename: Callable[[str], str]) -> Any:
    return rename(name) if isinstance(name, str) and ":" in name else name


def file_of(name: str) -> tuple[str, str]:
    """``path/to/mine.py:score`` as its path and its function.

    Raises PrunebenchError for a Python module, which nobody else has.
    """
    place, _, function = name.rpartition(":")
    if not place.endswith(".py"):
        raise PrunebenchError(
            f"{name!r} is of a Python module; a submission's parts stand in files of its folder,"
            " named as mine.py:score"
        )
    return place, function


def localized(name: str, folder: Path) -> str:
    """The part's name with the path of its file in ``folder``: at its own place, else by its name.

    Raises PrunebenchError where the folder does not have it; what lies outside is never read.
    """
    place, function = file_of(name)
    root = folder.resolve()
    for candidate in (root / place, root / Path(place).name):
        path = candidate.resolve()
        if path.is_relative_to(root) and path.is_file():
            return f"{path}:{function}"
    raise PrunebenchError(
        f"config.json names {name!r}, and {folder} has no {Path(place).name}: put the file there"
    )
