"""Nothing is written, moved or removed out of an experiment's folder: links there are refused.

A results folder may come from somebody else, and a symbolic link in it may lead anywhere. Links on
the way to the folder, such as ``results`` itself, are the user's own and are followed. A link that
is the last part of a path does no harm to those who rename over it or remove it: they change the
link. Whoever writes into a file in place opens it with ``open_own``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.storage.layout import LOCK

# an experiment's folder holds its table, or its configuration beside what a command makes
_TABLE, _CONFIG, _BESIDE = "cells.csv", "config.json", (LOCK, "cells", "jobs", "logs")


def refuse(path: Path) -> None:
    """Refuse a path that leads out of the experiment's folder in which it lies.

    Args:
        path: to be replaced, moved or removed; its last part may itself be a link.

    Raises:
        PrunebenchError: a folder on the way is a link, or ``..`` comes after the folder.
    """
    parts = path.parts
    for end in range(len(parts) - 1, 0, -1):
        step = Path(*parts[:end])
        up = parts[end - 1] == ".."
        if (up or step.is_symlink()) and (root := _experiment_above(step)):
            raise PrunebenchError(
                f"{path}: not touched, it would lead out of {root}" if up else _said(step, root)
            )


def refuse_below(root: Path) -> None:
    """Refuse an experiment's folder that holds a link anywhere: other programs write there too.

    Raises:
        PrunebenchError: there is a link; the message names the first one.
    """
    for path in _links(root):
        raise PrunebenchError(_said(path, root))


def refuse_outside(path: Path, root: Path) -> None:
    """Refuse to read what a link in an experiment's folder leads to elsewhere.

    What is read for a page, a table or a copy is shown to others.

    Args:
        path: in the folder, by its name.
        root: the experiment's folder, itself perhaps a link.

    Raises:
        PrunebenchError: it lies elsewhere.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise PrunebenchError(
            f"{path} leads out of {root}: what lies there is not of these results, and is not"
            " shown with them; remove the link"
        )


def open_own(path: Path) -> int:
    """Open a file for writing in place, made where it is missing; nothing is cut off yet.

    Returns:
        The descriptor.

    Raises:
        PrunebenchError: the path, or a folder of the experiment on the way to it, is a link, or it
            is no plain file of one name.
        OSError: it cannot be opened.
    """
    refuse(path)
    refuse_special(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(path, flags, 0o666)


def refuse_special(path: Path) -> None:
    """Refuse to write into what is there unless it is a plain file that has this one name.

    Raises:
        PrunebenchError: it is a link, a file with a second name, a pipe or a device.
    """
    try:
        found = path.lstat()
    except OSError:  # missing; or whoever opens it is told
        return
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise PrunebenchError(f"{path} is a link or no plain file: not written; remove it")


def is_experiment(folder: Path) -> bool:
    """Return whether a folder is an experiment's, finished or not, by what it holds."""
    if os.path.lexists(folder / _TABLE):
        return True
    made = any(os.path.lexists(folder / name) for name in _BESIDE)
    return made and os.path.lexists(folder / _CONFIG)


def _said(path: Path, root: Path) -> str:
    return (
        f"{path} is a symbolic link: nothing is written through a link in an experiment's folder;"
        f" remove it (a link to {root} itself may be)"
    )


def _experiment_above(path: Path) -> Path | None:
    """Return the innermost experiment's folder that holds ``path``, by its lexical parents."""
    return next(filter(is_experiment, path.parents), None)


def _links(folder: Path) -> Iterator[Path]:
    """Yield the links below a folder; none of them is followed."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:  # missing, or of another user: nobody writes there
        return
    for entry in found:
        if entry.is_symlink():
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _links(Path(entry.path))
