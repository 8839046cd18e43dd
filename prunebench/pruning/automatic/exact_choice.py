"""The best level of each layer under a budget, found exactly: an integer linear program."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from prunebench.errors import Refused

_RANGE = 1e4  # of the losses in the solver, whose absolute tolerance is 1e-6


def choose(
    losses: Sequence[Sequence[float]], savings: Sequence[Sequence[float]], needed: float
) -> list[int] | None:
    """Return for each layer the level that minimizes the sum of losses and saves enough in all.

    Σ losses[i][x_i] is the least possible with Σ savings[i][x_i] ≥ needed (SPDY, Frantar 2022,
    solves the same by dynamic programming, which rounds the savings).

    Args:
        losses: of each layer at each of its levels; one that is not finite is no choice.
        savings: of the same shape, finite.
        needed: what all must save together.

    Returns:
        A level of each layer; None where no choice saves enough.

    Raises:
        Refused: the solver gave up.
    """
    options = [
        (layer, level)
        for layer, own in enumerate(losses)
        for level, loss in enumerate(own)
        if np.isfinite(loss)
    ]
    loss = np.array([losses[layer][level] for layer, level in options])
    saving = np.array([savings[layer][level] for layer, level in options], float)
    of_layer = np.array([layer for layer, _ in options])
    if set(of_layer) != set(range(len(losses))):
        return None
    best = [max(saving[of_layer == layer]) for layer in range(len(losses))]
    if sum(best) < needed:
        return None
    spread = np.ptp(loss) or 1.0
    scale = np.abs(saving).max() or 1.0
    ones = csr_array((np.ones(len(options)), (of_layer, np.arange(len(options)))))
    demand = needed
    while True:
        found = milp(
            _RANGE * (loss - loss.min()) / spread,
            integrality=np.ones(len(options)),
            bounds=Bounds(0, 1),
            constraints=[
                LinearConstraint(ones, 1, 1),
                LinearConstraint(saving[None] / scale, demand / scale, np.inf),
            ],
            options={"mip_rel_gap": 0},
        )
        if found.status == 2:  # infeasible: the solver's tolerance took it for enough before
            return [int(np.argmax(own)) for own in _by_layer(saving, of_layer)]
        if found.x is None:
            raise Refused(f"no allocation was found: {found.message}")
        chosen = found.x > 0.5
        short = needed - saving[chosen].sum()
        if short <= 0:
            return [level for (_, level), taken in zip(options, chosen, strict=True) if taken]
        demand += max(short, 1e-6 * scale)  # the solver allows for rounding; a budget does not


def _by_layer(values: np.ndarray, of_layer: np.ndarray) -> list[np.ndarray]:
    return [values[of_layer == layer] for layer in range(of_layer[-1] + 1)]
