"""The sparsities that a compression looks at: found once, then kept under a seal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from os.path import lexists
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator

from prunebench.errors import PrunebenchError
from prunebench.experiment.validation import Settings, validated
from prunebench.storage.files import read_sealed, write_sealed


class Levels(Settings):
    """What was found before the search: it is not looked for again."""

    model_config = ConfigDict(strict=True)

    name: str  # of the request
    sparsities: list[Annotated[float, Field(gt=0, lt=1)]] = Field(min_length=1)
    batch_norm: bool  # whether the network has any

    @field_validator("sparsities")
    @classmethod
    def _rise(cls, values: list[float]) -> list[float]:
        if values != sorted(set(values)):
            raise ValueError(f"must rise, found {values}")
        return values


def kept_levels(path: Path, name: str, find: Callable[[], dict[str, Any]]) -> Levels:
    """Return what was found for a request, or find it, and keep it.

    A file that is damaged, or that holds something else, is told in a line and written anew. One of
    another request is written anew: other things were asked before.

    Args:
        path: of the file.
        name: of the request.
        find: returns ``sparsities`` and ``batch_norm``.

    Raises:
        PrunebenchError: nothing can be found, or the file cannot be written.
    """
    if lexists(path):
        try:
            stored: Levels = validated(Levels, read_sealed(path), str(path))
            if stored.name == name:
                return stored
        except PrunebenchError as error:
            print(f"warning: {error}: the sparsities to look at are found again", file=sys.stderr)
    found: Levels = validated(Levels, {"name": name, **find()}, "compress")
    write_sealed(path, found.model_dump())
    return found
