"""Patterns that name layers, as ``prunable: {exclude: [...]}`` has them.

A pattern is the name of a weight, of a layer or of any module, which means all weights in it; with
``*``, ``?`` and ``[…]`` as in a shell, or ``re:`` and a regular expression of the whole name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from prunebench.errors import suggest
from prunebench.experiment.settings import REGULAR


def fits(pattern: str, weight: str) -> bool:
    """Return whether a pattern names a weight, or a module that it lies in.

    Args:
        pattern: see above.
        weight: its name, as in ``named_parameters()``.
    """
    names = _names(weight)
    if pattern.startswith(REGULAR):
        return any(re.fullmatch(pattern.removeprefix(REGULAR), name) for name in names)
    return any(fnmatchcase(name, pattern) for name in names)


def _names(weight: str) -> list[str]:
    """The name of a weight and of every module around it but the network itself."""
    parts = weight.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def unfitting(
    setting: str, patterns: Iterable[str], weights: Iterable[str], others: Iterable[str] = ()
) -> dict[str, str]:
    """Return the patterns that name nothing, each with a message that says so.

    Args:
        setting: where they stand, e.g. ``prunable: exclude``.
        patterns: of it.
        weights: names of the weights that they are meant for; of these the nearest is told.
        others: names of further parameters, which it is no fault to name.
    """
    meant = list(weights)
    known = [*meant, *others]
    names = {name for weight in meant for name in _names(weight)}
    return {
        pattern: f"{setting}: {pattern!r} fits no layer or weight"
        + suggest(pattern.removeprefix(REGULAR), names)
        for pattern in patterns
        if not any(fits(pattern, weight) for weight in known)
    }
