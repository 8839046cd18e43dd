"""What a network must know of the data that it is built for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prunebench.errors import PrunebenchError

# what constructors may ask for
NAMES = (
    "num_classes", "in_chans", "image_size", "num_features", "vocabulary", "length", "users",
    "items",
)  # fmt: skip


@dataclass(frozen=True)
class NetworkFacts:
    """Facts of a task by the names that constructors of networks give their parameters.

    ``num_classes``: outputs for each sample or position. Of images ``in_chans`` and ``image_size``
    (height, width); of rows ``num_features``; of tokens ``vocabulary``, how many there are with the
    padding, and ``length``; of pairs ``users`` and ``items``. For networks that are pretrained also
    the ``task_kind``, and the ``tokenizer`` that tokens are of, where they are one's.
    """

    values: Mapping[str, Any]

    @classmethod
    def of_images(cls, classes: int, channels: int, size: int | Sequence[int]) -> NetworkFacts:
        """Return the facts of images of ``size`` pixels: of a side, or height and width."""
        height, width = (size, size) if isinstance(size, int) else size
        return cls({"num_classes": classes, "in_chans": channels, "image_size": (height, width)})

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> NetworkFacts:
        """Return facts that were written as JSON, which has lists for pairs of sides."""
        pairs = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return cls(pairs)

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width of the images; None where inputs are none."""
        return self.values.get("image_size")

    def of(self, *names: str, network: str) -> list[Any]:
        """Return some of them, in the order of their names.

        Args:
            names: of the parameters.
            network: that asks, for the message.

        Raises:
            PrunebenchError: the task has no such fact: its inputs are of another form.
        """
        missing = [name for name in names if name not in self.values]
        if missing:
            raise PrunebenchError(
                f"models: {network} needs {missing[0]}, which the inputs of this task do not have"
                f" (they have {', '.join(name for name in NAMES if name in self.values)})"
            )
        return [self.values[name] for name in names]
