"""What a report is made of: sections of blocks, the same for the page and for Markdown.

A block holds plain texts. Whoever sets it as HTML or Markdown escapes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

NAME, NUMBER, WORDS = "name", "number", "words"  # of a table's columns: how they are set
GOOD, EVEN, BAD, OPEN = "good", "even", "bad", "open"  # what a mark says, beside its words


@dataclass(frozen=True)
class Mark:
    """A cell's text that stands out; ``to``: the anchor of a section that it leads to."""

    text: str
    tone: str = ""  # GOOD, EVEN, BAD, OPEN, or none
    to: str = ""


Cell = str | Mark


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: str
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Points:
    """A list; ``warning``: what a reader must know first."""

    items: tuple[str, ...]
    warning: bool = False
    kind: ClassVar[str] = "points"


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    pairs: dict[str, str]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Table:
    """A table: titles with how their column is set, and rows of cells."""

    columns: dict[str, str]  # title -> NAME, NUMBER or WORDS
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    folded: bool = False  # the page shows it on demand
    kind: ClassVar[str] = "table"

    @property
    def wordy(self) -> bool:
        """Whether it holds words alone, which a narrow page stacks."""
        return NUMBER not in self.columns.values()


@dataclass(frozen=True)
class Figure:
    """A picture of the experiment's folder; ``path`` is relative to it."""

    path: str
    alt: str
    caption: str
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    lines: tuple[str, ...]
    kind: ClassVar[str] = "commands"


Block = Text | Points | Facts | Table | Figure | Commands


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it; ``mark``: a verdict beside the heading."""

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

    def figures(self) -> Iterator[Figure]:
        """Every figure, in the order in which they stand."""
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Figure))


def plain(cell: Cell) -> str:
    """The text of a cell."""
    return cell.text if isinstance(cell, Mark) else cell
