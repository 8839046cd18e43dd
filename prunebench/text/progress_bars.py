"""Progress bars on standard error, shown in a terminal alone; logs have none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Advance = Callable[[], None]


def shown() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr.isatty()


@contextmanager
def bar(what: str, total: int | None = None) -> Iterator[Advance]:
    """Show a bar that vanishes at the end; yield the function to call after each step.

    Args:
        what: the text beside the bar.
        total: the number of steps; None shows the elapsed time alone.
    """
    if not shown():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    counted = [MofNCompleteColumn()] if total is not None else []
    columns = [TextColumn("{task.description}"), BarColumn(), *counted, TimeElapsedColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def watched(items: Iterable[Item], what: str) -> Iterator[Item]:
    """Yield the items one by one, under a bar that counts them."""
    every = list(items)
    with bar(what, len(every)) as advance:
        for item in every:
            yield item
            advance()
