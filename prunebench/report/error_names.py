"""Give errors the name of their kind of task: a next-token error is no classification error.

The texts of tables, figures and pages speak of "test error". Where they leave the suite, this puts
in the name that the kind of task declares. Of classification it is "error", so nothing changes.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import TaskKindTraits

CLASSES = "classification"
T = TypeVar("T")
_NAMED = re.compile(r"\b((?:test|validation|training)(?: |~|\n\s*))error\b", re.IGNORECASE)


def kind_of(cells: pd.DataFrame) -> str:
    """Return the kind of the tasks of a table; classification where it does not say."""
    known = cells["kind"].dropna() if "kind" in cells.columns else pd.Series(dtype=object)
    return CLASSES if known.empty else str(known.iloc[0])


def traits_of(cells: pd.DataFrame) -> TaskKindTraits | None:
    """Return what the kind declares; None for classification, and where this code does not know it.

    Records of another version may name a kind that this one does not have.
    """
    return _traits_of(kind_of(cells))


def _traits_of(kind: str) -> TaskKindTraits | None:
    if kind == CLASSES:
        return None
    try:
        return registry.find(TaskKindTraits, kind).traits
    except PrunebenchError:
        return None


def explained(cells: pd.DataFrame) -> str:
    """Return a sentence on what the error is; empty for classification."""
    traits = traits_of(cells)
    if traits is None:
        return ""
    whole = traits.unit.removeprefix("share of ")
    the = "the " if whole.endswith("s") else ""  # tokens are counted, average precision is not
    return (
        f"Error: of this kind of task ({kind_of(cells)}) it is the {traits.error},"
        f" {traits.formula}; a point is one per cent of {the}{whole}."
    )


def named(text: str, cells: pd.DataFrame) -> str:
    """Return a text with the errors that it speaks of under their name."""
    return named_of(text, kind_of(cells))


def named_of(text: str, kind: str) -> str:
    """Return a text with the errors that it speaks of under the name that a kind gives them."""
    traits = _traits_of(kind)
    return text if traits is None else _NAMED.sub(rf"\g<1>{traits.error}", text)


def all_named(value: T, cells: pd.DataFrame) -> T:
    """Return a value with every text in it named: in dataclasses, mappings and sequences, too."""
    return value if traits_of(cells) is None else _walked(value, cells)


def _walked(value: Any, cells: pd.DataFrame) -> Any:
    if isinstance(value, str):
        return named(value, cells)
    if isinstance(value, dict):
        return {_walked(key, cells): _walked(item, cells) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_walked(item, cells) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: _walked(getattr(value, f.name), cells) for f in fields(value) if f.init}
        return replace(value, **changed)
    return value
