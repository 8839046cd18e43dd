"""Forms of inputs: pixels, features, tokens, pairs, arrays.

How each is checked, stored and normalized.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.tasks.images import fit
from prunebench.tasks.pretrained_tokens import TOKENIZER
from prunebench.tasks.raw import Array, Images

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.experiment.settings import Task


class Form(ABC):
    """A form of inputs. Its tensors are called ``<split>_<key>`` in the prepared file."""

    name: ClassVar[str]
    key: ClassVar[str]
    item: ClassVar[str]  # a single input, for messages
    augments: ClassVar[bool] = False  # whether it can be cropped and flipped
    dtype: ClassVar[Any]  # of a source's inputs
    given: ClassVar[tuple[str, ...]] = ()  # facts that a source tells of such inputs
    axes: ClassVar[str]  # of a single input, for messages
    remedy: ClassVar[str] = ""  # what to do where splits differ in shape
    in_place_of: ClassVar[tuple[str, ...]] = ()  # forms for which a kind of task takes it as well
    scale: ClassVar[float] = 1.0  # of the stored inputs; moments are of inputs divided by it

    @abstractmethod
    def check(self, inputs: Array, where: str) -> None:
        """Raise PrunebenchError unless the array has the type and shape of this form."""

    def stored(self, inputs: Array, task: Task) -> Array:
        """Return the inputs of a split as they are stored."""
        del task
        return np.ascontiguousarray(inputs)

    def moments(self, inputs: Array) -> tuple[list[float], list[float]]:
        """Return mean and deviation by which training inputs are normalized; empty: they are not.

        Args:
            inputs: as they are stored.
        """
        del inputs
        return [], []

    def normalized(self, inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Return a batch as networks take it.

        Args:
            inputs: a batch as it is stored.
            mean: on the scale of the stored inputs.
            std: likewise, nowhere 0.
        """
        del mean, std
        return inputs

    @abstractmethod
    def facts(self, inputs: Array, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the constructor of a network may ask for, by the names of its parameters.

        Args:
            inputs: stored training inputs, or their like with as many dimensions.
            known: the facts of the task.
        """


class Pixels(Form):
    """Images, uint8: [N, H, W, C] of a source, [N, C, H, W] as stored; float32 to a network."""

    name, key, item, dtype, axes = "pixels", "images", "image", np.uint8, "[C, H, W]"
    remedy, scale, augments = "; set image_size: and mode:", 255.0, True

    def check(self, inputs: Array, where: str) -> None:
        if inputs.dtype != np.uint8 or inputs.ndim != 4:
            raise PrunebenchError(f"{where}: images must be uint8 [N, H, W, C], {_found(inputs)}")

    def stored(self, inputs: Array, task: Task) -> Array:
        return np.ascontiguousarray(fit(inputs, task).transpose(0, 3, 1, 2))

    def moments(self, inputs: Array) -> tuple[list[float], list[float]]:
        return moments(inputs)

    def normalized(self, inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        import torch

        pixels = inputs.to(torch.float32)
        # two operations, not a fused one, so that every device rounds alike
        return pixels.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))

    def facts(self, inputs: Array, known: Mapping[str, Any]) -> dict[str, Any]:
        channels, *size = map(int, inputs.shape[1:])
        return {"in_chans": channels, "image_size": tuple(size)}


class Features(Form):
    """Rows of a table, float32 [N, F]; normalized by the mean and deviation of training."""

    name, key, item, dtype, axes = "features", "features", "row", np.float32, "[F]"

    def check(self, inputs: Array, where: str) -> None:
        if inputs.dtype != np.float32 or inputs.ndim != 2 or not inputs.shape[1]:
            raise PrunebenchError(f"{where}: features must be float32 [N, F], {_found(inputs)}")
        unknown = np.argwhere(~np.isfinite(inputs))
        if len(unknown):
            row, column = unknown[0]
            raise PrunebenchError(
                f"{where}: feature {column} of row {row} is {inputs[row, column]}, not a number"
            )

    def moments(self, inputs: Array) -> tuple[list[float], list[float]]:
        # fsum: a sum that does not depend on the order in which a processor adds
        columns = [[float(value) for value in column] for column in inputs.T]
        means = [math.fsum(column) / len(column) for column in columns]
        squares = [
            math.fsum((value - mean) ** 2 for value in column) / len(column)
            for column, mean in zip(columns, means, strict=True)
        ]
        return means, [math.sqrt(value) for value in squares]

    def normalized(self, inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        return (inputs - mean) / std

    def facts(self, inputs: Array, known: Mapping[str, Any]) -> dict[str, Any]:
        return {"num_features": int(inputs.shape[1])}


class Tokens(Form):
    """Sequences of tokens, int32 [N, L]: 0 pads at the end and is no token; int64 to a network."""

    name, key, item, dtype, axes = "tokens", "tokens", "sequence", np.int32, "[L]"
    given = ("vocabulary",)

    def check(self, inputs: Array, where: str) -> None:
        if inputs.dtype != np.int32 or inputs.ndim != 2 or not inputs.shape[1]:
            raise PrunebenchError(f"{where}: tokens must be int32 [N, L], {_found(inputs)}")
        if (inputs < 0).any():
            row = int(np.argwhere(inputs < 0)[0, 0])
            raise PrunebenchError(f"{where}: sequence {row} has a token below 0")
        empty = np.flatnonzero(inputs[:, 0] == 0)
        if len(empty):
            raise PrunebenchError(f"{where}: sequence {empty[0]} is empty")
        gap = np.argwhere((inputs[:, :-1] == 0) & (inputs[:, 1:] != 0))
        if len(gap):
            raise PrunebenchError(
                f"{where}: sequence {gap[0, 0]} goes on after the token 0, which pads at the end"
            )

    def normalized(self, inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        return inputs.long()

    def facts(self, inputs: Array, known: Mapping[str, Any]) -> dict[str, Any]:
        own = {TOKENIZER: known[TOKENIZER]} if TOKENIZER in known else {}
        size, length = len(known["vocabulary"]), int(inputs.shape[1])
        return {"vocabulary": size, "length": length, **own}


class Pairs(Form):
    """Pairs of a user and an item, int32 [N, 2], both counted from 0; int64 to a network."""

    name, key, item, dtype, axes = "pairs", "pairs", "pair", np.int32, "[2]"
    given = ("users", "items")

    def check(self, inputs: Array, where: str) -> None:
        if inputs.dtype != np.int32 or inputs.ndim != 2 or inputs.shape[1] != 2:
            raise PrunebenchError(f"{where}: pairs must be int32 [N, 2], {_found(inputs)}")
        if (inputs < 0).any():
            row = int(np.argwhere(inputs < 0)[0, 0])
            raise PrunebenchError(f"{where}: pair {row} has a number below 0")

    def normalized(self, inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        return inputs.long()

    def facts(self, inputs: Array, known: Mapping[str, Any]) -> dict[str, Any]:
        return {"users": int(known["users"]), "items": int(known["items"])}


class Arrays(Form):
    """What networks take, float32 [N, ...], of a user's own: it reaches them as it is."""

    name, key, item, dtype, axes = "arrays", "arrays", "input", np.float32, "[...]"
    in_place_of = ("pixels", "features")

    def check(self, inputs: Array, where: str) -> None:
        if inputs.dtype != np.float32 or inputs.ndim < 2:
            raise PrunebenchError(f"{where}: inputs must be float32 [N, ...], {_found(inputs)}")
        unknown = np.flatnonzero(~np.isfinite(inputs).reshape(len(inputs), -1).all(1))
        if len(unknown):
            raise PrunebenchError(f"{where}: input {unknown[0]} holds what is not a finite number")

    def normalized(self, inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        return inputs.clone()  # a network may change its input in place

    def facts(self, inputs: Array, known: Mapping[str, Any]) -> dict[str, Any]:
        sides = tuple(map(int, inputs.shape[1:]))
        if len(sides) == 3:
            return {"in_chans": sides[0], "image_size": sides[1:]}
        return {"num_features": sides[0]} if len(sides) == 1 else {}


FORMS: dict[str, Form] = {
    form.name: form for form in (Pixels(), Features(), Tokens(), Pairs(), Arrays())
}


def _found(array: NDArray[Any]) -> str:
    return f"got {array.dtype} of shape {list(array.shape)}"


def moments(images: Images) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel, pixels scaled to [0, 1].

    Computed in whole numbers until the last division: a floating-point sum of so many would depend
    on the order in which a processor adds.

    Args:
        images: uint8 [N, C, H, W].
    """
    means, deviations = [], []
    for channel in range(images.shape[1]):
        histogram = np.zeros(256, np.int64)
        for start in range(0, len(images), 1024):  # bincount widens what it counts eightfold
            block = images[start : start + 1024, channel]
            histogram += np.bincount(block.ravel(), minlength=256)
        counts = [int(count) for count in histogram]
        number = sum(counts)
        total = sum(count * value for value, count in enumerate(counts))
        squares = sum(count * value**2 for value, count in enumerate(counts))
        means.append(total / (number * 255))
        deviations.append(math.sqrt((number * squares - total**2) / (number * 255) ** 2))
    return means, deviations
