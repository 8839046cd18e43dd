"""One place of a network at a time, pruned to given sparsities: what that loses, untrained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prunebench.experiment.settings import Method
from prunebench.pruning import compose
from prunebench.pruning.automatic.candidates import Candidates, Place
from prunebench.pruning.view import Scores, View

WHOLE = 1.0  # the only sparsity of a block: it is there, or gone


@dataclass(frozen=True)
class Alone:
    """A network in which one place alone is pruned.

    A place is a layer, a group of coupled filters or a block. What is not finite is None.
    """

    layer: str  # the names of its weights, or of the block
    modules: tuple[str, ...]  # that hold these weights
    place: int  # in the network's order, from 0
    weights: int  # prunable ones that go with all of it
    macs: int  # of one input, that go with all of it
    sparsity: float  # the target
    removed: float  # the share of its units that are gone
    loss: float | None  # the mean over the calibration samples
    error: float | None  # in [0, 1]
    dense_loss: float | None
    dense_error: float | None
    samples: int  # of calibration


def one_at_a_time(method: Method, view: View, sparsities: Sequence[float]) -> list[Alone]:
    """Prune each place of a network alone to each sparsity, without training.

    As many units go as are nearest to the sparsity, those of the lowest scores; one stays.

    Args:
        method: its criterion and its pattern are used.
        view: the network, with calibration data.
        sparsities: shares of the units of a place, in (0, 1).

    Returns:
        Places in the network's order, at each sparsity; a block once, gone.

    Raises:
        Refused: the network has nothing of what the pattern removes.
    """
    scored = compose.score(method, view)
    units, least, trial = compose.trial_of(method, view, scored.scores)
    candidates = Candidates(units, least, view.generator, trial)
    dense = candidates.quality(candidates.start)
    order = {name: number for number, name in enumerate(view.layers)}
    parts = {name: _weights_of(place, units, view) for name, place in candidates.places.items()}
    found = []
    names = sorted(parts, key=lambda name: min(order[weight] for weight in parts[name]))
    for number, name in enumerate(names):
        place, size = candidates.places[name], candidates.sizes[name]
        whole = {**candidates.start, name: size}
        weights, macs = candidates.weights_gone(whole), candidates.macs_gone(whole)
        wanted = [(WHOLE, 1)] if place.at is not None else [
            (sparsity, min(round(sparsity * size), size - 1)) for sparsity in sparsities
        ]  # fmt: skip
        for sparsity, count in wanted:
            quality = candidates.quality({**candidates.start, name: count})
            found.append(
                Alone(
                    layer=name if place.at is not None else " + ".join(parts[name]),
                    modules=_modules(place, parts[name]), place=number,
                    weights=int(weights), macs=int(macs), sparsity=sparsity, removed=count / size,
                    loss=_finite(quality.loss), error=_finite(quality.error),
                    dense_loss=_finite(dense.loss), dense_error=_finite(dense.error),
                    samples=candidates.samples,
                )
            )  # fmt: skip
    return found


def _weights_of(place: Place, units: Scores, view: View) -> list[str]:
    """Return the prunable weights whose units a place has, in the network's order."""
    if place.at is not None:
        return list(next(block.weights for block in view.blocks if block.name == place.name))
    layer = view.layers.get(place.name)
    if layer is not None and layer.weight.shape == units[place.tensor].shape:  # single weights
        return [place.name]
    group = next(group for group in view.groups if group.name == place.name)
    filters = {item.parameter for item in group.filters()}
    return [name for name in view.layers if name in filters]


def _modules(place: Place, weights: Sequence[str]) -> tuple[str, ...]:
    if place.at is not None:
        return (place.name,)
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in weights))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
