"""A curve while it is computed: what schedules and recoveries work with.

A curve is one method on one baseline. It builds networks in any state of the baseline, prunes and
trains them, and reads back its cells that are finished already.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.part_kinds import Recovery
from prunebench.experiment.settings import Method, Prunable, Training
from prunebench.pruning import compose
from prunebench.pruning.held_networks import copied
from prunebench.pruning.masks import Masks, Search, apply
from prunebench.pruning.modes import batch_norms
from prunebench.pruning.view import Compensated, Scores, Stopwatch, View
from prunebench.storage.hashing import derive_seed
from prunebench.tasks.batches import steps_per_epoch
from prunebench.training.checkpoints import Checkpoints
from prunebench.training.loop import (
    NO_HOOKS,
    Hooks,
    Rate,
    Run,
    Samples,
    learning_rate,
    predict,
    train,
)

State = Mapping[str, Tensor]  # a state dict
_ACTING = "the method works on the whole network while it trains"
_LEAST_EVERY = 10  # steps: the weights must learn a little before they are judged again


@dataclass(frozen=True)
class Cost:
    """The cost of all training so far, the baseline and earlier rounds included."""

    epochs: float = 0.0
    seconds: float = 0.0
    evaluations: int = 0  # networks that were tried to choose allocations
    search_epochs: float = 0.0  # of the epochs, those of the samples that went through them

    def and_run(self, run: Run) -> Cost:
        """Return this cost plus that of one more training."""
        return replace(self, epochs=self.epochs + run.epochs, seconds=self.seconds + run.seconds)

    def and_search(self, search: Search, samples: int) -> Cost:
        """Return this cost plus that of a search, in epochs of ``samples`` training samples."""
        epochs = search.samples / samples
        return replace(
            self, epochs=self.epochs + epochs, search_epochs=self.search_epochs + epochs,
            evaluations=self.evaluations + search.evaluations,
        )  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """What is stored of validation [N, ...] just before weights were removed, and just after."""

    before: Tensor
    after: Tensor


@dataclass
class Pruned:
    """A pruned and recovered network: all that a cell stores is taken from it."""

    sparsity: float  # the target
    model: nn.Module
    masks: Masks
    run: Run
    spent: Cost
    prune_seconds: float
    # of the last removal from a trained network; None where there is no such single moment
    moment: Moment | None = None


@dataclass
class Finished:
    """A cell of this curve that is stored already."""

    weights: State
    masks: Masks
    spent: Cost
    diverged: bool


class TrainedView(View):
    """A view of a network in the middle of training, with what was summed up over its steps."""

    movement: Scores | None = None  # −Σ w·g over the steps so far, by weight


class Smaller(Protocol):
    """A network without the units that its masks remove, which trains as the masked one does."""

    @property
    def model(self) -> nn.Module:
        """The network to train."""
        ...

    @property
    def masks(self) -> Masks:
        """Of what is left."""
        ...

    def whole(self, state: State) -> Mapping[str, Tensor]:
        """Return the state of the whole network for one of the smaller network's."""
        ...


