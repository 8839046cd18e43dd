"""Progress bars: on standard error, and only where that is a terminal; logs have none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Advance = Callable[[], None]


def shown() -> bool:
    """Whether there is somebody to look at a bar."""
    return sys.stderr.isatty()


@contextmanager
def bar(what: str, total: int | None = None) -> Iterator[Advance]:
    """A bar of ``total`` steps that vanishes at the end; yields what to call after each step.

    Without ``total`` it says only that something is being done, and for how long.
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
    """The items one by one, under a bar that counts them."""
    every = list(items)
    with bar(what, len(every)) as advance:
        for item in every:
            yield item
            advance()
