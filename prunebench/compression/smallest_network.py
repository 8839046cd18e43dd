"""The smallest network that computes what a masked one does, verified by running both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from prunebench.compression.shrink import TOLERANCE, ChannelGroups, Removed, shrink, verify
from prunebench.errors import Refused
from prunebench.storage.records import DIFFERENT, REFUSED, UNCHANGED, VERIFIED

CHECKED = 64  # images, and as many of noise, on which a shrunk network is compared


@dataclass(frozen=True)
class SmallestNetwork:
    """The smallest form of a network, in eval mode: shrunk where that was verified, else masked."""

    model: nn.Module
    kind: str  # dense, masked or shrunk
    reason: str
    outcome: str  # of shrinking, as the record says it
    difference: float | None = None  # of ``verify``
    removed: tuple[Removed, ...] = ()
    notes: tuple[str, ...] = ()


def smallest(
    model: nn.Module, masks: Mapping[str, Tensor], images: Tensor, round_to: int = 1,
    known: ChannelGroups | None = None,
) -> SmallestNetwork:  # fmt: skip
    """Return the shrunk network where it computes the same on ``images``, else the masked one.

    Args:
        model: in eval mode, its masks applied.
        masks: parameter name -> bool, True is kept; without any it is the dense network.
        images: normalized [B, C, H, W]; the first ``CHECKED`` are compared.
        round_to: channels are kept at a multiple of it, which kernels may want.
        known: the channel groups of the model, where they are known.
    """
    if not masks:
        return SmallestNetwork(model, "dense", "nothing was removed", UNCHANGED)
    images = images[:CHECKED]
    try:
        found = shrink(model, masks, images[:1], round_to, known)
    except Refused as error:
        return SmallestNetwork(model, "masked", str(error), REFUSED)
    difference = verify(model, found.model, images)
    if not difference <= TOLERANCE:
        reason = f"shrunk, its outputs differ by {difference:.1e}"
        return SmallestNetwork(model, "masked", reason, DIFFERENT, difference)
    if not found.removed:
        reason = "no filter, head or block is without use"
        return SmallestNetwork(model, "masked", reason, UNCHANGED, difference, (), found.notes)
    reason = f"its outputs differ from the masked one's by {difference:.1e} of the largest"
    return SmallestNetwork(
        found.model, "shrunk", reason, VERIFIED, difference, found.removed, found.notes
    )
