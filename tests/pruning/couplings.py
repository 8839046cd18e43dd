"""What tests of coupled channels share: the groups of a network, and filters by their norm."""

from __future__ import annotations

from torch import nn

from prunebench.pruning.coupling import Coupling, find_groups
from prunebench.pruning.layers import prunable_layers
from tests.compression.nets import images

FILTERS = {"criterion": "l2-norm", "pattern": "filter"}


def found(model: nn.Module, size: int = 16) -> Coupling:
    """The groups of a network on two square images of a size."""
    return find_groups(model.eval(), prunable_layers(model), images(2, size=size))
