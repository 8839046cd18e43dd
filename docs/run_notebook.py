"""Run the Python of notebook.md in order, and write below each block what it shows.

    python docs/run_notebook.py

One namespace serves all blocks. What a block prints, and the value of its last line, stand below it
as text; a figure as a picture beside the page. Everything else that it writes is thrown away.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
PAGE = "notebook.md"
# a block, and what was written below it before
_BLOCK = re.compile(
    r"```python\n(?P<code>.*?)```\n"
    r"(?:\n```text\n.*?```\n)?(?:\n!\[(?P<alt>[^\]]*)\]\(notebook-\d+\.png\)\n)?",
    re.DOTALL,
)
WIDTH, COLUMNS, ROWS = 100, 10, 8  # of a table that is shown: letters, columns, rows


def executed(page: str) -> tuple[str, dict[str, bytes]]:
    """Return a page with what its blocks show now, and its pictures by file name.

    Args:
        page: Markdown; a description that a picture had is kept.
    """
    import pandas as pd

    space: dict[str, Any] = {"__name__": "__main__"}
    pictures: dict[str, bytes] = {}

    def renewed(found: re.Match[str]) -> str:
        said, value = _run(found["code"], space)
        parts = [f"```python\n{found['code']}```\n"]
        if hasattr(value, "savefig"):
            name = f"notebook-{len(pictures) + 1}.png"
            memory = io.BytesIO()
            value.savefig(memory, format="png", dpi=120, metadata={"Software": None})
            pictures[name] = memory.getvalue()
            value = None
            drawn = f"\n![{found['alt'] or 'The figure'}]({name})\n"
        else:
            drawn = ""
        shown = said + ("" if value is None else f"{value!r}\n")
        if shown:
            parts.append(f"\n```text\n{shown}```\n")
        return "".join([*parts, drawn])

    options = ("display.width", WIDTH, "display.max_columns", COLUMNS, "display.max_rows", ROWS)
    with pd.option_context(*options, "display.precision", 3):
        return _BLOCK.sub(renewed, page), pictures


def _run(code: str, space: dict[str, Any]) -> tuple[str, Any]:
    """Run a block; return what it printed, and the value of its last line if that is one."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    # bars and warnings go to the terminal of whoever runs this
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, PAGE, "exec"), space)  # noqa: S102  # the page is our own
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), PAGE, "eval"), space)  # noqa: S307
    return printed.getvalue(), value


@contextlib.contextmanager
def elsewhere() -> Any:
    """Work in a folder that is removed afterwards, on one thread."""
    import torch

    before, threads = Path.cwd(), torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
            torch.set_num_threads(threads)


def main() -> None:
    """Renew the page and its pictures."""
    sys.path.insert(0, str(DOCS.parent))
    with elsewhere():
        text, pictures = executed((DOCS / PAGE).read_text(encoding="utf-8"))
    (DOCS / PAGE).write_text(text, encoding="utf-8")
    for name, content in pictures.items():
        (DOCS / name).write_bytes(content)


if __name__ == "__main__":
    main()
