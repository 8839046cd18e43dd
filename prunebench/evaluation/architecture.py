"""What many networks of one architecture have in common, found once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from prunebench.compression.shrink import ChannelGroups, channel_groups
from prunebench.errors import Refused
from prunebench.pruning.macs import macs


@dataclass(frozen=True, eq=False)
class Architecture:
    """What builds a dense network of it, of any weights, and an input [1, ...] that it takes."""

    build: Callable[[], nn.Module]
    example: Tensor

    @cached_property
    def groups(self) -> ChannelGroups | None:
        """Which of its channels can go together; None where it cannot be traced."""
        try:
            return channel_groups(self.build(), self.example)
        except Refused:  # of each network it is said again, with the reason
            return None

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the dense network for an input."""
        return macs(self.build(), self.example, {})[0]
