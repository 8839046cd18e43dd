"""A document as Markdown: every text is escaped, figures are links."""

from __future__ import annotations

from functools import singledispatch
from urllib.parse import quote

from prunebench.report.document.elements import (
    NUMBER,
    CommandsBlock,
    Document,
    FactsBlock,
    FigureBlock,
    ListBlock,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.text.markup import markdown_rows, markdown_text


def markdown(document: Document) -> str:
    """Return the document as Markdown that ends in a newline."""
    parts = [f"# {markdown_text(document.title)}\n\n{markdown_text(document.lead)}\n"]
    return "\n".join([*parts, *map(_section, document.sections)])


def _section(section: Section) -> str:
    said = f"**{markdown_text(section.mark.text.capitalize())}.**\n\n" if section.mark else ""
    heading = f"{'#' * section.level} {markdown_text(section.title)}\n\n{said}"
    return heading + "\n".join(map(_block, section.blocks))


@singledispatch
def _block(block: object) -> str:
    """Return a block as Markdown that ends in a newline."""
    raise TypeError(f"no Markdown for {type(block).__name__}")


@_block.register
def _(block: TextBlock) -> str:
    return f"{markdown_text(block.words)}\n"


@_block.register
def _(block: ListBlock) -> str:
    sign = "> - " if block.warning else "- "
    return "".join(f"{sign}{markdown_text(item)}\n" for item in block.items)


@_block.register
def _(block: FactsBlock) -> str:
    return "".join(
        f"- {markdown_text(name)}: {markdown_text(value)}\n" for name, value in block.pairs.items()
    )


@_block.register
def _(block: TableBlock) -> str:
    kinds = list(block.columns.values())
    words = max((i + 1 for i, kind in enumerate(kinds) if kind != NUMBER), default=0)
    rows = [[str(cell) for cell in row] for row in block.rows]
    caption = f"{markdown_text(block.caption)}\n\n" if block.caption else ""
    # numbers behind the last column of words are set to the right
    return caption + markdown_rows(list(block.columns), rows, right_from=words)


@_block.register
def _(block: FigureBlock) -> str:
    alt = markdown_text(block.alt).replace("[", "\\[").replace("]", "\\]")
    return f"![{alt}]({quote(block.path)})\n\n{markdown_text(block.caption)}\n"


@_block.register
def _(block: CommandsBlock) -> str:
    return "".join(f"    {line}\n" for line in block.lines)
