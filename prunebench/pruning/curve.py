"""A curve in the making: what schedules and recoveries work with.

It knows one baseline and one method, builds networks in any of the baseline's states, prunes,
trains, and can look up cells of its own that are finished already.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Method, Prunable, Training
from prunebench.pruning import compose
from prunebench.pruning.masks import Masks, apply
from prunebench.pruning.view import Compensated, Scores, View
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
_LEAST_EVERY = 10  # steps: what was grown or left must learn a little before it is judged again


@dataclass(frozen=True)
class Cost:
    """What training took in all: the baseline and earlier rounds included."""

    epochs: float = 0.0
    seconds: float = 0.0

    def and_run(self, run: Run) -> Cost:
        """This and one more run of training."""
        return Cost(self.epochs + run.epochs, self.seconds + run.seconds)


@dataclass(frozen=True)
class Moment:
    """Logits on validation [N, classes] just before weights were removed, and just after."""

    before: Tensor
    after: Tensor


@dataclass
class Pruned:
    """A pruned and recovered network: the stuff of a cell."""

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
    """A cell of this curve that an earlier round or run left behind."""

    weights: State
    masks: Masks
    spent: Cost
    diverged: bool


class TrainedView(View):
    """A view of a network while it trains, with what was added up on the way."""

    movement: Scores | None = None  # −Σ w·g over the steps so far, by weight


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

    @property
    def epochs(self) -> int:
        """Of the baseline's training."""
        return self.training.epochs

    @property
    def steps_per_epoch(self) -> int:
        """Of the optimizer."""
        return steps_per_epoch(len(self.samples.labels), self.training.batch_size)

    def stretched(self, times: float) -> tuple[int, Rate]:
        """The epochs and the learning rate of a training ``times`` as long as the baseline's."""
        rate, own, epochs = learning_rate(self.training), self.epochs, round(times * self.epochs)
        if epochs < 1:
            raise PrunebenchError(f"training of {times:g} × {own} epochs is none")
        return epochs, rate if epochs == own else lambda epoch: rate(epoch * own / epochs)

    def model_at(self, epoch: int) -> nn.Module:
        """A network in the baseline's state after ``epoch`` epochs."""
        return self.model_in(self.states(epoch))

    def model_in(self, state: State) -> nn.Module:
        """A network in a given state."""
        model = self.build()
        model.load_state_dict(dict(state))
        return model

    def view(self, model: nn.Module, within: Masks | None = None) -> View:
        """The network as a criterion sees it."""
        return View(
            model, batches=self.calibration, seed=self.seed, prunable=self.prunable, within=within
        )

    def trained_view(
        self, model: nn.Module, within: Masks | None, movement: Scores | None
    ) -> TrainedView:
        """The network as a criterion sees it in the middle of training."""
        view = TrainedView(
            model, batches=self.calibration, seed=self.seed, prunable=self.prunable, within=within
        )
        view.movement = movement
        return view

    def score(self, view: View) -> Compensated:
        """The criterion's scores of a network."""
        return compose.score(self.method, view)

    def masks(self, view: View, scored: Compensated, sparsity: float) -> Masks:
        """Masks at a sparsity."""
        return compose.masks_at(self.method, view, scored.scores, sparsity)

    def masks_in_rounds(
        self, model: nn.Module, sparsity: float, rounds: int
    ) -> tuple[Compensated, Masks]:
        """Masks of a network, scored and pruned ``rounds`` times without training."""

        def look(masks: Masks | None) -> View:
            pruned = deepcopy(model)
            apply(pruned, masks or {})
            return self.view(pruned, masks)

        return compose.masks_in_rounds(self.method, look, sparsity, rounds)

    def recover(self, model: nn.Module, scored: Compensated, masks: Masks) -> tuple[Run, Moment]:
        """Prune the network and let the method's recovery follow; look before and after."""
        before = self.look(model)
        compose.prune(model, scored, masks)
        moment = Moment(before, self.look(model))
        return self.follow(model, masks), moment

    def look(self, model: nn.Module) -> Tensor:
        """Logits on the validation images [N, classes]."""
        return predict(model, self.samples.val_images, self.samples.normalize)

    def follow(self, model: nn.Module, masks: Masks) -> Run:
        """Let the method's recovery follow on a network that is pruned already."""
        recovery, parameters = compose.part(self.method, "recovery")
        return recovery(self, model, masks, **parameters)

    def train(
        self, model: nn.Module, masks: Masks, *, start: int, stop: int, rate: Rate | None = None,
        own_order: bool = False, hooks: Hooks = NO_HOOKS, training: Training | None = None,
        after_epoch: Callable[[int], None] | None = None,
    ) -> Run:  # fmt: skip
        """Train under masks over epochs ``start`` to ``stop``, by default as the baseline was.

        The batches come in the baseline's order unless ``own_order``. ``training`` is what differs
        from the baseline's; ``after_epoch`` is called with the number of epochs done.
        """
        training = training or self.training
        seed = derive_seed(self.seed, "recovery") if own_order else self.baseline_seed
        return train(
            model, self.samples, training, seed=seed, start=start, stop=stop, masks=masks,
            rate=rate or learning_rate(training), precision=self.precision,
            compile=self.compile, after_epoch=after_epoch, hooks=hooks,
            checkpoints=self.checkpoints,
        )  # fmt: skip

    def require(self, sparsity: float) -> Finished:
        """A cell that must be there by now."""
        found = self.finished(sparsity)
        if found is None:
            raise PrunebenchError(f"{self.method.name}: round {sparsity} is missing")
        return found


def update_steps(share: float, every: int | None, total: int, begin: float = 0.0) -> list[int]:
    """Numbers of steps done after which a method that works while training acts.

    From ``begin`` to ``share`` of the ``total`` steps, ``every`` so many; None: a hundredth of
    training, at least ten. The last one stands at ``share`` itself. Raises PrunebenchError where
    there is none.
    """
    if not 0 <= begin < share <= 1:
        raise PrunebenchError(f"begin {begin:g} must lie before end {share:g}, both in [0, 1]")
    every = max(total // 100, _LEAST_EVERY) if every is None else every
    if every < 1:
        raise PrunebenchError(f"every must be at least one step, found {every}")
    first, last = round(begin * total), round(share * total)
    if last < 1:
        raise PrunebenchError(f"no step of {total} lies before a share of {share:g}")
    return [*range(first, last, every), last]


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._start
