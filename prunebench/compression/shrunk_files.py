"""Files of shrunk networks, from which with its class a network is built again, to train on."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from prunebench.compression.shrunk_description import describe, restore
from prunebench.errors import PrunebenchError, reason_of
from prunebench.pruning.held_networks import unwrapped
from prunebench.storage.files import replacing, require_plain

_STRUCTURE = "prunebench.shrunk"  # key of the file's text that says what was removed


def save_shrunk(model: nn.Module, smaller: nn.Module, path: str | Path) -> None:
    """Write a shrunk network, as safetensors: its weights, and how it differs from the whole one.

    Args:
        model: the network before it was shrunk, or another one that is built alike.
        smaller: of ``shrink``; it may have been trained since.
        path: the file to write.

    Raises:
        PrunebenchError: the second is no shrunk copy of the first, or the path cannot be written.
    """
    structure = describe(unwrapped(model)[0], smaller)
    # clones: safetensors refuses tensors that share their memory
    state = {name: value.clone().contiguous() for name, value in smaller.state_dict().items()}
    with replacing(path) as temporary:
        save_file(state, temporary, {_STRUCTURE: json.dumps(structure)})


def load_shrunk(model: nn.Module, path: str | Path) -> nn.Module:
    """Turn a freshly built network into the shrunk one that a file holds, in place.

    Args:
        model: the whole network, built as it was before it was shrunk.
        path: a file of ``save_shrunk``.

    Returns:
        The model, in eval mode; its parameters can be trained.

    Raises:
        PrunebenchError: the file is missing or damaged, holds no shrunk network, or one of another
            class.
    """
    require_plain(path)
    try:
        with safe_open(path, "pt") as file:
            said = (file.metadata() or {}).get(_STRUCTURE)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # of types that torch lacks, it raises whatever comes
        raise PrunebenchError(f"{path}: {reason_of(error)}") from error
    if said is None:
        raise PrunebenchError(f"{path} holds no shrunk network: write it with save_shrunk")
    inner, _ = unwrapped(model)
    try:
        restore(inner, json.loads(said), state)
    except (ValueError, RecursionError) as error:
        raise PrunebenchError(f"{path}: {error}") from error
    return model
