"""Turn columns of a foreign table into rows: one of each network, or of several values a cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.experiment.validation import Settings
from prunebench.published.read_foreign import ForeignTable
from prunebench.text.numbers import plural

NOTHING = ("", "-", "–", "—")  # of a cell without a value


class WideTable(Settings):
    """How a table is wide: what its columns and the lines of its cells stand for.

    ``columns`` become rows of two columns: ``names``, which has the name of each, and ``values``.
    Of the column that has the dense network's results, ``dense``, each is one row, without the
    values of ``varied``, which are those of pruned networks beside it. Before that, rows whose
    cells of ``stacked`` have several lines are as many rows; in other cells lines are a space.
    """

    columns: list[str] = Field(min_length=1)
    names: str
    values: str
    dense: str = ""
    varied: list[str] = Field([])
    stacked: list[str] = Field([])


def to_rows(path: Path, table: ForeignTable, wide: WideTable) -> ForeignTable:
    """Return the table with a row for each of the columns that stand for something.

    Raises:
        PrunebenchError: A column is missing, or stacked cells of a row have other numbers of lines.
    """
    for name in (*wide.columns, *wide.stacked, *wide.varied):
        if name not in table.header:
            raise PrunebenchError(
                f"{path} has no column {shown(name)}{suggest(name, table.header)}"
            )
    kept = [name for name in table.header if name not in wide.columns]
    rows: dict[tuple[int, tuple[str, ...]], None] = {}  # of the dense network each once
    left = 0
    for line, row in _unstacked(path, table, wide):
        for column in wide.columns:
            if row[column] in NOTHING:
                left += 1
                continue
            own = wide.varied if column == wide.dense else ()
            fields = ["" if name in own else row[name] for name in kept]
            rows[line, (*fields, column, row[column])] = None
    notes = (*table.notes, *([plural(left, "cell", ("has", "have")) + " no value"] if left else []))
    return replace(
        table,
        header=[*kept, wide.names, wide.values],
        rows=[(line, list(fields)) for line, fields in rows],
        notes=notes,
    )


def _unstacked(
    path: Path, table: ForeignTable, wide: WideTable
) -> list[tuple[int, dict[str, str]]]:
    found = []
    for line, fields in table.rows:
        row = table.named((line, fields))
        stacks = {name: row[name].split("\n") for name in wide.stacked}
        sizes = {name: len(lines) for name, lines in stacks.items()}
        if len(set(sizes.values())) > 1:
            said = ", ".join(f"{shown(name)} {size}" for name, size in sizes.items())
            raise PrunebenchError(f"{path} line {line}: cells have other numbers of lines: {said}")
        plain = {name: " ".join(text.split("\n")) for name, text in row.items()}
        for number in range(max(sizes.values(), default=1)):
            found.append((line, plain | {name: lines[number] for name, lines in stacks.items()}))
    return found
