"""Candidates: the networks that an allocation may choose, what they lose, and what they save.

A candidate is a number of removed units for each place: a tensor of scores, whose lowest go, or a
unit that is a layer of its own, as a block is. A group of coupled filters is one place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from prunebench.errors import Refused
from prunebench.pruning.allocation import Draw, Keep, gone_of, lowest_of_each, most
from prunebench.pruning.compose import Trial
from prunebench.pruning.held_networks import copied
from prunebench.pruning.macs import macs
from prunebench.pruning.masks import Masks, apply
from prunebench.pruning.modes import evaluating
from prunebench.pruning.view import Scores
from prunebench.storage.records import DENSE
from prunebench.training.loop import error_of, logits_of

Counts = Mapping[str, int]  # a place's name -> how many of its units are gone
Levels = dict[str, list[int]]  # a place's name -> such numbers, from few to many
T = TypeVar("T")
LEAST_DENSITY = 0.001  # of what is left of a place, at its last level


@dataclass(frozen=True)
class Place:
    """Units among which the lowest scores go."""

    name: str
    tensor: str  # of the scores
    at: int | None = None  # its only unit there; None: it has all


@dataclass(frozen=True)
class Quality:
    """How good a network is on the calibration data."""

    loss: float  # the mean over the samples
    error: float | None  # in [0, 1]; None where the kind of task is not known


class Candidates:
    """Networks that differ in how much of each place is gone; counts those that are evaluated."""

    def __init__(self, scores: Scores, least: int, draw: Draw, trial: Trial) -> None:
        """See ``pruning.allocation`` for scores, least and draw, ``compose.Trial`` for trial."""
        self._scores, self._least, self._draw, self._trial = scores, least, draw, trial
        self.view = trial.view
        self.places = {place.name: place for place in _places(scores, trial)}
        gone = {name: gone_of(self._of(place)) for name, place in self.places.items()}
        self.start: Counts = gone  # what earlier rounds removed
        self.most = {name: most(self._of(p), self._least_of(p)) for name, p in self.places.items()}
        self.sizes = {name: self._of(place).numel() for name, place in self.places.items()}
        self.evaluations = 0
        self._network = copied(self.view.model)

    def _of(self, place: Place) -> Tensor:
        value = self._scores[place.tensor]
        return value if place.at is None else value.flatten()[place.at : place.at + 1]

    def _least_of(self, place: Place) -> int:
        return self._least if place.at is None else 0

    def levels(self, rate: float) -> Levels:
        """Return the numbers of units that may be gone of each place, from none to all but few.

        Args:
            rate: the share of what is left that the next level removes, in (0, 1).
        """
        found = {}
        for name, place in self.places.items():
            gone, alive = self.start[name], self.sizes[name] - self.start[name]
            if place.at is not None:
                found[name] = sorted({gone, self.most[name]})
                continue
            counts, density = {gone}, 1.0
            while density > LEAST_DENSITY and alive:
                density = max(density * (1 - rate), LEAST_DENSITY)
                # one stays in any case: without a layer the network computes nothing
                counts.add(gone + min(round(alive * (1 - density)), alive - 1))
            found[name] = sorted(count for count in counts if count <= self.most[name])
        return found

    # ---------------------------------------------------------------- what a candidate is

    def keep(self, counts: Counts) -> Keep:
        """Return what is kept of the units, by the names of the scores."""
        whole = {p.tensor: counts[name] for name, p in self.places.items() if p.at is None}
        if whole:
            return lowest_of_each(
                {name: self._scores[name] for name in whole}, whole, self._least, self._draw
            )
        keep = {name: ~value.isneginf() for name, value in self._scores.items()}
        for name, place in self.places.items():
            if place.at is not None and counts[name]:
                keep[place.tensor].view(-1)[place.at] = False
        return keep

    def masks(self, counts: Counts) -> Masks:
        """Return what is kept of each parameter."""
        return self._trial.masks(self.keep(counts))

    # -------------------------------------------------------------------- what it loses

    @torch.no_grad()
    def quality(self, counts: Counts) -> Quality:
        """Return how good the network is on the calibration data, without any training."""
        self.evaluations += 1
        masks, view = self.masks(counts), self.view
        apply(self._network, masks)
        total, samples = 0.0, 0
        stored, targets_of = [], []
        with evaluating(self._network):
            for inputs, targets in view.batches:
                outputs = logits_of(self._network(inputs))
                total += float(view.loss(outputs, targets)) * len(inputs)
                samples += len(inputs)
                if view.kind is not None:
                    answers = view.kind.answers(outputs)
                    stored.append(view.kind.keep(answers, targets))
                    targets_of.append(targets)
        values, parameters = dict(view.model.named_parameters()), self._network.named_parameters()
        for name, value in parameters:
            if name in masks:
                value.copy_(values[name])
        error = None
        if view.kind is not None:
            error = error_of(view.kind, torch.cat(stored).cpu(), torch.cat(targets_of).cpu())
        return Quality(total / samples, error)

    @cached_property
    def samples(self) -> int:
        """How many calibration samples each evaluation takes."""
        return sum(len(inputs) for inputs, _ in self.view.batches)

    # -------------------------------------------------------------------- what it saves

    @property
    def _single(self) -> bool:
        """Whether every unit is one weight."""
        weights = self.view.weights
        shapes = {name: value.shape for name, value in self._scores.items()}
        return shapes == {name: weights[name].shape for name in weights}

    def weights_gone(self, counts: Counts) -> float:
        """Return how many prunable weights are gone."""
        if self._single:
            return sum(counts.values())
        masks = self.masks(counts)
        return sum(int((~masks[name]).sum()) for name in self.view.weights if name in masks)

    def macs_gone(self, counts: Counts) -> float:
        """Return how many MACs of one input are gone, as the column ``macs_kept`` counts them."""
        dense, kept = macs(self.view.model, self.view.example[:1], self.masks(counts))
        return dense - kept

    @cached_property
    def all_weights(self) -> int:
        """How many prunable weights there are."""
        return sum(value.numel() for value in self.view.weights.values())

    @cached_property
    def all_macs(self) -> int:
        """How many MACs the dense network takes for one input."""
        return macs(self.view.model, self.view.example[:1], {})[0]

    def time_shares(self, candidates: Sequence[Counts]) -> list[float]:
        """Return the times of candidates, as shares of the dense network's.

        They are measured in turns with each other and with the dense network.

        Raises:
            Refused: nothing here measures time.
        """
        if self.view.stopwatch is None:
            raise Refused("times are measured in a grid alone: give a budget of weights or MACs")
        masks = {str(n): self.masks(counts) for n, counts in enumerate(candidates)}
        found = self.view.stopwatch(self.view.model, {**masks, DENSE: {}})
        return [found[name] / found[DENSE] for name in masks]

    # ------------------------------------------------------------------- what is known

    def remembered(self, what: str, levels: Levels, make: Callable[[], T]) -> T:
        """Return what was made of this network before, for another sparsity, or make it.

        Args:
            what: names it.
            levels: of each place, on which it depends.
            make: makes it.
        """
        view = self.view
        key = (what, *((name, *own) for name, own in levels.items()))
        if key not in view.memory or view.memory[key][0] is not view.within:
            view.memory[key] = view.within, make()
        found: T = view.memory[key][1]
        return found


def _places(scores: Scores, trial: Trial) -> list[Place]:
    if not trial.whole_layers:
        return [Place(name, name) for name in scores]
    [(tensor, value)] = scores.items()
    names = [block.name for block in trial.view.blocks]
    return [Place(names[at], tensor, at) for at in range(value.numel())]
