"""A network and data that are given in Python, as files that an experiment can name.

The experiment builds its networks by name, often: a file with a function stands for the network
that was given, and gives copies of it while ``compress`` works. Its weights and data are stored.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.code_identity import code_hash
from prunebench.pruning.held_networks import copied
from prunebench.runner.own_process import staying_here
from prunebench.storage import cell_files
from prunebench.storage.files import replacing, write_text
from prunebench.tasks.sources.own import CLASSES, SPLITS, pair_of

FOLDER, NETWORK, WEIGHTS, DATA = "given", "network.py", "weights.safetensors", "data.npz"
_GIVEN: ContextVar[nn.Module | None] = ContextVar("given", default=None)
_CODE = '''"""Stands for the network that prunebench.compress was given in Python."""

from prunebench.runner.compress.given import given_network

STRUCTURE = "{structure}"  # a hash of its layers and their code


def {name}():
    """Return a copy of the network, while prunebench.compress works."""
    return given_network()
'''


@contextmanager
def giving(network: nn.Module | None) -> Iterator[None]:
    """Let ``given_network`` return copies of a network within the block, which no job leaves."""
    token = _GIVEN.set(network)
    try:
        with staying_here(network is not None):
            yield
    finally:
        _GIVEN.reset(token)


def given_network() -> nn.Module:
    """Return a copy of the network that is given, in training mode.

    Raises:
        PrunebenchError: none is: the experiment was begun in Python.
    """
    network = _GIVEN.get()
    if network is None:
        raise PrunebenchError(
            "this network was given in Python: call prunebench.compress with it again"
        )
    return copied(network).cpu().train()


def store_network(network: nn.Module, folder: Path) -> tuple[str, Path]:
    """Write what stands for a network, and its weights.

    Args:
        network: any module.
        folder: of the output.

    Returns:
        The network as an architecture is named, and the file of its weights.
    """
    place, name = folder / FOLDER, type(network).__name__
    write_text(place / NETWORK, _CODE.format(structure=_structure(network), name=name))
    state = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
    cell_files.save_tensors(place / WEIGHTS, state)
    return f"{place / NETWORK}:{name}", place / WEIGHTS


def _structure(network: nn.Module) -> str:
    kinds = {type(module) for module in network.modules()}
    files = set()
    for kind in kinds:
        try:
            files.add(Path(inspect.getfile(kind)))
        except (TypeError, OSError):  # defined in a notebook or at the prompt: it has no file
            continue
    said = f"{network}\n{code_hash(sorted(file for file in files if file.is_file()))}"
    return hashlib.sha256(said.encode()).hexdigest()


def store_data(splits: Mapping[str, Any], folder: Path) -> Path:
    """Write splits, arrays or data sets of PyTorch's, as a file of arrays.

    Args:
        splits: as a function of one's own returns them (``tasks.sources.own``).
        folder: of the output.

    Raises:
        PrunebenchError: a split is no inputs with their targets.
    """
    arrays: dict[str, Any] = {}
    for split in SPLITS:
        if split in splits:
            inputs, targets = pair_of(splits[split], f"data: {split}")
            arrays |= {f"{split}_inputs": inputs, f"{split}_targets": targets}
    if splits.get(CLASSES) is not None:
        arrays[CLASSES] = np.array([str(name) for name in splits[CLASSES]])
    path = folder / FOLDER / DATA
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    return path