@dataclass
class Curve:
    """One method on one baseline."""

    method: Method
    training: Training
    prunable: Prunable
    seed: int  # of every draw of this curve, derived from its identity
    baseline_seed: int  # of the order of the baseline's batches
    build: Callable[[], nn.Module]  # the network at initialization, on the device
    states: Callable[[int], State]  # the baseline's state after an epoch: 0, rewind epochs, the end
    samples: Samples
    finished: Callable[[float], Finished | None]
    baseline_cost: Cost
    precision: torch.dtype | None = None
    compile: bool = False
    calibration: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    build_anew: Callable[[int], nn.Module] | None = None  # the network from another seed
    checkpoints: Checkpoints | None = None  # where long trainings keep their state
    stopwatch: Stopwatch | None = None  # measures how long networks take
    stretch: float = 1.0  # times the epochs asked for that a training lasts
    # (network, its masks) -> what is trained in its place, or Refused; None: masked networks are
    smaller: Callable[[nn.Module, Masks], Smaller] | None = None

    @property
    def epochs(self) -> int:
        """The epochs of the baseline's training."""
        return self.training.epochs

    @property
    def steps_per_epoch(self) -> int:
        """The optimizer's steps in one epoch."""
        return steps_per_epoch(len(self.samples.targets), self.training.batch_size)

    def stretched(self, times: float) -> tuple[int, Rate]:
        """Return epochs and learning rate of a training ``times`` as long as the baseline's.

        Raises:
            PrunebenchError: that is less than one epoch.
        """
        rate, own, epochs = learning_rate(self.training), self.epochs, round(times * self.epochs)
        if epochs < 1:
            raise PrunebenchError(f"training of {times:g} × {own} epochs is none")
        return epochs, rate if epochs == own else lambda epoch: rate(epoch * own / epochs)

    def model_at(self, epoch: int) -> nn.Module:
        """Return a network in the baseline's state after ``epoch`` epochs."""
        return self.model_in(self.states(epoch))

    def model_in(self, state: State) -> nn.Module:
        """Return a network in a given state."""
        model = self.build()
        model.load_state_dict(dict(state))
        return model

    def view(self, model: nn.Module, within: Masks | None = None) -> View:
        """Return the network as a criterion sees it, within the masks of earlier rounds."""
        return View(
            model, batches=self.calibration, loss=self.samples.kind.loss, seed=self.seed,
            prunable=self.prunable, within=within, kind=self.samples.kind,
            stopwatch=self.stopwatch,
        )  # fmt: skip

    def trained_view(
        self, model: nn.Module, within: Masks | None, movement: Scores | None
    ) -> TrainedView:
        """Return the network as a criterion sees it in the middle of training."""
        view = TrainedView(
            model, batches=self.calibration, loss=self.samples.kind.loss, seed=self.seed,
            prunable=self.prunable, within=within,
        )  # fmt: skip
        view.movement = movement
        return view

    def score(self, view: View) -> Compensated:
        """Return the criterion's scores of a network."""
        return compose.score(self.method, view)

    def masks(self, view: View, scored: Compensated, sparsity: float) -> Masks:
        """Return masks at a target sparsity, in [0, 1).

        Raises:
            Refused: most of what they keep was drawn among equal scores.
        """
        masks = compose.masks_at(self.method, view, scored.scores, sparsity)
        return compose.checked_for_draws(self.method, view, masks, sparsity)

    def masks_in_rounds(
        self, model: nn.Module, sparsity: float, rounds: int
    ) -> tuple[Compensated, Masks]:
        """Return scores and masks of a network, scored and pruned ``rounds`` times in a row.

        Raises:
            Refused: most of what they keep was drawn among equal scores.
        """

        view = self.view(copied(model))

        def look(masks: Masks | None) -> View:
            return view if masks is None else view.pruned(masks)

        scored, masks = compose.masks_in_rounds(self.method, look, sparsity, rounds)
        return scored, compose.checked_for_draws(self.method, self.view(model), masks, sparsity)

    def recover(
        self, model: nn.Module, scored: Compensated, masks: Masks, before: Tensor | None
    ) -> tuple[Run, Moment | None]:
        """Prune the network and run the recovery; return its run, and what is stored.

        Args:
            model: the network, pruned and trained in place.
            scored: what the criterion says.
            masks: parameter name -> bool, True is kept.
            before: what ``look`` returns of it now; None where it has learned nothing yet, so that
                there is no moment to store.
        """
        compose.prune(model, scored, masks)
        moment = None if before is None else Moment(before, self.look(model))
        return self.follow(model, masks), moment

    def look(self, model: nn.Module) -> Tensor:
        """Return what is stored of the predictions on validation, [N, ...]."""
        samples = self.samples
        return predict(
            model, samples.val_inputs, samples.val_targets, samples.kind, samples.normalize
        )

    def check_recovery(self, model: nn.Module) -> None:
        """Refuse a recovery that has nothing to work on, before a schedule trains the network.

        Raises:
            Refused: it works on batch norms, and the network has none.
        """
        if self.method.spec(Recovery).traits.batch_norms and not batch_norms(model):
            raise Refused(
                f"recovery {self.method.recovery.name!r} works on batch norms, and"
                f" {type(model).__name__} has none"
            )

    def check_reach(self, view: View, sparsity: float) -> None:
        """Refuse a sparsity that the pattern cannot reach on this network, before it is trained.

        How far a pattern reaches hangs on the layers and not on the scores: any will do.

        Args:
            view: the network before it is trained.
            sparsity: the target, in [0, 1).

        Raises:
            Refused: the criterion cannot score it, or too few of its weights can go.
        """
        compose.masks_at(self.method, view, self.score(view).scores, sparsity)

    def follow(self, model: nn.Module, masks: Masks) -> Run:
        """Run the method's recovery, of its length, on a network that is pruned already.

        Raises:
            Refused: it has nothing to work on.
        """
        self.check_recovery(model)
        recovery, parameters = compose.part(self.method, "recovery")
        return recovery(replace(self, stretch=self.method.length), model, masks, **parameters)

    def train(
        self, model: nn.Module, masks: Masks, *, start: int, stop: int, rate: Rate | None = None,
        own_order: bool = False, hooks: Hooks = NO_HOOKS, training: Training | None = None,
        after_epoch: Callable[[int], None] | None = None,
    ) -> Run:  # fmt: skip
        """Train under masks over epochs ``start`` to ``stop``, by default like the baseline.

        Where whole units are gone, the smaller network is trained, if it trains as the masked one
        does; the run says so.

        In a recovery of another length (``stretch``) it lasts as many times as long, its course of
        the learning rate stretched with it.

        Args:
            model: the network, trained in place.
            masks: parameter name -> bool, True is kept.
            start: the first epoch, counted from 0.
            stop: the epoch after the last.
            rate: the learning rate by epoch; None: the baseline's.
            own_order: whether the batches come in an order of their own, not the baseline's.
            hooks: of a method that works while the network trains.
            training: the settings, where they are not the baseline's.
            after_epoch: called with the number of epochs done.
        """
        training = training or self.training
        seed = derive_seed(self.seed, "recovery") if own_order else self.baseline_seed
        rate = rate or learning_rate(training)
        if self.stretch != 1:
            stop = start + max(1, round(self.stretch * (stop - start)))
            rate = _stretched(rate, start, self.stretch)

        def run(network: nn.Module, within: Masks) -> Run:
            return train(
                network, self.samples, training, seed=seed, start=start, stop=stop, masks=within,
                rate=rate, precision=self.precision,
                compile=self.compile, after_epoch=after_epoch, hooks=hooks,
                checkpoints=self.checkpoints,
            )  # fmt: skip

        if self.smaller is None:
            return run(model, masks)
        acting = (hooks.penalty, hooks.after_backward, hooks.after_step, after_epoch)
        if any(acting):
            return replace(run(model, masks), shrunk=False, why_masked=_ACTING)
        return _trained_smaller(self.smaller, model, masks, run)

    def require(self, sparsity: float) -> Finished:
        """Return a cell that must be finished by now.

        Raises:
            PrunebenchError: it is not.
        """
        found = self.finished(sparsity)
        if found is None:
            raise PrunebenchError(f"{self.method.name}: round {sparsity} is missing")
        return found


