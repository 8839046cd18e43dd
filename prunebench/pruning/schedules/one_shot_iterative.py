"""Schedules that prune before, after or between trainings: one-shot, at initialization, iterative.

``dense`` removes nothing, for the controls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import nn

from prunebench.errors import Refused
from prunebench.experiment.part_kinds import Recovery
from prunebench.experiment.registry import schedule
from prunebench.pruning.curve import Clock, Cost, Curve, Pruned
from prunebench.pruning.masks import ones


@schedule()
def one_shot(curve: Curve, sparsities: Sequence[float]) -> Iterator[Pruned]:
    """Score the trained network once; prune it to each sparsity, recover each on its own."""
    yield from _each(curve, sparsities, curve.training.epochs, curve.baseline_cost)


@schedule(
    recoveries=("weight-rewinding", "re-initialization"),
    why="there are no trained weights to go on from",
    untrained=True,
    ranges={"rounds": "[1, inf)"},
)
def at_initialization(
    curve: Curve, sparsities: Sequence[float], *, rounds: int = 1
) -> Iterator[Pruned]:
    """Score the network before any training, prune, then train once (Lee 2019).

    Args:
        rounds: how often it is scored and pruned on the way to each sparsity (Tanaka 2020).
    """
    if rounds == 1:
        yield from _each(curve, sparsities, 0, Cost())
        return
    for sparsity in sparsities:
        if curve.finished(sparsity) is None:
            clock, model = Clock(), curve.model_at(0)
            scored, masks = curve.masks_in_rounds(model, sparsity, rounds)
            seconds = clock.seconds()
            run, _ = curve.recover(model, scored, masks, before=None)
            yield Pruned(sparsity, model, masks, run, Cost().and_run(run), seconds)


@schedule(sparsities=(0.0,))
def dense(curve: Curve, sparsities: Sequence[float]) -> Iterator[Pruned]:
    """Remove nothing: for the controls that train the dense network otherwise or longer."""
    if curve.finished(0.0) is None:
        model = curve.model_at(curve.training.epochs)
        masks = ones(curve.view(model).weights)
        run = curve.follow(model, masks)
        # a recovery that starts from initialization has no use for the baseline
        from_scratch = curve.method.spec(Recovery).traits.from_scratch
        spent = Cost() if from_scratch else curve.baseline_cost
        yield Pruned(0.0, model, masks, run, spent.and_run(run), 0.0)


def _each(curve: Curve, sparsities: Sequence[float], epoch: int, spent: Cost) -> Iterator[Pruned]:
    missing = [sparsity for sparsity in sparsities if curve.finished(sparsity) is None]
    if not missing:
        return
    for pruned in prune_each(curve, missing, lambda: curve.model_at(epoch), trained=epoch > 0):
        pruned.spent = spent.and_run(pruned.run)
        yield pruned


def prune_each(
    curve: Curve, sparsities: Sequence[float], fresh: Callable[[], nn.Module], trained: bool = True
) -> Iterator[Pruned]:
    """Score the network that ``fresh`` builds once; prune and recover a copy at each sparsity.

    Where it is ``trained``, what is stored of validation before and after pruning is kept.

    What it yields has the cost of its recovery alone. A sparsity that is refused does not keep the
    others from their turn.

    Raises:
        Refused: after the others, where a sparsity was refused.
    """
    clock = Clock()
    view = curve.view(fresh())
    scored = curve.score(view)
    scoring, refused = clock.seconds(), None
    before = None  # the same for all sparsities
    for sparsity in sparsities:
        clock = Clock()
        try:
            masks = curve.masks(view, scored, sparsity)
        except Refused as error:
            refused = error
            continue
        seconds = scoring + clock.seconds()
        model = fresh()
        if trained and before is None:
            before = curve.look(model)
        run, moment = curve.recover(model, scored, masks, before)
        yield Pruned(sparsity, model, masks, run, Cost().and_run(run), seconds, moment)
    if refused is not None:
        raise refused


def rounds(rate: float, last: float) -> list[float]:
    """Return the sparsities of the rounds up to ``last``; each removes ``rate`` of what is left."""
    found, density = [], 1.0
    while (sparsity := round(1 - density * (1 - rate), 10)) <= last:
        found.append(sparsity)
        density *= 1 - rate
    return found


@schedule(passes=True, ranges={"rate": "(0, 1)"})
def iterative(curve: Curve, sparsities: Sequence[float], *, rate: float = 0.2) -> Iterator[Pruned]:
    """Prune and recover in rounds, each removing ``rate`` of what is left (Frankle 2019).

    Only the rounds follow on each other. A sparsity between two rounds is pruned from the round
    before it, so that no cell depends on which others were asked for.

    Args:
        rate: share of the weights left that a round removes, in (0, 1).
    """
    missing = [sparsity for sparsity in sparsities if curve.finished(sparsity) is None]
    if not missing:
        return
    path = rounds(rate, max(missing))
    for sparsity in sorted({*path, *missing}):
        if curve.finished(sparsity) is not None:
            continue
        clock = Clock()
        earlier = [done for done in path if done < sparsity]
        if earlier:
            last = curve.require(earlier[-1])
            if last.diverged:
                return
            model, within, spent = curve.model_in(last.weights), last.masks, last.spent
        else:
            model, within = curve.model_at(curve.training.epochs), None
            spent = curve.baseline_cost
        view = curve.view(model, within)
        scored = curve.score(view)
        masks = curve.masks(view, scored, sparsity)
        seconds = clock.seconds()
        run, moment = curve.recover(model, scored, masks, curve.look(model))
        yield Pruned(sparsity, model, masks, run, spent.and_run(run), seconds, moment)
