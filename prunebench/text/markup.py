"""Tables of texts as Markdown and as LaTeX, every text escaped.

The LaTeX fits its page. A table wider than a column spans both (``table*``, which is ``table`` in
a document of one column), one with many columns is split into blocks below each other, one with
many rows breaks over pages, and what is still too wide is scaled down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

# Our own instead of pandas' Styler.to_latex or tabulate: neither splits or scales a table, and they
# escape neither the signs below, such as ±, nor a "[" that LaTeX would read as an argument.
LATEX_HEAD = "% needs \\usepackage{booktabs,graphicx,longtable}\n"
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "±": r"$\pm$", "−": "$-$", "–": "--", "×": r"$\times$", "[": "{[}", "]": "{]}",
    "₂": "$_2$", "²": "$^2$", "≤": r"$\leq$", "≥": r"$\geq$", "·": r"$\cdot$", "→": r"$\to$",
    "ρ": r"$\rho$", "α": r"$\alpha$", "†": r"$^{\dagger}$", "…": r"\dots{}", "\u00a0": "~",
}  # fmt: skip
ACROSS = 8  # columns beside the first one; more stand in a block of their own
ROWS = 45  # more do not fit a page
COLUMN = 252  # points (1/72.27 inch): 3.5 inches, a column of a paper
SIGN, GAP = 3.6, 6.0  # points: a sign of \footnotesize on average, and between two columns
# within a word "_" is no emphasis, and without "(" or "[" behind it "]" ends no link
_MARKDOWN = re.compile(r"([\\`*|<>~#]|(?<!\w)_|_(?!\w)|\](?=[(\[:]))")


@dataclass(frozen=True)
class MarkedText:
    """A text that stands out: ``best`` sets its first word in bold, ``tied`` adds a dagger."""

    text: str
    best: bool = False
    tied: bool = False


TextRow = Sequence["str | MarkedText"]


@dataclass(frozen=True)
class PrintedTable:
    """A table of texts; the first column is left-aligned, the others right-aligned."""

    title: str
    caption: str
    header: list[str]
    rows: Sequence[TextRow]
    long: bool = False  # may break over pages
    over: str = ""  # what stands over all columns but the first
    label: str = ""  # to refer to it in LaTeX: tab:<label>


def emphasised(tables: Sequence[PrintedTable], names: Collection[str]) -> list[PrintedTable]:
    """Return the tables with the first cell in bold of each row that begins with one of the names.

    Args:
        tables: the tables.
        names: what stands out: whole words at the beginning of a row.
    """
    return [
        replace(table, rows=[_emphasised(row, names) for row in table.rows]) for table in tables
    ]


def _emphasised(row: TextRow, names: Collection[str]) -> TextRow:
    first, *rest = row
    if not isinstance(first, str) or first.partition(" ")[0] not in names:
        return row
    return [MarkedText(first, best=True), *rest]


def latex_text(text: str) -> str:
    """Return the text escaped for LaTeX, in one pass, on one line that does not begin with %."""
    line = text.replace("\n", " ").replace(" %", "\u00a0%")
    return "".join(_LATEX.get(sign, sign) for sign in line)


def markdown_text(text: str) -> str:
    """Return the text escaped for Markdown (and for HTML inside it), on one line."""
    return _MARKDOWN.sub(r"\\\1", text.replace("\n", " ").replace("&", "&amp;"))


def markdown_rows(header: list[str], rows: list[list[str]], right_from: int = 1) -> str:
    """Return a pipe table, padded so that its source reads well too.

    Args:
        header: the titles.
        rows: the texts, which are escaped here.
        right_from: the first column that is right-aligned.
    """
    return _piped([[markdown_text(cell) for cell in row] for row in [header, *rows]], right_from)


def _piped(texts: list[list[str]], right_from: int) -> str:
    """Return a pipe table of texts that are escaped already; the first row is the header."""
    widths = [max(3, *(len(row[i]) for row in texts)) for i in range(len(texts[0]))]
    lines = ["| " + " | ".join(_padded(row, widths, right_from)) + " |" for row in texts]
    rule = ["-" * (w - 1) + (":" if i >= right_from else "-") for i, w in enumerate(widths)]
    return "\n".join([lines[0], "| " + " | ".join(rule) + " |", *lines[1:]]) + "\n"


def _padded(row: list[str], widths: list[int], right_from: int) -> list[str]:
    return [
        cell.rjust(width) if i >= right_from else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def markdown(table: PrintedTable) -> str:
    """Return heading, caption and pipe table."""
    title, caption = markdown_text(table.title), markdown_text(table.caption)
    rows = [[_marked(markdown_text, cell, _MARKED) for cell in row] for row in table.rows]
    lines = [[markdown_text(name) for name in table.header], *rows]
    return f"## {title}\n\n{caption}\n\n{_piped(lines, 1)}"


_MARKED = ("**{}**", " †")
_SET = (r"\textbf{{{}}}", r"\rlap{$^{\dagger}$}")


def _marked(escape: Callable[[str], str], cell: str | MarkedText, signs: tuple[str, str]) -> str:
    """Return a cell's text, escaped, with the signs for best and tied."""
    if isinstance(cell, str):
        return escape(cell)
    first, space, rest = escape(cell.text).partition(" ")
    bold = signs[0].format(first) if cell.best else first
    return f"{bold}{space}{rest}{signs[1] if cell.tied else ''}"


