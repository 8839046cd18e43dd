"""Allocations found by trying whole networks on calibration data: a search, and its control."""

from __future__ import annotations

import math

import torch

from prunebench.experiment.registry import allocation
from prunebench.pruning.allocation import Draw
from prunebench.pruning.automatic.budgeted import answer, cheapest, lowered
from prunebench.pruning.automatic.budgets import Goal
from prunebench.pruning.automatic.candidates import LEAST_DENSITY, Candidates, Counts, Levels
from prunebench.pruning.automatic.sensitivity import sensitivity
from prunebench.pruning.compose import Trial
from prunebench.pruning.masks import Chosen
from prunebench.pruning.view import Scores

_FLOOR = 0.05  # of the exponents that are drawn
_HALVINGS = 12  # of the range in which a common factor is sought


@allocation(
    patterns=("weight", "filter", "block"),
    schedules=("one-shot", "at-initialization", "iterative"),
    why="it would search again at every step of training",
    outcome="budget",
    compares="layer",
    tries=True,
    ranges={
        "budget": {"weights": "(0, 1)", "macs": "(0, 1)", "latency": "(0, 1)"},
        "rate": "(0, 1)", "evaluations": "[1, inf)",
    },
)  # fmt: skip
def searched(
    scores: Scores, remove: int, least: int, draw: Draw, trial: Trial, *,
    budget: dict[str, float] | None = None, rate: float = 0.4, evaluations: int = 100,
) -> Chosen:  # fmt: skip
    """From the budgeted allocation on, sparsity moves between layers while the loss falls.

    The level switch of EvoPress (Sieberling 2025): one layer goes to its next level, another gets
    back as much of the budget; the network of both is kept if its loss on the calibration data is
    lower. No layer's loss is taken to add to another's.

    Args:
        scores: choose within each layer.
        remove: prunable weights that are to go, where there is no budget.
        least: units to keep of each layer.
        draw: the view's generators.
        trial: the network.
        budget: the share to keep of ``weights``, ``macs`` or ``latency``, as of ``budgeted``.
        rate: the share of what is left of a layer that its next level removes.
        evaluations: networks that are tried, beside those of the budgeted allocation.

    Raises:
        Refused: no candidate saves as much, or a latency is asked for where none is measured.
    """
    candidates = Candidates(scores, least, draw, trial)
    measured = sensitivity(candidates, rate)
    goal = Goal(candidates, measured.levels, budget, remove)
    best: Counts = cheapest(candidates, measured, goal)
    loss, spent = candidates.quality(best).loss, measured.evaluations + 1
    saved = goal.resource.saved(best)
    needed = min(goal.needed, saved) if goal.resource.counted else saved
    generator = draw("search")
    for _ in range(evaluations):
        moved = switched(candidates, measured.levels, goal, best, needed, generator)
        if moved is None:  # there is nothing to move
            break
        found, spent = candidates.quality(moved).loss, spent + 1
        if found < loss:
            best, loss = moved, found
    return answer(candidates, best, goal, loss, spent, measured)


def switched(
    candidates: Candidates, levels: Levels, goal: Goal, counts: Counts, needed: float,
    generator: torch.Generator,
) -> Counts | None:  # fmt: skip
    """Return counts where one place has lost more and another got as much of the budget back.

    Args:
        candidates: the networks.
        levels: of each place.
        goal: what must be saved.
        counts: units gone of each place, which save ``needed``.
        needed: what must be saved.
        generator: draws the two places.

    Returns:
        The first such counts in an order that is drawn; None where there are none.
    """
    names = list(levels)
    for drawn in torch.randperm(len(names) ** 2, generator=generator).tolist():
        more, less = names[drawn // len(names)], names[drawn % len(names)]
        above = [level for level in levels[more] if level > counts[more]]
        if more == less or not above:
            continue
        moved = {**counts, more: above[0]}
        moved[less] = lowered(moved, less, candidates.start[less], goal, needed)
        if moved[less] == counts[less]:
            continue
        # where the other has nothing more to give back, the first need not lose as much
        moved[more] = lowered(moved, more, counts[more], goal, needed)
        if moved[more] > counts[more]:
            return moved
    return None


@allocation(
    patterns=("weight", "filter", "block"),
    schedules=("one-shot", "at-initialization", "iterative"),
    why="it would search again at every step of training",
    outcome="budget",
    compares="layer",
    tries=True,
    ranges={
        "budget": {"weights": "(0, 1)", "macs": "(0, 1)", "latency": "(0, 1)"},
        "rate": "(0, 1)", "evaluations": "[1, inf)",
    },
)  # fmt: skip
def random_allocation(
    scores: Scores, remove: int, least: int, draw: Draw, trial: Trial, *,
    budget: dict[str, float] | None = None, rate: float = 0.4, evaluations: int = 100,
) -> Chosen:  # fmt: skip
    """The best of random allocations at the same budget, as many as ``searched`` evaluates.

    This control asks whether a search finds more than chance does: of each layer the density is
    drawn, all are scaled together until they meet the budget, and the network with the least loss
    on the calibration data is taken.

    Args:
        scores: choose within each layer.
        remove: prunable weights that are to go, where there is no budget.
        least: units to keep of each layer.
        draw: the view's generators.
        trial: the network.
        budget: the share to keep of ``weights``, ``macs`` or ``latency``, as of ``budgeted``.
        rate: as of ``searched``, so that as many networks are tried.
        evaluations: as of ``searched``; those of its sensitivities are added.

    Raises:
        Refused: no candidate saves as much, or a latency is asked for where none is measured.
    """
    candidates = Candidates(scores, least, draw, trial)
    levels = candidates.levels(rate)
    goal = Goal(candidates, levels, budget, remove)
    generator = draw("search")
    # as many as the sensitivities, the start and the search of ``searched`` together
    count = 1 + sum(len(own) - 1 for own in levels.values()) + 1 + evaluations
    best, loss = None, math.inf
    for _ in range(count):
        counts = drawn_counts(candidates, levels, goal, generator)
        found = candidates.quality(counts).loss
        if best is None or found < loss:
            best, loss = counts, found
    assert best is not None
    return answer(candidates, best, goal, loss, count)


def drawn_counts(
    candidates: Candidates, levels: Levels, goal: Goal, generator: torch.Generator
) -> Counts:
    """Return random counts that meet a goal as nearly as whole units of one place allow.

    Of place i as much is kept as d^(t·e_i) with e_i drawn from [0.05, 1), and t found by bisection.

    Raises:
        Refused: even the last levels do not save as much.
    """
    start, names = candidates.start, list(levels)
    drawn = torch.rand(len(names), generator=generator, dtype=torch.float64)
    exponents = (_FLOOR + (1 - _FLOOR) * drawn).tolist()

    def at(power: float) -> dict[str, int]:
        return {
            name: min(
                start[name] + round((size - start[name]) * (1 - LEAST_DENSITY ** (power * e))),
                levels[name][-1],
            )
            for name, size, e in zip(names, candidates.sizes.values(), exponents, strict=True)
        }

    if goal.resource.saved(start) >= goal.needed:
        return start
    low, high = 0.0, 1 / min(exponents)
    counts = at(high)
    if goal.resource.saved(counts) < goal.needed:
        if goal.distance(counts) > goal.rounding():
            raise goal.refusal(goal.resource.saved(counts))
        return counts
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if goal.resource.saved(at(middle)) >= goal.needed:
            high = middle
        else:
            low = middle
    counts = at(high)
    for pick in torch.randperm(len(names), generator=generator).tolist():
        name = names[pick]
        counts[name] = lowered(counts, name, start[name], goal)
    return counts
