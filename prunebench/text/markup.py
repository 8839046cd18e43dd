"""A table of texts as Markdown and as LaTeX, every name escaped.

The LaTeX fits its page: a table that is wider than a column spans both (``table*``, which in a
document of one column is ``table``), one with many columns stands in several blocks below each
other, one with many rows may break over pages, and what is still too wide is scaled down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

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
class Cell:
    """A text that stands out: ``best`` sets its first word in bold, ``tied`` adds a dagger."""

    text: str
    best: bool = False
    tied: bool = False


Cells = Sequence["str | Cell"]


@dataclass(frozen=True)
class Table:
    """Texts to be set as a table; the first column is left-aligned, the others right."""

    title: str
    caption: str
    header: list[str]
    rows: Sequence[Cells]
    long: bool = False  # may break over pages
    over: str = ""  # what stands over all columns but the first
    label: str = ""  # to refer to it in LaTeX: tab:<label>


def latex_text(text: str) -> str:
    """Escape for LaTeX; one pass, so that nothing is escaped twice. No line begins with %."""
    line = text.replace("\n", " ").replace(" %", "\u00a0%")
    return "".join(_LATEX.get(sign, sign) for sign in line)


def markdown_text(text: str) -> str:
    """Escape what Markdown (and HTML inside it) would read as markup; one line."""
    return _MARKDOWN.sub(r"\\\1", text.replace("\n", " ").replace("&", "&amp;"))


def markdown_rows(header: list[str], rows: list[list[str]], right_from: int = 1) -> str:
    """A pipe table, columns padded so that the source reads well too."""
    return _piped([[markdown_text(cell) for cell in row] for row in [header, *rows]], right_from)


def _piped(texts: list[list[str]], right_from: int) -> str:
    """A pipe table of texts that are escaped; the first row is the header."""
    widths = [max(3, *(len(row[i]) for row in texts)) for i in range(len(texts[0]))]
    lines = ["| " + " | ".join(_padded(row, widths, right_from)) + " |" for row in texts]
    rule = ["-" * (w - 1) + (":" if i >= right_from else "-") for i, w in enumerate(widths)]
    return "\n".join([lines[0], "| " + " | ".join(rule) + " |", *lines[1:]]) + "\n"


def _padded(row: list[str], widths: list[int], right_from: int) -> list[str]:
    return [
        cell.rjust(width) if i >= right_from else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def markdown(table: Table) -> str:
    """Heading, caption and pipe table."""
    title, caption = markdown_text(table.title), markdown_text(table.caption)
    rows = [[_marked(markdown_text, cell, _MARKED) for cell in row] for row in table.rows]
    lines = [[markdown_text(name) for name in table.header], *rows]
    return f"## {title}\n\n{caption}\n\n{_piped(lines, 1)}"


_MARKED = ("**{}**", " †")
_SET = (r"\textbf{{{}}}", r"\rlap{$^{\dagger}$}")


def _marked(escape: Callable[[str], str], cell: str | Cell, signs: tuple[str, str]) -> str:
    """A cell's text, escaped, with the signs for best and tied."""
    if isinstance(cell, str):
        return escape(cell)
    first, space, rest = escape(cell.text).partition(" ")
    bold = signs[0].format(first) if cell.best else first
    return f"{bold}{space}{rest}{signs[1] if cell.tied else ''}"


def latex(table: Table) -> str:
    """A booktabs table that fits its page; a longtable where it may break over pages."""
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


def _caption(table: Table) -> str:
    label = rf"\label{{tab:{table.label}}}" if table.label else ""
    return rf"\caption{{{latex_text(table.title)} ({latex_text(table.caption)}).{label}}}"


def _blocks(table: Table) -> list[Table]:
    """The table in blocks of at most ACROSS columns, the first column in each."""
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


def _width(table: Table) -> float:
    """About how wide it is, in points."""
    lines = [table.header, *([_text(cell) for cell in row] for row in table.rows)]
    longest = [max(len(line[i]) for line in lines) for i in range(len(table.header))]
    return sum(longest) * SIGN + len(longest) * GAP


def _text(cell: str | Cell) -> str:
    return cell.text if isinstance(cell, Cell) else cell


def _tabular(table: Table) -> str:
    """A tabular, scaled down to the line where it is wider."""
    columns = "@{}l" + "r" * (len(table.header) - 1) + "@{}"
    body = "\n".join(map(_line, table.rows))
    return (
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{_over(table)}{_line(table.header)}\n\\midrule\n"
        f"{body}\n\\bottomrule\n\\end{{tabular}}}}\n"
    )


def _over(table: Table) -> str:
    """The line above the header, with a rule below what it spans."""
    count = len(table.header) - 1
    if not table.over or not count:
        return ""
    said = latex_text(table.over)
    return f" & \\multicolumn{{{count}}}{{c}}{{{said}}} \\\\\n\\cmidrule(l){{2-{count + 1}}}\n"


def _long(table: Table) -> str:
    columns = "@{}l" + "r" * (len(table.header) - 1) + "@{}"
    head = f"\\toprule\n{_over(table)}{_line(table.header)}\n\\midrule\n"
    body = "\n".join(map(_line, table.rows))
    return (
        "{\\footnotesize\\setlength{\\tabcolsep}{3pt}\n"
        f"\\begin{{longtable}}{{{columns}}}\n{_caption(table)}\\\\\n{head}\\endfirsthead\n"
        f"{head}\\endhead\n\\bottomrule\n\\endlastfoot\n{body}\n\\end{{longtable}}}}\n"
    )


def _line(row: Cells) -> str:
    return " & ".join(_marked(latex_text, cell, _SET) for cell in row) + r" \\"


def files(name: str, tables: Sequence[Table]) -> dict[str, str]:
    """The tables of one subject as ``<name>.md`` and ``<name>.tex``: names of files and texts."""
    return {
        f"{name}.md": "\n".join(map(markdown, tables)),
        f"{name}.tex": LATEX_HEAD + "\n".join(map(latex, tables)),
    }
