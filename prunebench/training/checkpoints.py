"""A long training goes on from where it was killed, to the same bits.

Every some minutes, after an epoch, a training keeps what it needs to go on in one safetensors file:
weights, the optimizer's state, masks, what its hooks remember, history and time. The generators are
seeded anew in every epoch and have no state to keep. A file is named by all that decides the
training, its first weights included: another training, other code or another device finds nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from prunebench.storage.files import replacing
from prunebench.storage.hashing import digest

Tensors = Mapping[str, Tensor]
_STATE = "state"  # the key of the metadata that holds what is no tensor
_MODEL, _OPTIMIZER, _MASK, _MEMORY = "model/", "optimizer/", "mask/", "memory/"


@dataclass(frozen=True)
class Memory:
    """What a hook remembers from one epoch to the next, as tensors (numbers too)."""

    keep: Callable[[], Tensors]
    recall: Callable[[Tensors], None]


@dataclass
class Point:
    """A training between two epochs."""

    epoch: int  # the next one
    steps: int
    masks: dict[str, Tensor]
    run: dict[str, Any]  # the fields of train.Run so far


@dataclass(frozen=True)
class Checkpoints:
    """Where the trainings of a baseline or of a curve keep their state, and how often.

    ``identity`` names what they compute: settings, code and data; ``minutes`` 0: after every epoch.
    """

    folder: Path
    identity: str
    minutes: float

    def of(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, memory: Memory | None,
        settings: Any, masks: Tensors,
    ) -> Checkpoint:  # fmt: skip
        """The checkpoint of a training that is about to begin; ``settings``: all else of it."""
        start = {**_prefixed(_MODEL, model.state_dict()), **_prefixed(_MASK, masks)}
        device = str(next(model.parameters()).device)
        named = [self.identity, settings, _hash(start), torch.__version__, device]
        path = self.folder / f"{digest(named)}.safetensors"
        return Checkpoint(path, 60 * self.minutes, model, optimizer, memory)

    def clear(self) -> None:
        """Remove them all: the cells are stored."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Checkpoint:
    """The state of one training on disk."""

    def __init__(
        self, path: Path, seconds: float, model: nn.Module, optimizer: torch.optim.Optimizer,
        memory: Memory | None,
    ) -> None:  # fmt: skip
        self.path, self._seconds = path, seconds
        self._model, self._optimizer, self._memory = model, optimizer, memory
        self._last, self._kept = time.monotonic(), False

    def offer(self, point: Point, last: bool) -> None:
        """Keep the state if it is time to; after the ``last`` epoch if one was kept before.

        Raises Unwritable where there is no room.
        """
        due = time.monotonic() - self._last >= self._seconds
        if not (self._kept if last else due):
            return
        tensors = {
            **_prefixed(_MODEL, self._model.state_dict()),
            **_prefixed(_OPTIMIZER, self._moments()),
            **_prefixed(_MASK, point.masks),
            **_prefixed(_MEMORY, {} if self._memory is None else self._memory.keep()),
        }
        state = {"epoch": point.epoch, "steps": point.steps, "run": point.run}
        text = json.dumps({**state, "sha256": _hash(tensors, state)})
        with replacing(self.path) as temporary:
            temporary.write_bytes(save(tensors, {_STATE: text}))
        self._last, self._kept = time.monotonic(), True

    def resume(self) -> Point | None:
        """Bring the training to where it was kept; None where it was not, or is damaged."""
        try:
            with safe_open(self.path, framework="pt") as file:
                state = json.loads(file.metadata()[_STATE])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            whole = state.pop("sha256") == _hash(tensors, state)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None
        if not whole:
            return None
        self._model.load_state_dict(_cut(_MODEL, tensors))
        self._restore_moments(_cut(_OPTIMIZER, tensors))
        if self._memory is not None:
            self._memory.recall(_cut(_MEMORY, tensors))
        self._kept = True
        device = next(self._model.parameters()).device
        masks = {name: mask.to(device) for name, mask in _cut(_MASK, tensors).items()}
        return Point(state["epoch"], state["steps"], masks, state["run"])

    def _moments(self) -> dict[str, Tensor]:
        """The optimizer's tensors by the number of their parameter."""
        return {
            f"{number}/{name}": value
            for number, parameter in enumerate(self._parameters())
            for name, value in self._optimizer.state.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }

    def _restore_moments(self, kept: Tensors) -> None:
        parameters = self._parameters()
        for key, value in kept.items():
            number, _, name = key.partition("/")
            parameter = parameters[int(number)]
            if value.shape == parameter.shape:
                # in the weight's memory format, on which fused optimizers rely
                restored = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False)
            else:
                restored = torch.empty_like(value, device=parameter.device)
            self._optimizer.state[parameter][name] = restored.copy_(value)

    def _parameters(self) -> list[Tensor]:
        return [p for group in self._optimizer.param_groups for p in group["params"]]


def _prefixed(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    """Copies on the CPU: tensors that share memory cannot be written."""
    return {
        prefix + name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in tensors.items()
    }


def _cut(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _hash(tensors: Tensors, state: Any = None) -> str:
    """Of names, types, shapes and bytes of tensors on the CPU, and of a JSON value."""
    found = hashlib.sha256(digest(state).encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        found.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
