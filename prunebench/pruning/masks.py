"""Masks: parameter name -> bool tensor of its shape, True is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError

Masks = dict[str, Tensor]


@dataclass(frozen=True)
class Search:
    """What it took to choose an allocation, and what became of it."""

    evaluations: int = 0  # networks whose calibration loss was measured
    samples: int = 0  # calibration samples that went through them, in all
    loss: float | None = None  # calibration loss of the network that was chosen
    expected_loss: float | None = None  # what it would be if the losses of its layers added up
    # share of the dense network's MACs, milliseconds or weights kept beyond the budget; below 0
    # where there is room left
    budget_miss: float | None = None

    def after(self, earlier: Search) -> Search:
        """Return this search with the cost of an earlier one added."""
        return replace(
            self, evaluations=self.evaluations + earlier.evaluations,
            samples=self.samples + earlier.samples,
        )  # fmt: skip


NO_SEARCH = Search()


class Chosen(Masks):
    """Masks that know which of what they keep was drawn among equal scores, and what was tried.

    ``drawn``: name -> bool of the mask's shape, True where it is kept by a draw; names that are
    missing have none.
    """

    def __init__(
        self, masks: Mapping[str, Tensor], drawn: Mapping[str, Tensor], search: Search = NO_SEARCH
    ) -> None:
        super().__init__(masks)
        self.drawn = {name: flags for name, flags in drawn.items() if bool(flags.any())}
        self.search = search


def drawn_of(masks: Mapping[str, Tensor]) -> Masks:
    """Return what of masks was kept by a draw, as far as they know it."""
    return masks.drawn if isinstance(masks, Chosen) else {}


def search_of(masks: Mapping[str, Tensor]) -> Search:
    """Return what it took to choose masks, as far as they know it."""
    return masks.search if isinstance(masks, Chosen) else NO_SEARCH


def only(scores: Tensor, chosen: Tensor) -> Tensor:
    """Return scores where ``chosen`` is True, -inf elsewhere; ``masked_fill`` takes longer.

    Args:
        scores: of any shape, none of them NaN.
        chosen: bool of the same shape.
    """
    bound = chosen.to(scores.dtype).sub_(0.5).mul_(torch.inf)
    return torch.minimum(scores, bound, out=bound)


def tied(scores: Tensor, keep: Tensor) -> Tensor:
    """Return which units of each row were kept although one of the same score was removed.

    Args:
        scores: [rows, units], compared within a row; -inf is gone already.
        keep: bool of the same shape; the lowest of a row are removed.

    Returns:
        Bool of the same shape: those at the threshold, whose choice was a draw.
    """
    threshold = only(scores, ~keep).amax(1, keepdim=True)
    return keep & (scores == threshold) & ~threshold.isneginf()


def tied_share(masks: Mapping[str, Tensor], names: Iterable[str]) -> float | None:
    """Return the share of the kept weights whose choice was a draw among equal scores, in [0, 1].

    None where the masks do not know it, or nothing is kept.

    Args:
        masks: of the network.
        names: its prunable weights.
    """
    if not isinstance(masks, Chosen):
        return None
    chosen = [name for name in names if name in masks]
    kept = sum(int(masks[name].count_nonzero()) for name in chosen)
    drawn = sum(int(masks.drawn[name].count_nonzero()) for name in chosen if name in masks.drawn)
    return drawn / kept if kept else None


def checked(
    masks: Mapping[str, Tensor], parameters: Mapping[str, Tensor], prefix: str = ""
) -> Masks:
    """Return masks that a user gave as bool, on the parameters' devices.

    Args:
        masks: parameter name -> 0 and 1 (False and True) of any type, 1 is kept: as ``prune``
            returns them, or as the suite's own ``masks.safetensors`` holds them.
        parameters: of the network, by name.
        prefix: that their names may begin with.

    Raises:
        PrunebenchError: a name or a shape is none of the network's, or a mask has other values.
    """
    found: Masks = {}
    for given, held in masks.items():
        mask = torch.as_tensor(held)  # numpy's arrays, as files may be read into
        name = given if given in parameters else given.removeprefix(prefix)
        shape = tuple(parameters[name].shape) if name in parameters else "no parameter of that name"
        if shape != tuple(mask.shape):
            raise PrunebenchError(
                f"masks: {given!r} is of shape {tuple(mask.shape)}, the model has {shape}"
            )
        found[name] = as_bool(given, mask).to(parameters[name].device)
    return found


def as_bool(name: str, mask: Tensor) -> Tensor:
    """Return a mask of 0 and 1 of any type as bool; PrunebenchError where it has other values."""
    kept = mask != 0
    if mask.dtype != torch.bool and bool((kept & (mask != 1)).any()):
        raise PrunebenchError(f"masks: {name!r} must hold 0 and 1, found other values")
    return kept


@torch.no_grad()
def apply(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set parameters to zero where their mask is False, in place."""
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        parameters[name].mul_(mask.to(parameters[name].device))


def ones(parameters: Mapping[str, Tensor]) -> Masks:
    """Return masks that keep everything."""
    return {
        name: torch.ones(value.shape, dtype=torch.bool, device=value.device)
        for name, value in parameters.items()
    }


def sparsity(masks: Mapping[str, Tensor], names: Iterable[str]) -> float:
    """Return the share of False among the named masks, in [0, 1]."""
    chosen = [masks[name] for name in names]
    total = sum(mask.numel() for mask in chosen)
    kept = sum(int(mask.sum()) for mask in chosen)
    return 1.0 - kept / total


def collapsed(masks: Mapping[str, Tensor]) -> list[str]:
    """Return the names of tensors of which nothing is kept: no signal passes them any more."""
    return [name for name, mask in masks.items() if not mask.any()]
