"""Read sealed files and check that they hold what this version writes.

A seal says that a file is whole, not who wrote it: results come from others, too, and anybody can
seal a file of another content.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from prunebench.errors import Damaged
from prunebench.storage.files import read_json, read_sealed
from prunebench.storage.layout import LAYER_MS, SENSITIVITY
from prunebench.storage.manifest import is_below
from prunebench.storage.records import (
    ASIDE,
    COLUMNS,
    COORDINATES,
    COST,
    FAILED,
    LATENCY_COLUMNS,
    LAYER_COLUMNS,
    QUALITY,
    SENSITIVITY_COLUMNS,
    SIZE,
    STATUSES,
)

Row = dict[str, Any]
_NUMBERS = frozenset((*SIZE, *QUALITY, *COST, "seed", "sparsity", "train_loss_fall"))
_TEXTS = frozenset((
    *COORDINATES[:4], "identity", "status", "message", "kind", "nondeterministic", "precision",
))  # fmt: skip
_PLACE = frozenset(COORDINATES)
_ANYWHERE = dict.fromkeys(COORDINATES, 0)  # of a record whose place nobody asks for
_TABLES = {
    "cells": COLUMNS, "latency": LATENCY_COLUMNS, "layers": LAYER_COLUMNS,
    "sensitivity": SENSITIVITY_COLUMNS,
}  # fmt: skip
# what the measures of a cell that has a network stand on
MEASURED_OF = ("message", "compression_ratio", "train_epochs", "train_loss_fall")


def read_record(path: Path, needed: Collection[str] = ()) -> Row:
    """Return the record of a cell.

    Args:
        path: of its ``record.json``.
        needed: columns that the record of a cell that did not fail must have; where there are any,
            every record must say of which cell it is.

    Raises:
        PrunebenchError: it is missing, damaged, or no record.
    """
    value = read_sealed(path)
    files, layers = value.get("files"), value.get("layers", [])
    sound = (
        isinstance(value.get("identity"), str)
        and value.get("status") in STATUSES
        and _is_row({k: v for k, v in value.items() if k not in ASIDE}, COLUMNS)
        and _is_placed(value if needed else {**_ANYWHERE, **value})
        and isinstance(files, dict)
        and all(is_below(name) and isinstance(item, str) for name, item in files.items())
        and isinstance(layers, list)
        and all(isinstance(item, str) for item in layers)
    )
    if not sound:
        raise Damaged(f"{path} is damaged: it is no record of a cell")
    lacking = [name for name in needed if name not in value]
    if lacking and value["status"] != FAILED:
        raise Damaged(f"{path} is damaged: it has no {lacking[0]}")
    return value


def read_measured(path: Path) -> dict[str, list[Row]]:
    """Return the rows of a measured job, by table.

    Raises:
        PrunebenchError: the file is missing, damaged, or holds something else.
    """
    value = read_sealed(path)
    _check(path, value.keys() <= _TABLES.keys() and "cells" in value, "measures of cells")
    for name, rows in value.items():
        sound = isinstance(rows, list) and all(
            _is_open_row(row) if name == "cells" else _is_row(row, _TABLES[name]) for row in rows
        )
        _check(path, sound, "measures of cells")
    _check(path, all(map(_is_placed, value["cells"])), "measures of cells")
    return value


def read_looks(path: Path) -> dict[str, Any]:
    """Return what was found in the weights of a cell: ``values`` by column, and more.

    Of times also ``rows`` and, where each was measured, ``layer_ms`` by module; of a dense network
    that was pruned layer by layer its ``sensitivity``.

    Raises:
        PrunebenchError: the file is missing, damaged, or holds something else.
    """
    value = read_sealed(path)
    _check(path, _is_open_row(value.get("values")), "measures of a network")
    _check(path, _are_rows(value.get("rows", []), LATENCY_COLUMNS), "measures of a network")
    times, alone = value.get(LAYER_MS, {}), value.get(SENSITIVITY, [])
    sound = isinstance(times, dict) and all(isinstance(ms, int | float) for ms in times.values())
    _check(path, sound, "times of layers")
    _check(path, isinstance(alone, list) and all(map(_is_alone, alone)), "layers pruned alone")
    return value


def read_facts(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the kind of task of a baseline, and the facts that its measures must know.

    Raises:
        PrunebenchError: the file is missing, damaged, or holds something else.
    """
    value = read_json(path)
    sound = isinstance(value, dict) and isinstance(value.get("kind"), str)
    _check(path, sound, "facts of a task")
    return value.pop("kind"), value


def measured_of(path: Path, removed: Mapping[str, Any]) -> Row:
    """Return what was measured of a cell before files of it were removed.

    Args:
        path: of the cell's ``removed.json``, for the message.
        removed: its content (``manifest.Removal``).

    Raises:
        PrunebenchError: it is something else.
    """
    value = removed["measured"]
    sound = (
        isinstance(value, dict)
        and isinstance(value.get("values"), dict)
        and all(isinstance(item, str | int | float | None) for item in value["values"].values())
        and _are_rows(value.get("layers"), LAYER_COLUMNS)
        and isinstance(value.get("code"), str)
    )
    _check(path, sound, "measures of a cell")
    return dict(value)


def _check(path: Path, sound: bool, what: str) -> None:
    if not sound:
        raise Damaged(f"{path} is damaged: it holds no {what}")


def _are_rows(value: Any, columns: Collection[str]) -> bool:
    return isinstance(value, list) and all(_is_row(row, columns) for row in value)


def _is_alone(value: Any) -> bool:
    """Return whether a value is a row of a layer pruned alone, with the modules that it is of."""
    if not isinstance(value, Mapping):
        return False
    row = dict(value)
    modules = row.pop("modules", [])
    named = isinstance(modules, list) and all(isinstance(name, str) for name in modules)
    return named and _is_row(row, SENSITIVITY_COLUMNS)


def _is_open_row(value: Any) -> bool:
    """Return whether a value is a row that may have columns of a user's own parts."""
    return isinstance(value, Mapping) and _is_row(value, value)


def _is_row(value: Any, columns: Collection[str]) -> bool:
    """Return whether a value is a row: known columns, each with what stands in a field."""
    known = frozenset(columns)
    return isinstance(value, Mapping) and all(
        name in known and _is_field(name, item) for name, item in value.items()
    )


def _is_placed(row: Mapping[str, Any]) -> bool:
    """Return whether a row says of which cell it is."""
    return all(row.get(name) is not None for name in _PLACE) and isinstance(row["seed"], int)


def _is_field(name: str, value: Any) -> bool:
    if value is None:
        return True
    if name in _NUMBERS:
        return isinstance(value, int | float)
    return isinstance(value, str) if name in _TEXTS else isinstance(value, str | int | float)
