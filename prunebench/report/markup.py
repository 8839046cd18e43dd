"""A table of texts as Markdown and as LaTeX, every name escaped."""

from __future__ import annotations

import re
from dataclasses import dataclass

LATEX_HEAD = "% needs \\usepackage{booktabs,longtable}\n"
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "±": r"$\pm$", "−": "$-$", "–": "--", "×": r"$\times$", "[": "{[}", "]": "{]}",
}  # fmt: skip
# within a word "_" is no emphasis, and without "(" or "[" behind it "]" ends no link
_MARKDOWN = re.compile(r"([\\`*|<>~#]|(?<!\w)_|_(?!\w)|\](?=[(\[:]))")


@dataclass(frozen=True)
class Table:
    """Texts to be set as a table; the first column is left-aligned, the others right."""

    title: str
    caption: str
    header: list[str]
    rows: list[list[str]]
    long: bool = False  # may break over pages


def latex_text(text: str) -> str:
    """Escape for LaTeX; one pass, so that nothing is escaped twice."""
    return "".join(_LATEX.get(sign, sign) for sign in text.replace("\n", " "))


def markdown_text(text: str) -> str:
    """Escape what Markdown (and HTML inside it) would read as markup; one line."""
    return _MARKDOWN.sub(r"\\\1", text.replace("\n", " ").replace("&", "&amp;"))


def markdown_rows(header: list[str], rows: list[list[str]], right_from: int = 1) -> str:
    """A pipe table, columns padded so that the source reads well too."""
    texts = [[markdown_text(cell) for cell in row] for row in [header, *rows]]
    widths = [max(3, *(len(row[i]) for row in texts)) for i in range(len(header))]
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
    return f"## {title}\n\n{caption}\n\n{markdown_rows(table.header, table.rows)}"


def latex(table: Table) -> str:
    """A booktabs table; a longtable where it may break over pages."""
    columns = "l" + "r" * (len(table.header) - 1)
    head = _line(table.header)
    body = "\n".join(_line(row) for row in table.rows)
    caption = rf"\caption{{{latex_text(table.title)} ({latex_text(table.caption)}).}}"
    if table.long:
        return (
            "{\\small\n"
            f"\\begin{{longtable}}{{{columns}}}\n{caption}\\\\\n\\toprule\n{head}\n\\midrule\n"
            f"\\endfirsthead\n\\toprule\n{head}\n\\midrule\n\\endhead\n\\bottomrule\n\\endlastfoot\n"
            f"{body}\n\\end{{longtable}}}}\n"
        )
    return (
        f"\\begin{{table}}\n\\centering\\small\n{caption}\n\\begin{{tabular}}{{{columns}}}\n"
        f"\\toprule\n{head}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _line(row: list[str]) -> str:
    return " & ".join(map(latex_text, row)) + r" \\"
