"""Dynamic sparse training: a fixed sparsity, but not always the same weights (SET, RigL)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from prunebench.experiment.registry import schedule
from prunebench.pruning import compose
from prunebench.pruning.curve import Clock, Cost, Curve, Pruned, update_steps
from prunebench.pruning.masks import Masks
from prunebench.storage.hashing import derive_seed
from prunebench.training.checkpoints import Memory, Tensors
from prunebench.training.loop import Hooks


def drop_share(share: float, t: float) -> float:
    """Return the share of a layer's weights dropped at ``t`` in [0, 1] (Evci 2020, equation 1)."""
    return share / 2 * (1 + math.cos(math.pi * t))


@schedule(
    patterns=("weight",),
    length="training",
    recoveries=(
        "none", "fine-tuning", "last-rate-fine-tuning", "learning-rate-rewinding", "distillation",
        "batch-norm-recalibration", "re-initialization",
    ),
    why="the network has learned while its mask moved, and rewinding would throw that away",
    ranges={
        "grow": ("random", "gradient"), "share": "[0, 1]", "end": "(0, 1]",
        "every": "[1, inf)", "stretch": "(0, inf)",
    },
)  # fmt: skip
def dynamic(
    curve: Curve,
    sparsities: Sequence[float],
    *,
    grow: str = "gradient",
    share: float = 0.3,
    end: float = 0.75,
    every: int | None = None,
    stretch: float = 1.0,
) -> Iterator[Pruned]:
    """Train a sparse network from the start; drop its smallest weights, grow others (Evci 2020).

    Criterion and allocation choose the first mask at initialization. From then on each layer keeps
    its number of weights: at each update it drops its smallest weights, a share of
    ``share``/2 · (1 + cos(πt/T_end)), and grows as many. A grown weight starts at zero, without
    momentum.

    SET is the variant of Evci 2020, with smallest magnitudes and a cosine; Mocanu 2018 drops the
    smallest positive and largest negative weights at a constant share. At an update the authors of
    RigL skip the step of the optimizer; here the step is made and the update follows, so that
    budgets agree.

    Each sparsity is trained on its own, since its number of weights never changes. The baseline's
    cost is not counted.

    Args:
        grow: ``random`` is SET (Mocanu 2018), which grows weights that were not there before.
            ``gradient`` is RigL, which grows where the gradient of the dense weights is largest on
            the step's own batch; what was just dropped may stay if that is there (the paper's
            ``i not in θ_active minus I_drop``).
        share: the largest share of a layer that is dropped at once, in [0, 1].
        end: the share of training after which the mask is fixed, in (0, 1].
        every: steps between updates; None: a hundredth of training, at least 10.
        stretch: length of training relative to the baseline's.

    Raises:
        PrunebenchError: no update comes before ``end``.
    """
    epochs, rate = curve.stretched(stretch)
    steps = update_steps(end, every, epochs * curve.steps_per_epoch)
    for sparsity in sparsities:
        if curve.finished(sparsity) is not None:
            continue
        clock, model = Clock(), curve.model_at(0)
        curve.check_recovery(model)
        view = curve.view(model)
        scored = curve.score(view)
        masks = dict(curve.masks(view, scored, sparsity))  # which moves: its first ties are no more
        compose.prune(model, scored, masks)
        seed = derive_seed(curve.seed, "dynamic", sparsity)
        rewirer = _Rewirer(masks, steps, share, grow == "gradient", seed, clock.seconds())
        before, hooks = rewirer.seconds, rewirer.hooks()
        run = curve.train(model, masks, start=0, stop=epochs, rate=rate, hooks=hooks)
        run.seconds -= rewirer.seconds - before
        if not run.diverged:
            run = run.then(curve.follow(model, rewirer.masks))
        yield Pruned(sparsity, model, rewirer.masks, run, Cost().and_run(run), rewirer.seconds)


@dataclass
class _Rewirer:
    """Moves the mask of a network while it trains, and counts the seconds this takes."""

    masks: Masks
    steps: list[int]  # numbers of steps done after which it acts; at the last the share is 0
    share: float
    by_gradient: bool
    seed: int
    seconds: float = 0.0
    gradients: dict[str, Tensor] = field(default_factory=dict)

    def hooks(self) -> Hooks:
        """Return the hooks through which it acts."""
        look = self.look if self.by_gradient else None
        memory = Memory(self.keep, self.recall)
        return Hooks(after_backward=look, after_step=self.update, memory=memory)

    def keep(self) -> Tensors:
        """Return what it knows between two epochs; gradients live for one step only."""
        seconds = torch.tensor(self.seconds, dtype=torch.float64)
        return {**{f"mask/{name}": mask for name, mask in self.masks.items()}, "seconds": seconds}

    def recall(self, kept: Tensors) -> None:
        """Take up what ``keep`` returned."""
        for name, mask in self.masks.items():
            self.masks[name] = kept[f"mask/{name}"].to(mask.device)
        self.seconds = kept["seconds"].item()

    def look(self, step: int, model: nn.Module) -> None:
        """Save the dense gradients of a step after which the mask moves."""
        if step + 1 not in self.steps:
            return
        for name, parameter in model.named_parameters():
            if name in self.masks:
                grad = parameter.grad
                self.gradients[name] = torch.zeros_like(parameter) if grad is None else grad.clone()

    def update(self, step: int, model: nn.Module) -> Masks | None:
        """Drop and grow in every layer after a step; return None where no update is due."""
        if step + 1 not in self.steps:
            return None
        clock, share = Clock(), drop_share(self.share, (step + 1) / self.steps[-1])
        parameters = dict(model.named_parameters())
        for name, mask in self.masks.items():
            draw = torch.Generator().manual_seed(derive_seed(self.seed, name, step))
            gradient = self.gradients.get(name)
            self.masks[name] = drop_and_grow(
                parameters[name].detach(), mask, int(share * int(mask.sum())), gradient, draw
            )
        self.gradients = {}
        self.seconds += clock.seconds()
        return self.masks


def drop_and_grow(
    weight: Tensor, mask: Tensor, count: int, gradient: Tensor | None, draw: torch.Generator
) -> Tensor:
    """Return a mask of as many weights, some dropped and as many grown.

    Args:
        weight: the layer's weights; those of smallest magnitude are dropped.
        mask: bool of the same shape, True is kept.
        count: how many to move; fewer without a gradient, if fewer are free.
        gradient: of the weight's shape: weights grow at its largest magnitudes among all but those
            that stay. None: they grow at random among those that were not there.
        draw: breaks ties.
    """
    flat = mask.flatten()
    active, free = flat.nonzero().squeeze(1), (~flat).nonzero().squeeze(1)
    if gradient is None:
        count = min(count, len(free))
    dropped = active[_lowest(weight.flatten()[active].abs(), count, draw)]
    if gradient is None:
        grown = free[torch.randperm(len(free), generator=draw)[:count].to(free.device)]
    else:
        open_to = torch.cat([free, dropped])
        grown = open_to[_lowest(-gradient.flatten()[open_to].abs(), count, draw)]
    moved = flat.clone()
    moved[dropped] = False
    moved[grown] = True
    return moved.view(mask.shape)


def _lowest(values: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """Return the positions of the ``count`` lowest values, ties in a drawn order."""
    order = torch.randperm(len(values), generator=draw).to(values.device)
    return order[values[order].argsort(stable=True)[:count]]
