"""Describe a shrunk network in JSON, by how its layers differ from those of the dense network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.compression.surgery import Unchanged
from prunebench.errors import PrunebenchError

_PLAIN = (bool, int, float, str, type(None))


def describe(dense: nn.Module, shrunk: nn.Module) -> dict[str, Any]:
    """Return what ``restore`` must do to a freshly built dense network.

    Args:
        dense: the network as it was built.
        shrunk: the same network, shrunk.

    Returns:
        ``replaced``: names of modules that return their input now; ``attributes``: module ->
        attribute -> plain value, or a list for a tuple.

    Raises:
        PrunebenchError: a module has changed its type otherwise, which a description cannot
            restore.
    """
    before = dict(dense.named_modules())
    replaced: list[str] = []
    attributes: dict[str, dict[str, Any]] = {}
    for name, module in shrunk.named_modules():
        old = before.get(name)
        if old is not None and type(old) is type(module):
            changed = _changed(old, module)
            if changed:
                attributes[name] = changed
        elif isinstance(module, nn.Identity) and old is not None:
            replaced.append(name)
        else:
            raise PrunebenchError(
                f"cannot describe {name!r}: {type(module).__name__} in place of"
                f" {type(old).__name__}; export to onnx or torch-export"
            )
    return {"replaced": replaced, "attributes": attributes}


def _changed(old: Any, new: nn.Module) -> dict[str, Any]:
    found = {}
    for key, value in vars(new).items():
        # training mode is no part of the structure
        if _plain(value) and key != "training" and vars(old).get(key) != value:
            found[key] = list(value) if isinstance(value, tuple) else value
    return found


def _plain(value: Any) -> bool:
    flat = value if isinstance(value, tuple) else (value,)
    return all(isinstance(item, _PLAIN) for item in flat)


@torch.no_grad()
def restore(dense: nn.Module, structure: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Turn a dense network, in place, into the shrunk one that ``describe`` described.

    Its parameters can be trained; layers that share one still do.

    Args:
        dense: a freshly built network.
        structure: of ``describe``.
        state: the weights of the shrunk network.

    Raises:
        PrunebenchError: the two do not fit the network.
    """
    shared, listed = _shared(dense), dense.state_dict().keys()
    try:
        for name in structure["replaced"]:
            dense.set_submodule(name, Unchanged())
        for name, values in structure["attributes"].items():
            for key, value in values.items():
                module = dense.get_submodule(name)
                # a file of others must not take the place of a method or of what a module holds
                fixed = tuple(value) if isinstance(value, list) else value
                if not (_plain(getattr(module, key, None)) and _plain(fixed)):
                    raise TypeError(f"{name}.{key} is no plain attribute")
                setattr(module, key, fixed)
        # a network may list a weight that layers share once only
        known = {
            name: name in state or (name not in listed and shared.get(name) in state)
            for name, _ in dense.named_parameters(remove_duplicate=False)
        }
        for name, there in known.items():
            if not there:
                _set(dense, name, None)
        for name, value in state.items():
            _set(dense, name, value)
        for name, first in shared.items():
            if known.get(name) and first in state:
                place, _, own = name.rpartition(".")
                setattr(dense.get_submodule(place), own, dense.get_parameter(first))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PrunebenchError(f"the description is of another network: {error}") from error
    dense.eval()


def _shared(model: nn.Module) -> dict[str, str]:
    """Every further name of a parameter that has several -> its first one."""
    first: dict[int, str] = {}
    named = model.named_parameters(remove_duplicate=False)
    return {n: first[id(p)] for n, p in named if first.setdefault(id(p), n) != n}


def _set(model: nn.Module, name: str, value: Tensor | None) -> None:
    place, _, own = name.rpartition(".")
    module = model.get_submodule(place)
    if own in dict(module.named_buffers(recurse=False)):
        setattr(module, own, value)
    elif value is None:
        module.register_parameter(own, None)
    else:  # by assignment, of which recurrent modules take notice
        setattr(module, own, nn.Parameter(value, value.is_floating_point()))
