"""Types of settings: names, shares, seeds, numbers of things."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _name(value: Any) -> Any:
    """A name as text: YAML reads ``8`` as a number, and ``no`` as a boolean."""
    if isinstance(value, bool):
        raise ValueError("quote it: YAML reads this as a boolean")
    return str(value) if isinstance(value, int | float) else value


# a name becomes a folder, a column's value and a wildcard of the DAG
Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64),
    BeforeValidator(_name),
]
Share = Annotated[float, Field(ge=0, lt=1)]
# a table holds a seed as a floating-point number: beyond, two seeds would be one
LARGEST_SEED = 2**53 - 1
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
# of images, epochs, jobs …: more than there can be, and less than breaks a library
Count = Annotated[int, Field(gt=0, le=1_000_000_000)]
# of a recovery, in times the declared epochs
Length = Annotated[float, Field(gt=0, le=1000)]