def _trained_smaller(
    smaller: Callable[[nn.Module, Masks], Smaller], model: nn.Module, masks: Masks,
    run: Callable[[nn.Module, Masks], Run],
) -> Run:  # fmt: skip
    """Train the smaller network, and put into the model what that made of its units.

    Where there is none, the model is trained under its masks; the run says why.
    """
    apply(model, masks)
    try:
        small = smaller(model, masks)
    except Refused as error:
        return replace(run(model, masks), shrunk=False, why_masked=str(error))
    done = run(small.model, small.masks)
    model.load_state_dict(dict(small.whole(small.model.state_dict())))
    model.train(small.model.training)
    stopped = done.stopped
    if stopped is not None:
        stopped = replace(stopped, state=dict(small.whole(stopped.state)))
    return replace(done, stopped=stopped, shrunk=True)


def _stretched(rate: Rate, start: int, times: float) -> Rate:
    """Return a course of the learning rate that takes ``times`` as long from ``start`` on."""
    return lambda epoch: rate(start + (epoch - start) / times)


def update_steps(share: float, every: int | None, total: int, begin: float = 0.0) -> list[int]:
    """Return the numbers of steps done after which a method that prunes while training acts.

    Args:
        share: the share of training at which it acts last, in (0, 1].
        every: steps from one to the next; None: a hundredth of training, at least 10.
        total: the steps of training.
        begin: the share of training at which it acts first.

    Raises:
        PrunebenchError: there is no such step.
    """
    every = max(total // 100, _LEAST_EVERY) if every is None else every
    first, last = round(begin * total), round(share * total)
    if last < 1:
        raise PrunebenchError(f"no step of {total} lies before a share of {share:g}")
    return [*range(first, last, every), last]


class Clock:
    """A stopwatch: seconds since it was created."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._start
