"""Allocation by sensitivities: the levels of layers that lose least under a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunebench.experiment.registry import allocation
from prunebench.pruning.allocation import Draw
from prunebench.pruning.automatic.budgets import Goal
from prunebench.pruning.automatic.candidates import Candidates, Counts, Levels
from prunebench.pruning.automatic.exact_choice import choose
from prunebench.pruning.automatic.sensitivity import Sensitivity, sensitivity
from prunebench.pruning.compose import Trial
from prunebench.pruning.masks import Chosen, Search
from prunebench.pruning.view import Scores

_COUNTED, _TIMED = 30, 6  # how often the assembled network may be corrected
_NEAR = 0.02  # share of the time that may be saved beyond a budget: times vary by as much
_AGAIN = 2  # times of each, the longest counts: of many, the one nearest to a budget looks too good


@allocation(
    patterns=("weight", "filter", "block"),
    schedules=("one-shot", "at-initialization", "iterative"),
    why="it would measure every layer again at every step of training",
    outcome="budget",
    compares="layer",
    tries=True,
    ranges={
        "budget": {"weights": "(0, 1)", "macs": "(0, 1)", "latency": "(0, 1)"}, "rate": "(0, 1)",
    },
)  # fmt: skip
def budgeted(
    scores: Scores, remove: int, least: int, draw: Draw, trial: Trial, *,
    budget: dict[str, float] | None = None, rate: float = 0.4,
) -> Chosen:  # fmt: skip
    """The levels whose losses, each measured alone, have the least sum under a budget.

    Each layer (coupled group, block) is pruned alone to each of its levels, and the loss on the
    calibration data is measured without training. The best levels together are found exactly, as
    an integer linear program. Losses of layers do not add up, and what they save does not either:
    the budget is corrected until the assembled network meets it, and what is then left of it is
    given back where the loss rose most steeply.

    Args:
        scores: choose within each layer.
        remove: prunable weights that are to go, where there is no budget.
        least: units to keep of each layer.
        draw: the view's generators.
        trial: the network.
        budget: the share to keep of ``weights`` (prunable ones), of ``macs`` (all of the network's)
            or of measured ``latency``, such as ``{macs: 0.5}``. The sparsity is then the outcome.
            None: as many weights go as the target sparsity says.
        rate: the share of what is left of a layer that its next level removes.

    Raises:
        Refused: no candidate saves as much, or a latency is asked for where none is measured.
    """
    candidates = Candidates(scores, least, draw, trial)
    measured = sensitivity(candidates, rate)
    goal = Goal(candidates, measured.levels, budget, remove)
    counts = cheapest(candidates, measured, goal)
    loss, spent = candidates.quality(counts).loss, measured.evaluations + 1
    return answer(candidates, counts, goal, loss, spent, measured)


def cheapest(candidates: Candidates, measured: Sensitivity, goal: Goal) -> dict[str, int]:
    """Return the numbers of units gone whose losses, each alone, have the least sum.

    Args:
        candidates: the networks.
        measured: what each place loses alone.
        goal: what must be saved.

    Raises:
        Refused: no candidate saves as much.
    """
    levels, resource = measured.levels, goal.resource
    if resource.begun >= goal.needed:
        return dict(candidates.start)
    losses = [[measured.rise(name, n) for n in range(len(own))] for name, own in levels.items()]
    savings = [resource.alone[name] for name in levels]
    everything = {name: own[-1] for name, own in levels.items()}
    demand = goal.needed - resource.begun
    near = math.inf if resource.counted else _NEAR  # what is counted is given back below, exactly
    low, high = -math.inf, math.inf  # demands that saved too little, and enough
    found: list[tuple[float, dict[str, int]]] = []
    for _ in range(_COUNTED if resource.counted else _TIMED):
        chosen = choose(losses, savings, demand)
        counts = everything if chosen is None else _at(levels, chosen)
        times = 1 if resource.counted else _AGAIN
        short = max(goal.needed - resource.measured(counts) for _ in range(times))
        found.append((short, counts))
        if -near <= short <= 0 or (chosen is None and short > 0):
            break
        low, high = (demand, high) if short > 0 else (low, demand)
        demand += short  # what two layers both save was counted twice, or less than they save
        if not low < demand < high:
            demand = (low + high) / 2
    enough = [pair for pair in found if pair[0] <= 0]
    short, counts = (
        max(enough, key=lambda pair: pair[0]) if enough else min(found, key=lambda pair: pair[0])
    )
    if not resource.counted:
        if counts is everything and short > 0:
            raise goal.refusal(goal.needed - short)
        return counts
    counts = settle(candidates, measured, counts, goal)
    if short > 0 and goal.distance(counts) > goal.rounding():
        raise goal.refusal(goal.needed - short)
    return counts


def _at(levels: Levels, chosen: list[int]) -> dict[str, int]:
    return {name: own[at] for (name, own), at in zip(levels.items(), chosen, strict=True)}


def settle(
    candidates: Candidates, measured: Sensitivity, counts: Counts, goal: Goal
) -> dict[str, int]:
    """Give back what was saved beyond the goal, and return the counts that are nearest to it.

    Units come back first to the place whose loss rose most for what its last step saved.

    Args:
        candidates: the networks.
        measured: what each place loses alone.
        counts: units gone of each place, enough for the goal.
        goal: what must be saved.
    """
    settled, ends = dict(counts), {}
    while goal.distance(settled) > 0:
        steps = _steps(measured, goal, settled)
        open_steps = {name: step for name, step in steps.items() if name not in ends}
        if not open_steps:
            break
        name = max(open_steps, key=lambda name: open_steps[name].slope)
        fewest = lowered(settled, name, open_steps[name].low, goal)
        settled[name] = fewest
        if fewest > open_steps[name].low:  # one unit more would be too many
            ends[name] = fewest - 1
    near = [settled, *({**settled, name: count} for name, count in ends.items())]
    return min(near, key=goal.distance)


@dataclass(frozen=True)
class _Step:
    """From a place's number of units gone back to its next lower level."""

    low: int
    slope: float  # of the loss, for what is saved


def _steps(measured: Sensitivity, goal: Goal, counts: Counts) -> dict[str, _Step]:
    found = {}
    for name, own in measured.levels.items():
        at = _level_of(counts[name], own)
        if at:
            rise = measured.rise(name, at) - measured.rise(name, at - 1)
            saved = goal.resource.alone[name][at] - goal.resource.alone[name][at - 1]
            slope = rise / saved if saved > 0 else math.inf
            found[name] = _Step(own[at - 1], -math.inf if math.isnan(slope) else slope)
    return found


def _level_of(count: int, levels: list[int]) -> int:
    """Return the lowest level at which as many units are gone."""
    return next(at for at, level in enumerate(levels) if level >= count)


def lowered(counts: Counts, name: str, low: int, goal: Goal, needed: float | None = None) -> int:
    """Return the fewest units gone of a place, from ``low`` on, with which the goal is still met.

    Args:
        counts: of all places; those of the others stay.
        name: of the place.
        low: the fewest that may be gone.
        goal: what must be saved.
        needed: in place of the goal's own.
    """
    needed = goal.needed if needed is None else needed

    def saved(count: int) -> float:
        return goal.resource.saved({**counts, name: count}) - needed

    high = counts[name]
    short, over = saved(low), saved(high)
    if short >= 0:
        return low
    straight = True  # of one place alone it nearly is; halving in turns ends it where it is not
    while high - low > 1:
        share = -short / (over - short) if straight and over > short else 0.5
        guess = min(max(low + math.ceil(share * (high - low)), low + 1), high - 1)
        found, straight = saved(guess), not straight
        if found >= 0:
            high, over = guess, found
        else:
            low, short = guess, found
    return high


def answer(
    candidates: Candidates, counts: Counts, goal: Goal, loss: float, evaluations: int,
    measured: Sensitivity | None = None,
) -> Chosen:  # fmt: skip
    """Return what is kept at some counts, with what it took and what became of it.

    Args:
        candidates: the networks.
        counts: units gone of each place.
        goal: what had to be saved.
        loss: of that network, on the calibration data.
        evaluations: networks that were evaluated to find the counts.
        measured: what each place loses alone, where it was measured.
    """
    expected = None
    if measured is not None:
        rises = (
            _between(counts[name], own, [measured.rise(name, n) for n in range(len(own))])
            for name, own in measured.levels.items()
        )
        expected = _finite(measured.start.loss + sum(rises))
    search = Search(
        evaluations=evaluations, samples=evaluations * candidates.samples, loss=_finite(loss),
        expected_loss=expected, budget_miss=goal.miss(counts),
    )  # fmt: skip
    return Chosen(candidates.keep(counts), {}, search)


def _finite(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _between(count: int, levels: list[int], losses: list[float]) -> float:
    """Return the loss at a count, on a straight line between levels."""
    upper = _level_of(count, levels)
    if levels[upper] == count:
        return losses[upper]
    low, high = levels[upper - 1], levels[upper]
    share = (count - low) / (high - low)
    return (1 - share) * losses[upper - 1] + share * losses[upper]
