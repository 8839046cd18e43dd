"""Declare how a foreign table is to be read: its columns, their units, and constants."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.experiment.validation import Settings, validated
from prunebench.published.read_foreign import UTF_8
from prunebench.published.row_filter import RowFilter
from prunebench.published.shipped_mappings import mapping_file
from prunebench.published.units import UNITS, USUAL, Unit
from prunebench.published.wide_table import WideTable
from prunebench.storage.records import DENSE
from prunebench.text import bibtex

NAMES = ("task", "regime", "model")  # as in a configuration
NEEDED = (*NAMES, "method", "sparsity", "test_error")
# optional, in the units of the record
MORE = (
    "family", "seed", "status", "message", "classes", "params_total", "params_kept",
    "compression_ratio", "macs_dense", "macs_kept", "theoretical_speedup", "train_error",
    "val_error", "test_nll", "test_top5_error", "train_epochs",
)  # fmt: skip
COLUMNS = (*NEEDED, *MORE)
COMPOSED = (*NAMES, "method")  # may be made of several columns


class ColumnMapping(Settings):
    """The mapping of a foreign table's columns to those of the record.

    ``columns`` and ``constants``: by the record's names, a name of several columns where they make
    it together; ``values``: theirs to ours, by column, of each part and of the whole; ``units``:
    one of the error's and one of the sparsity's; ``dense``: their name of the network that was not
    pruned; ``dense_at_zero``: whether it is also what any method has at sparsity 0;
    ``number_seeds``: whether rows without a seed that are the same cell are its seeds in order;
    ``where``: the condition of the rows that are taken; ``bibtex``: the entry of the paper, which
    the paper kit cites; ``encoding``: of the file's text; ``sparsity_digits``: of sparsities that
    were measured, to how many digits they are what was aimed at; ``wide``: which columns stand for
    rows.
    """

    columns: dict[str, str | list[str]] = Field({})
    constants: dict[str, str] = Field({})
    values: dict[str, dict[str, str]] = Field({})
    units: list[str] = Field([], max_length=2)
    dense: str = DENSE
    dense_at_zero: bool = False
    number_seeds: bool = False
    where: str = ""
    bibtex: str = ""
    encoding: str = UTF_8
    sparsity_digits: int | None = Field(None, ge=1, le=9)
    wide: WideTable | None = None

    @field_validator("columns", "constants", "values", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        for name in value if isinstance(value, dict) else ():
            if name not in COLUMNS:
                raise ValueError(f"no column {name!r} can be imported{suggest(str(name), COLUMNS)}")
        return value

    @field_validator("constants", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: v if isinstance(v, bool) else _plain(v) for k, v in value.items()}

    @field_validator("columns")
    @classmethod
    def _several(cls, columns: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        for name, theirs in columns.items():
            if isinstance(theirs, list) and (name not in COMPOSED or not theirs):
                raise ValueError(f"{name} is one column; only {', '.join(COMPOSED)} are composed")
        return columns

    @field_validator("where")
    @classmethod
    def _condition(cls, text: str) -> str:
        if text:
            RowFilter.parse(text)
        return text

    @field_validator("bibtex")
    @classmethod
    def _entry(cls, text: str) -> str:
        if text.strip():
            bibtex.key_of(text)
        return text.strip()

    @field_validator("units")
    @classmethod
    def _units(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in UNITS:
                raise ValueError(f"unknown unit {name!r}{suggest(name, UNITS)}")
        kinds = [UNITS[name].column for name in names]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"{' and '.join(names)} are both units of {kinds[0]}; give one")
        return names

    @model_validator(mode="after")
    def _once(self) -> ColumnMapping:
        both = sorted(set(self.columns) & set(self.constants))
        if both:
            raise ValueError(f"{both[0]} is both a column and a constant; give one")
        return self

    @property
    def read_of_file(self) -> list[str]:
        """The columns that the file itself must have."""
        made = {self.wide.names, self.wide.values} if self.wide else set()
        theirs = [name for value in self.columns.values() for name in _listed(value)]
        wide = self.wide.columns if self.wide else []
        return [name for name in (*theirs, *wide) if name not in made]

    def unit(self, column: str) -> Unit:
        """Return the unit of ``test_error`` or ``sparsity``: the declared one, else a share."""
        said = [UNITS[name] for name in self.units if UNITS[name].column == column]
        return said[0] if said else UNITS[USUAL[column]]

    def says(self, column: str) -> bool:
        """Return whether the unit of this column was declared."""
        return any(UNITS[name].column == column for name in self.units)


def _listed(theirs: str | list[str]) -> list[str]:
    return [theirs] if isinstance(theirs, str) else theirs


def _plain(value: Any) -> Any:
    """Return the text of a number that YAML read where a name or a table's text is wanted."""
    return str(value) if isinstance(value, int | float) else value


def read_mapping(
    path: Path | None,
    columns: Iterable[str] = (),
    constants: Iterable[str] = (),
    units: Iterable[str] = (),
    where: str | None = None,
    **said: Any,
) -> ColumnMapping:
    """Read a mapping from a YAML file and from flags, which come first.

    Args:
        path: The YAML file, or the name of a mapping that ships, if any.
        columns: Texts such as ``method=Algo``; a name that stands twice is made of both columns.
        constants: Texts such as ``task=cifar10``.
        units: Names of UNITS; they replace those of the file.
        where: A condition of rows, beside that of the file.
        said: Values of the other fields; None where the file's holds.

    Raises:
        PrunebenchError: The file or a flag is no mapping, in one line that says where.
    """
    written = {} if path is None else read_yaml(mapping_file(path))
    if not isinstance(written, dict):
        known = ", ".join(ColumnMapping.model_fields)
        raise PrunebenchError(f"{path}: a mapping has keys: {known}")
    flags: dict[str, dict[str, Any]] = {"columns": _pairs(columns, "--column", COMPOSED)}
    flags["constants"] = _pairs(constants, "--set")
    # what one flag says stands before what the file says of the same name in the other form
    for key, other in (("columns", "constants"), ("constants", "columns")):
        there = written.get(key) or {}
        if isinstance(there, dict):
            kept = {k: v for k, v in there.items() if k not in flags[other]}
            written[key] = {**kept, **flags[key]}
    if units := list(units):
        written["units"] = units
    if where:
        RowFilter.parse(where)
        there = written.get("where")
        written["where"] = f"({there}) and ({where})" if there else where
    written.update({name: value for name, value in said.items() if value is not None})
    return validated(ColumnMapping, written, "the flags" if path is None else str(path))


def _pairs(
    texts: Iterable[str], flag: str, several: tuple[str, ...] = ()
) -> dict[str, str | list[str]]:
    """Return ``name=value`` texts as a dict; each name once, but for those that take several."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise PrunebenchError(f"{flag} {text!r}: write {flag} name=value")
        if name in found and name not in several:
            raise PrunebenchError(f"{flag} {name} is given twice")
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
