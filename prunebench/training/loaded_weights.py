"""Weights that training starts from, where they are loaded and not drawn: named by their content.

Pretrained weights may be fetched from a hub under a name that stays when they are replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def hash_of_tensors(state: Mapping[str, Tensor]) -> str:
    """Return the hex SHA-256 of the names, types, shapes and values of tensors.

    Args:
        state: name -> tensor, e.g. a state dict; its order does not count.
    """
    found = hashlib.sha256()
    for name, value in sorted(state.items()):
        plain = value.detach().cpu().contiguous()
        found.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        found.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
