"""Gradual pruning: remove more and more while the network trains (Zhu & Gupta 2018)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunebench.experiment.part_kinds import Criterion
from prunebench.experiment.registry import schedule
from prunebench.pruning import compose
from prunebench.pruning.curve import Clock, Cost, Curve, Pruned, TrainedView, update_steps
from prunebench.pruning.masks import Chosen, Masks, drawn_of, ones
from prunebench.pruning.view import Scores
from prunebench.training.checkpoints import Memory, Tensors
from prunebench.training.loop import Hooks


def cubic(first: float, last: float, t: float) -> float:
    """Return the sparsity at the share ``t`` of the way from ``first`` to ``last`` (equation 1)."""
    return last + (first - last) * (1 - t) ** 3


@schedule(
    length="training",
    passes=True,
    supplies=("training",),
    recoveries=(
        "none", "fine-tuning", "last-rate-fine-tuning", "learning-rate-rewinding", "distillation",
        "batch-norm-recalibration", "re-initialization",
    ),
    why="the network has learned while it was pruned, and rewinding would throw that away",
    ranges={
        "start": ("initial", "trained"), "initial": "[0, 1)", "begin": "[0, end)",
        "end": "(0, 1]", "every": "[1, inf)", "stretch": "(0, inf)",
    },
)  # fmt: skip
def gradual(
    curve: Curve,
    sparsities: Sequence[float],
    *,
    start: str = "initial",
    initial: float = 0.0,
    begin: float = 0.0,
    end: float = 0.75,
    every: int | None = None,
    stretch: float = 1.0,
) -> Iterator[Pruned]:
    """Prune while the network trains: s_f + (s_i − s_f)(1 − t)³ (Zhu & Gupta 2018, eq. 1).

    Between the shares ``begin`` and ``end`` of training the criterion scores the network again and
    again and the sparsity rises along the cubic law; then training goes on with the mask fixed.
    What is gone stays gone. In the authors' code a masked weight keeps its value and may return.

    Each sparsity is trained on its own. One training could not pass all of them: a network on its
    way from 0.5 to 0.9 has neither the slow end of the law for 0.5 nor the rest of training, at a
    falling learning rate, with that mask.

    Args:
        start: ``initial`` trains from the baseline's initialization, and the baseline's cost is not
            counted; ``trained`` starts from its trained weights.
        initial: sparsity at the start, in [0, 1).
        begin: the share of training at which pruning begins.
        end: the share of training at which it ends, in (0, 1].
        every: steps between two prunings; None: a hundredth of training, at least 10.
        stretch: length of training, and of its learning rate schedule, relative to the baseline's.

    Raises:
        PrunebenchError: no step lies between ``begin`` and ``end``.
        Refused: before any training, where the pattern cannot reach a sparsity.
    """
    epochs, rate = curve.stretched(stretch)
    total = epochs * curve.steps_per_epoch
    steps = update_steps(end, every, total, begin)
    for sparsity in sparsities:
        if curve.finished(sparsity) is not None:
            continue
        low = min(initial, sparsity)
        law = {
            step: cubic(low, sparsity, (step - steps[0]) / (steps[-1] - steps[0]))
            for step in steps[:-1]
        }
        law[steps[-1]] = sparsity
        model = curve.model_at(0 if start == "initial" else curve.epochs)
        pruner = _Pruner.of(curve, model, law)
        curve.check_recovery(model)
        curve.check_reach(pruner.view(model), sparsity)
        pruner.update(-1, model)  # prune as the law says before the first step
        before, hooks = pruner.seconds, pruner.hooks()
        run = curve.train(model, pruner.masks, start=0, stop=epochs, rate=rate, hooks=hooks)
        run.seconds -= pruner.seconds - before
        if not run.diverged:
            run = run.then(curve.follow(model, pruner.masks))
        spent = Cost() if start == "initial" else curve.baseline_cost
        yield Pruned(sparsity, model, pruner.masks, run, spent.and_run(run), pruner.seconds)


@dataclass
class _Pruner:
    """Prunes a network while it trains, as the law says, and counts the seconds this takes."""

    curve: Curve
    law: dict[int, float]  # steps done -> sparsity
    masks: Masks
    movement: Scores | None  # only where the criterion asks for it
    seconds: float = 0.0

    @classmethod
    def of(cls, curve: Curve, model: nn.Module, law: dict[int, float]) -> _Pruner:
        weights = curve.view(model).weights
        trained = "training" in curve.method.spec(Criterion).traits.needs
        movement = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        return cls(curve, law, ones(weights), movement if trained else None)

    def view(self, model: nn.Module) -> TrainedView:
        """Return the network as the criterion sees it now."""
        return self.curve.trained_view(model, self.masks, self.movement)

    def hooks(self) -> Hooks:
        """Return the hooks through which it acts."""
        add = self.add if self.movement is not None else None
        memory = Memory(self.keep, self.recall)
        return Hooks(after_backward=add, after_step=self.update, memory=memory)

    def keep(self) -> Tensors:
        """Return what it knows between two epochs."""
        moved = {f"movement/{name}": total for name, total in (self.movement or {}).items()}
        masks = {f"mask/{name}": mask for name, mask in self.masks.items()}
        masks |= {f"drawn/{name}": flags for name, flags in drawn_of(self.masks).items()}
        return {**moved, **masks, "seconds": torch.tensor(self.seconds, dtype=torch.float64)}

    def recall(self, kept: Tensors) -> None:
        """Take up what ``keep`` returned."""
        found = {
            kind: {
                name: kept[f"{kind}/{name}"].to(mask.device)
                for name, mask in self.masks.items()
                if f"{kind}/{name}" in kept
            }
            for kind in ("mask", "drawn")
        }
        self.masks = Chosen(found["mask"], found["drawn"])
        for name, total in (self.movement or {}).items():
            total.copy_(kept[f"movement/{name}"])
        self.seconds = kept["seconds"].item()

    @torch.no_grad()
    def add(self, step: int, model: nn.Module) -> None:
        """Add −w·g of this step to each weight's movement."""
        del step
        parameters = dict(model.named_parameters())
        for name, total in (self.movement or {}).items():
            weight = parameters[name]
            if weight.grad is not None:
                total.addcmul_(weight, weight.grad, value=-1)

    def update(self, step: int, model: nn.Module) -> Masks | None:
        """Prune to the sparsity that is due after this step; return None where none is due."""
        sparsity = self.law.get(step + 1, 0.0)
        if not sparsity or not _finite(model):
            return (
                None  # weights that are not finite end the training: its run is marked as diverged
            )
        clock = Clock()
        view = self.view(model)
        scored = self.curve.score(view)
        self.masks = self.curve.masks(view, scored, sparsity)
        compose.prune(model, scored, self.masks)
        self.seconds += clock.seconds()
        return self.masks


def _finite(model: nn.Module) -> bool:
    values: list[Tensor] = [value.detach() for value in model.parameters()]
    return all(bool(value.isfinite().all()) for value in values)
