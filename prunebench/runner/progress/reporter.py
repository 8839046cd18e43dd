"""Reports of a job while it works: a line per cell, and on a terminal a bar over the grid."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prunebench.experiment.cell import Cell
from prunebench.experiment.plan import Plan
from prunebench.runner.progress.time_left import Effort, Rates, efforts, seconds_of_pages
from prunebench.text import progress_bars

_LOOK = 2.0  # seconds between two looks of the bar at the files, at least


def duration(seconds: float) -> str:
    """Return a time as text: ``1 min 35 s`` for 95."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def later(cells: int) -> str:
    """Return what follows the training of so many cells, and about how long its pages take."""
    return f"measures, and pages in about {duration(seconds_of_pages(cells))}"


class Progress:
    """Lines that say what is done of a grid, and how long the rest may take.

    The cells that other jobs finish meanwhile count too: the time left is that of the whole grid,
    with as many jobs at once as there were.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._pending = {effort.key: effort for effort in efforts(plan)}
        self.total = len(self._pending)
        self._rates = Rates()
        self._since: list[Effort] = []
        self.scan()
        self._since.clear()
        self._start = time.monotonic()

    @property
    def done(self) -> int:
        """How many cells were there at the last scan."""
        return self.total - len(self._pending)

    def scan(self) -> None:
        """Look which cells were finished since the last scan."""
        begin = time.monotonic()
        for effort in [effort for effort in self._pending.values() if effort.done]:
            del self._pending[effort.key]
            self._since.append(effort)
            if record := effort.cell.record():
                self._rates.add(effort, record)
        self._seen = time.monotonic()
        self.cost = self._seen - begin  # seconds that looking took

    def cell(self, cell: Cell, status: str) -> None:
        """Print that a cell is done, with its status."""
        # looking at every cell of a large grid takes a while: at most a twentieth of the time
        if time.monotonic() - self._seen > 20 * self.cost:
            self.scan()
        left = self.left()
        after = later(self.total)
        said = "" if left is None else f" (about {duration(left)} of training left, then {after})"
        # the bar of a terminal counts, and two counters would differ between two looks
        count = "" if progress_bars.shown() else f"[{self.done}/{self.total}] "
        line = f"{count}{cell.coordinates.label}: {status}{said}"
        print(line, file=sys.stderr, flush=True)

    def left(self) -> float | None:
        """Return the seconds until the grid is done, at the pace so far; None: not known yet."""
        achieved, elapsed = self._seconds(self._since), time.monotonic() - self._start
        if achieved <= 0 or elapsed < 1:
            return None
        return self._seconds(list(self._pending.values())) * elapsed / achieved

    def _seconds(self, cells: list[Effort]) -> float:
        return sum(self._rates.seconds(effort) or 0.0 for effort in cells)


class Phases:
    """Lines that say which part of a command runs, and of how many."""

    def __init__(self, total: int) -> None:
        self.total, self.begun = total, 0

    def begin(self, what: str) -> None:
        """Print that the next part begins."""
        self.begun += 1
        print(f"phase {self.begun} of {self.total}: {what}", file=sys.stderr, flush=True)


class StepProgress:
    """Lines that count the jobs of what follows training, with the time that the rest may take."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0
        self._start = time.monotonic()

    def job(self, name: str) -> None:
        """Print that a job is done."""
        self.done += 1
        left = (time.monotonic() - self._start) / self.done * (self.total - self.done)
        said = f" (about {duration(left)} of {self.what} left)" if round(left) else ""
        line = f"[{self.done}/{self.total}] {self.what}: {name}{said}"
        print(line, file=sys.stderr, flush=True)


@contextmanager
def grid_bar(plan: Plan) -> Iterator[None]:
    """Show a bar over all cells of a grid while the block computes them; on a terminal only."""
    if not progress_bars.shown():
        yield
        return
    progress, over = Progress(plan), threading.Event()
    with progress_bars.bar(plan.experiment.experiment, progress.total) as advance:

        def look() -> None:
            shown = 0
            while True:
                for _ in range(progress.done - shown):
                    advance()
                shown = progress.done
                if over.wait(max(_LOOK, 20 * progress.cost)):
                    return
                progress.scan()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
