"""Weights that training starts from, where they are loaded and not drawn.

They are named by their content: pretrained weights may be fetched from a hub under a name that
stays when they are replaced. A file of one's own is safetensors, or what ``torch.save`` wrote of a
state dict, which is read without running any code of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError, reason_of
from prunebench.storage.files import require_plain
from prunebench.text.numbers import first_few

# what wrappers put before the names: DataParallel and DistributedDataParallel, torch.compile
PREFIXES = ("module.", "_orig_mod.")
# under which a checkpoint keeps its state dict, beside that of the optimizer and the like
KEPT_AS = ("state_dict", "model_state_dict", "model")
_SHOWN = 3  # names of each kind of fault


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


def fill(network: nn.Module, path: str | Path, where: str) -> None:
    """Load the weights of a file into a network, all of them and nothing else.

    Args:
        network: changed in place.
        path: safetensors, or a state dict that ``torch.save`` wrote.
        where: what a message begins with.

    Raises:
        PrunebenchError: the file cannot be read as weights, or they are of another network: the
            message names missing, further and differently shaped ones.
    """
    own = network.state_dict()
    given = _without_prefixes(state_of(path, where), own)
    faults = {
        "lacks": [name for name in own if name not in given],
        "has, unlike the network,": [name for name in given if name not in own],
        "has in another shape": [
            f"{name} {list(given[name].shape)}, not {list(own[name].shape)}"
            for name in own
            if name in given and given[name].shape != own[name].shape
        ],
    }
    said = [f"{what} {first_few(names, _SHOWN)}" for what, names in faults.items() if names]
    if said:
        raise PrunebenchError(f"{where}: weights {path}: the file {'; it '.join(said)}")
    network.load_state_dict(given)


def state_of(path: str | Path, where: str) -> dict[str, Tensor]:
    """Return the weights in a file, by their names.

    Args:
        path: safetensors, or what ``torch.save`` wrote: a state dict, or a checkpoint that has one.
        where: what a message begins with.

    Raises:
        PrunebenchError: the file cannot be read, would run code, or holds no state dict.
    """
    where = f"{where}: weights {path}"
    found = _read(Path(path), where)
    for key in KEPT_AS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    named = found if isinstance(found, Mapping) else {}
    if not named or not all(isinstance(value, Tensor) for value in named.values()):
        raise PrunebenchError(
            f"{where}: holds no state dict, names with tensors; save model.state_dict()"
        )
    return {str(name): value for name, value in named.items()}


def _without_prefixes(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by their names without what wrappers put before them, unless a network has it too."""
    while not own.keys() & state.keys():
        prefix = next((p for p in PREFIXES if all(n.startswith(p) for n in state)), "")
        if not prefix:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _read(path: Path, where: str) -> Any:
    from safetensors.torch import load_file

    require_plain(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise PrunebenchError(
            f"{where}: holds more than tensors, which would run code when it is read; save"
            " model.state_dict() alone, or safetensors"
        ) from error
    # what torch raises for damaged bytes is no closed set: IndexError, AttributeError …
    except Exception as error:
        raise PrunebenchError(f"{where}: cannot be read: {reason_of(error)}") from error
