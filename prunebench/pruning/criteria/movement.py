"""Criterion: whether training moves a weight away from zero or towards it."""

from __future__ import annotations

from prunebench.errors import Refused
from prunebench.experiment.registry import criterion
from prunebench.pruning.curve import TrainedView
from prunebench.pruning.view import Scores, View


@criterion(
    patterns=("weight",),
    needs=("training",),
    why="movement is added up while the network trains",
)
def movement(view: View) -> Scores:
    """−Σ w·g over the steps of training (Sanh 2020, equation 5 without its constant).

    High where the steps of gradient descent moved a weight away from zero. The schedule sums it up.
    The paper's straight-through gradient lets a pruned weight come back; here what is gone stays
    gone, and its movement does not change any more.

    Raises:
        Refused: the network is not in training, as it is under the schedule ``gradual``.
    """
    if not isinstance(view, TrainedView) or view.movement is None:
        raise Refused("movement is added up while the network trains: use the schedule gradual")
    return dict(view.movement)
