"""A method's parts put together: from a view of a network to masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from prunebench import components
from prunebench.pruning.masks import Masks
from prunebench.pruning.view import Scores, View
from prunebench.settings import Method


def part(method: Method, kind: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function of a part and the parameters that the method gives it."""
    return components.load(method.spec(kind)), dict(getattr(method, kind).parameters)


def score(method: Method, view: View) -> Scores:
    """The criterion's scores: higher is kept."""
    criterion, parameters = part(method, "criterion")
    return criterion(view, **parameters)


def masks_at(method: Method, view: View, scores: Scores, sparsity: float) -> Masks:
    """Masks at a target sparsity from scores; nothing outside ``view.within`` is kept.

    Raises Refused where the pattern or allocation cannot meet the target on this network.
    """
    pattern, pattern_parameters = part(method, "pattern")
    allocation, parameters = part(method, "allocation")

    def allocate(units: Scores, remove: int, least: int) -> dict[str, Tensor]:
        return allocation(units, remove, least, view.generator, **parameters)

    return pattern(view, scores, allocate, sparsity, **pattern_parameters)
