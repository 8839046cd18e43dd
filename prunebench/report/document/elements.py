"""The elements of a report: sections of blocks, the same for the page and for Markdown.

A block holds plain texts; the writer of HTML or Markdown escapes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunebench.text.markup import PrintedTable

NAME, NUMBER, WORDS = "name", "number", "words"  # of a table's columns: how they are set
GOOD, EVEN, BAD, OPEN = "good", "even", "bad", "open"  # what a mark says, beside its words


@dataclass(frozen=True)
class Mark:
    """A text that stands out in a cell; ``to`` is the anchor of a section that it links to."""

    text: str
    tone: str = ""  # GOOD, EVEN, BAD, OPEN, or none
    to: str = ""

    def __str__(self) -> str:
        """Return the text alone."""
        return self.text


CellText = str | Mark


@dataclass(frozen=True)
class TextBlock:
    """A paragraph."""

    words: str
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class ListBlock:
    """A list; ``warning`` marks it as a warning to the reader."""

    items: tuple[str, ...]
    warning: bool = False
    kind: ClassVar[str] = "points"


@dataclass(frozen=True)
class FactsBlock:
    """Names with their values."""

    pairs: dict[str, str]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class TableBlock:
    """A table: titles with the kind of their column, and rows of cells."""

    columns: dict[str, str]  # title -> NAME, NUMBER or WORDS
    rows: Sequence[Sequence[CellText]]
    caption: str = ""
    folded: bool = False  # the page shows it on demand
    kind: ClassVar[str] = "table"

    @classmethod
    def printed(cls, table: PrintedTable, folded: bool = False) -> TableBlock:
        """Return a table of a paper as a block: a name, then numbers."""
        columns = {title: NUMBER if i else NAME for i, title in enumerate(table.header)}
        rows = [[str(cell) for cell in row] for row in table.rows]
        return cls(columns, rows, f"{table.title}: {table.caption}.", folded)

    @property
    def wordy(self) -> bool:
        """Return whether all columns hold words; a narrow page stacks the cells of such a table."""
        return NUMBER not in self.columns.values()


@dataclass(frozen=True)
class FigureBlock:
    """A picture of the experiment's folder; ``path`` is relative to that folder."""

    path: str
    alt: str
    caption: str
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True)
class CommandsBlock:
    """Lines for a shell."""

    lines: tuple[str, ...]
    kind: ClassVar[str] = "commands"


Block = TextBlock | ListBlock | FactsBlock | TableBlock | FigureBlock | CommandsBlock


@dataclass(frozen=True)
class Section:
    """A heading and the blocks below it; ``mark`` is a verdict beside the heading."""

    title: str
    anchor: str
    blocks: list[Block]
    level: int = 2
    mark: Mark | None = None


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    lead: str
    sections: list[Section]

    def figures(self) -> Iterator[FigureBlock]:
        """Yield every figure, in the order of the document."""
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, FigureBlock))
