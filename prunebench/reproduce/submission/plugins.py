"""Python files of a submission's configuration: read from its folder and from nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError


def renamed(value: Any, rename: Callable[[str], str]) -> Any:
    """Return a configuration with other names of the parts that do not ship.

    Args:
        value: the configuration as YAML has it.
        rename: gives the new name of a part, a probe or a measure whose name has a colon.
    """
    # of what is shown, a column of the table needs the measures alone
    found = {key: item for key, item in value.items() if key != "report"}
    report = value.get("report")
    if isinstance(report, dict) and isinstance(report.get("measures"), list):
        found["report"] = {"measures": [_own(name, rename) for name in report["measures"]]}
    if isinstance(value.get("methods"), list):
        found["methods"] = [_parts(method, rename) for method in value["methods"]]
    probes = value.get("probes")
    if isinstance(probes, dict):
        lists = {key: probes[key] for key in ("run", "sensitivity")
                 if isinstance(probes.get(key), list)}  # fmt: skip
        changed = {key: [_parts(item, rename) for item in own] for key, own in lists.items()}
        found["probes"] = {**probes, **changed}
    return found


def _parts(value: Any, rename: Callable[[str], str]) -> Any:
    """Rename the parts in a method, a ``first`` or a part; a part's parameters stay."""
    if isinstance(value, str):
        return _own(value, rename)
    if not isinstance(value, dict):
        return value
    texts = ("description", "paper", "family", "parameters")
    return {key: item if key in texts else _parts(item, rename) for key, item in value.items()}


def _own(name: Any, rename: Callable[[str], str]) -> Any:
    return rename(name) if isinstance(name, str) and ":" in name else name


def file_of(name: str) -> tuple[str, str]:
    """Return the path and the function of a part's name such as ``path/to/mine.py:score``.

    Raises:
        PrunebenchError: the part is in a Python module, which nobody else has.
    """
    place, _, function = name.rpartition(":")
    if not place.endswith(".py"):
        raise PrunebenchError(
            f"{name!r} is in a Python module; the parts of a submission must be in files of its"
            " folder, e.g. mine.py:score"
        )
    return place, function


def localized(name: str, folder: Path) -> str:
    """Return a part's name with the path of its file in a folder.

    The file is looked for at its relative path, then by its name. Nothing outside of the folder is
    read.

    Args:
        name: the part's name in the configuration.
        folder: the submission's folder.

    Raises:
        PrunebenchError: the folder does not have the file.
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