def latex(table: PrintedTable) -> str:
    """Return a booktabs table that fits its page; a longtable where it may break over pages."""
    blocks = _blocks(table)
    if table.long or len(blocks) * len(table.rows) > ROWS:
        return _long(table)
    star = "*" if max(map(_width, blocks)) > COLUMN else ""
    set_blocks = "\\par\\medskip\n".join(map(_tabular, blocks))
    gap = 5 if star else 3  # points on each side of a column
    return (
        f"\\begin{{table{star}}}[tb]\n\\centering\\footnotesize\\setlength{{\\tabcolsep}}{{{gap}pt}}\n"
        f"{_caption(table)}\n{set_blocks}\\end{{table{star}}}\n"
    )


def _caption(table: PrintedTable) -> str:
    label = rf"\label{{tab:{table.label}}}" if table.label else ""
    return rf"\caption{{{latex_text(table.title)} ({latex_text(table.caption)}).{label}}}"


def _blocks(table: PrintedTable) -> list[PrintedTable]:
    """Return the table in blocks of at most ACROSS columns, each with the first column."""
    count = len(table.header) - 1
    if table.long or count <= ACROSS:
        return [table]
    each = -(-count // -(-count // ACROSS))
    starts = range(1, count + 1, each)
    return [
        replace(
            table,
            header=[table.header[0], *table.header[at : at + each]],
            rows=[[row[0], *row[at : at + each]] for row in table.rows],
        )
        for at in starts
    ]


def _width(table: PrintedTable) -> float:
    """Return roughly how wide the table is, in points."""
    lines = [table.header, *([_text(cell) for cell in row] for row in table.rows)]
    longest = [max(len(line[i]) for line in lines) for i in range(len(table.header))]
    return sum(longest) * SIGN + len(longest) * GAP


def _text(cell: str | MarkedText) -> str:
    return cell.text if isinstance(cell, MarkedText) else cell


def _tabular(table: PrintedTable) -> str:
    """Return a tabular that is scaled down to the line where it is wider."""
    return (
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        f"\\begin{{tabular}}{_columns(table)}\n{_head(table)}"
        f"{_body(table)}\\bottomrule\n\\end{{tabular}}}}\n"
    )


def _long(table: PrintedTable) -> str:
    return (
        "{\\footnotesize\\setlength{\\tabcolsep}{3pt}\n"
        f"\\begin{{longtable}}{_columns(table)}\n{_caption(table)}\\\\\n{_head(table)}\\endfirsthead\n"
        f"{_head(table)}\\endhead\n\\bottomrule\n\\endlastfoot\n{_body(table)}\\end{{longtable}}}}\n"
    )


def _columns(table: PrintedTable) -> str:
    return "{@{}l" + "r" * (len(table.header) - 1) + "@{}}"


def _head(table: PrintedTable) -> str:
    """Return the header between rules, with the line above it that spans all columns but one."""
    over, count = "", len(table.header) - 1
    if table.over and count:
        said = latex_text(table.over)
        over = f" & \\multicolumn{{{count}}}{{c}}{{{said}}} \\\\\n\\cmidrule(l){{2-{count + 1}}}\n"
    return f"\\toprule\n{over}{_line(table.header)}\\midrule\n"


def _body(table: PrintedTable) -> str:
    return "".join(map(_line, table.rows))


def _line(row: TextRow) -> str:
    return " & ".join(_marked(latex_text, cell, _SET) for cell in row) + " \\\\\n"


def files(name: str, tables: Sequence[PrintedTable]) -> dict[str, str]:
    """Return the Markdown and LaTeX files of the tables of one subject, by file name."""
    return {
        f"{name}.md": "\n".join(map(markdown, tables)),
        f"{name}.tex": LATEX_HEAD + "\n".join(map(latex, tables)),
    }
