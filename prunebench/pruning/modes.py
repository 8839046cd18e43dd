"""Modes in which a network is run: eval throughout, and differentiable though it is in eval."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Return every batch norm of a network."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


@contextmanager
def evaluating(model: nn.Module, batch_norm: str = "eval") -> Iterator[None]:
    """Switch to eval mode within the block; then restore the mode of every module.

    Args:
        model: the network.
        batch_norm: ``train`` lets batch norms use the statistics of each batch; those that they
            keep are left as they are.
    """
    modes = [(module, module.training) for module in model.modules()]
    norms = batch_norms(model)
    kept = [norm.track_running_stats for norm in norms]
    model.eval()
    if batch_norm == "train":
        for norm in norms:
            norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm, tracks in zip(norms, kept, strict=True):
            norm.track_running_stats = tracks
        for module, training in modes:
            module.training = training


@contextmanager
def differentiable(model: nn.Module) -> Iterator[None]:
    """Let a network be differentiated within the block, in eval mode and more than once.

    cuDNN's recurrent layers cannot: where there are any, it is not used.
    """
    if not any(isinstance(module, nn.RNNBase) for module in model.modules()):
        yield
        return
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=False, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic,
        allow_tf32=cudnn.allow_tf32,
    ):  # fmt: skip
        yield
