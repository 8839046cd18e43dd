"""Keep the state of a long training, so that a killed one goes on with the same bits.

Every few minutes, after an epoch, a training saves what it needs to go on: the state dicts of its
network and its optimizer, its masks, what its hooks remember, and its history. The random
generators are seeded anew in every epoch and have no state to save. A file's name is a hash of all
that decides the training, its first weights included: another training, other code or another
device finds no file.

A file is the SHA-256 of its content, then what ``torch.save`` writes. PyTorch does not notice a
flipped bit in a file that it loads, and a training must not go on from one.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import Unwritable
from prunebench.storage.files import remove_tree, replacing
from prunebench.storage.hashing import digest

Tensors = Mapping[str, Tensor]
_HASH = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Memory:
    """How to save and restore what a hook remembers from one epoch to the next.

    ``keep`` returns it as tensors, numbers included; ``recall`` takes up what ``keep`` returned,
    with its tensors on the CPU.
    """

    keep: Callable[[], Tensors]
    recall: Callable[[Tensors], None]


@dataclass
class Point:
    """A training between two epochs."""

    epoch: int  # the next one, counted from 0
    steps: int  # done so far
    masks: dict[str, Tensor]
    run: dict[str, Any]  # the plain fields of ``loop.Run`` so far
    stopped: dict[str, Any] | None = None  # the fields of ``loop.Stopped`` so far


@dataclass(frozen=True)
class Checkpoints:
    """Where the trainings of one baseline or curve save their state, and how often.

    ``identity`` names what they compute: settings, code and data. ``minutes`` lie between two
    checkpoints of a training at least; 0 saves after every epoch.
    """

    folder: Path
    identity: str
    minutes: float

    def of(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, memory: Memory | None,
        settings: Any, masks: Tensors,
    ) -> Checkpoint:  # fmt: skip
        """Return the checkpoint of a training that is about to begin.

        Args:
            model: the network, with its first weights.
            optimizer: of its parameters.
            memory: of the training's hooks.
            settings: all else that decides the training, as JSON can say it.
            masks: parameter name -> bool, True is kept.
        """
        device = str(next(model.parameters()).device)
        start = [_hash(model.state_dict()), _hash(masks)]
        named = [self.identity, settings, start, torch.__version__, device]
        path = self.folder / f"{digest(named)}.pt"
        return Checkpoint(path, 60 * self.minutes, model, optimizer, memory)

    def clear(self) -> None:
        """Delete all checkpoints, once the results are stored."""
        with suppress(Unwritable):  # what is left harms nobody
            remove_tree(self.folder)


class Checkpoint:
    """The state of one training on disk."""

    def __init__(
        self, path: Path, seconds: float, model: nn.Module, optimizer: torch.optim.Optimizer,
        memory: Memory | None,
    ) -> None:  # fmt: skip
        self.path, self._seconds = path, seconds
        self._model, self._optimizer = model, optimizer
        self._memory = memory or Memory(dict, lambda kept: None)
        self._last, self._kept = time.monotonic(), False

    def offer(self, point: Point, last: bool) -> None:
        """Save the state if it is time to; after the ``last`` epoch if one was saved before.

        Raises:
            Unwritable: the disk is full, or the folder is not to be written.
        """
        due = time.monotonic() - self._last >= self._seconds
        if not (self._kept if last else due):
            return
        state = {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "memory": dict(self._memory.keep()),
            "point": vars(point),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        with replacing(self.path) as temporary:
            temporary.write_bytes(hashlib.sha256(content).digest() + content)
        self._last, self._kept = time.monotonic(), True

    def resume(self) -> Point | None:
        """Restore the training to where it was saved, and return that point.

        None, and nothing is changed, where nothing was saved or the file is damaged.
        """
        try:
            data = self.path.read_bytes()
        except OSError:
            return None
        if data[:_HASH] != hashlib.sha256(data[_HASH:]).digest():
            return None
        state = torch.load(io.BytesIO(data[_HASH:]), map_location="cpu", weights_only=True)
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._memory.recall(state["memory"])
        self._kept = True
        point, device = Point(**state["point"]), next(self._model.parameters()).device
        point.masks = {name: mask.to(device) for name, mask in point.masks.items()}
        if point.stopped:
            point.stopped["state"] = {n: v.to(device) for n, v in point.stopped["state"].items()}
        return point


def _hash(tensors: Tensors) -> str:
    """Hash of the names, types, shapes and values of tensors, wherever and however they lie."""
    found = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        flat = value.detach().cpu().contiguous().view(-1)
        found.update(flat.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
