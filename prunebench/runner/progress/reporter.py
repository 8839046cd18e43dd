"""Reports of a job while it works: a line per cell, and on a terminal a bar over the grid."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prunebench.experiment.cell import Cell
from prunebench.experiment.plan import Plan
from prunebench.runner.progress.time_left import Like, Rates, efforts, seconds_of_pages
from prunebench.runner.progress.whole import following, job_name, noted, step_name
from prunebench.text import progress_bars
from prunebench.text.numbers import plural

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
    """Lines that say what is done of an experiment, and how long the rest may take.

    One counter counts its cells, the jobs that follow training, and what people read. What other
    jobs finish meanwhile counts too: the time left is that of the whole grid, with as many jobs at
    once as there were.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._noted = noted(plan.layout)
        self._pending = {effort.key: effort for effort in efforts(plan)}
        self.cells = len(self._pending)
        self._following = following(plan, self._noted)
        self.total = self.cells + len(self._following)
        self._rates = Rates()
        # amounts by what they are alike in: a large grid has few kinds of cells
        self._left: defaultdict[Like, float] = defaultdict(float)
        self._since: defaultdict[Like, float] = defaultdict(float)
        for effort in self._pending.values():
            self._left[effort.like] += effort.amount
        self.scan()
        self._since.clear()
        self._start = time.monotonic()

    @property
    def done(self) -> int:
        """How many cells were there at the last scan; with all of them, also what follows."""
        if self._pending:
            return self.cells - len(self._pending)
        return self.cells + sum(done() for done in self._following.values())

    def scan(self) -> None:
        """Look which cells were finished since the last scan."""
        begin = time.monotonic()
        for effort in list(self._pending.values()):
            if not self._noted.stands(effort.cell):
                continue
            del self._pending[effort.key]
            self._left[effort.like] -= effort.amount
            self._since[effort.like] += effort.amount
            if self._rates.wants(effort) and (record := effort.cell.record()):
                self._rates.add(effort, record)
        self._seen = time.monotonic()
        self.cost = self._seen - begin  # seconds that looking took

    def cell(self, cell: Cell, status: str) -> None:
        """Print that a cell is done, with its status."""
        # looking at every cell of a large grid takes a while: at most a twentieth of the time
        if time.monotonic() - self._seen > 20 * self.cost:
            self.scan()
        left = self.left()
        after = later(self.cells)
        said = "" if left is None else f" (about {duration(left)} of training left, then {after})"
        self._say(f"{cell.coordinates.label}: {status}{said}", beside_bar=True)

    def follows(self, name: str, said: str = "") -> None:
        """Print that something which follows training is done.

        Args:
            name: what it is called, as ``following`` has it.
            said: what is printed behind it; "": about how long the pages take that are left.
        """
        pages = [step_name(step) for step in self._noted.steps]
        if name in pages and not said:
            waiting = sum(not self._following[page]() for page in pages)
            seconds = seconds_of_pages(self.cells) * waiting / len(pages)
            said = f" (about {duration(seconds)} left)" if round(seconds) else ""
        self._say(f"{name}{said}", beside_bar=name not in pages)

    def begins(self, what: str) -> None:
        """Print that something which follows training begins, with what is done so far."""
        self._say(f"next: {what}", beside_bar=True)

    def _say(self, line: str, beside_bar: bool) -> None:
        # the bar of a terminal counts, and two counters would differ between two looks
        count = "" if beside_bar and progress_bars.shown() else f"[{self.done}/{self.total}] "
        print(f"{count}{line}", file=sys.stderr, flush=True)

    def left(self) -> float | None:
        """Return the seconds until the grid is done, at the pace so far; None: not known yet."""
        achieved, elapsed = self._seconds(self._since), time.monotonic() - self._start
        if achieved <= 0 or elapsed < 1:
            return None
        return self._seconds(self._left) * elapsed / achieved

    def _seconds(self, amounts: Mapping[Like, float]) -> float:
        return sum(self._rates.seconds(*item) or 0.0 for item in amounts.items())


class Phases:
    """Lines that say which part of a command runs, and of how many."""

    def __init__(self, total: int) -> None:
        self.total, self.begun = total, 0

    def begin(self, what: str) -> None:
        """Print that the next part begins."""
        self.begun += 1
        print(f"phase {self.begun} of {self.total}: {what}", file=sys.stderr, flush=True)


class JobsInTurn:
    """Lines of the jobs of a kind that follow training, with the time that the rest may take."""

    def __init__(self, plan: Plan, kind: str) -> None:
        self.kind = kind
        self._progress = Progress(plan)  # once: it looks at every cell of the grid
        self._total, self._over = len(plan.jobs[kind]), 0
        self._start = time.monotonic()

    def begin(self) -> None:
        """Print that jobs of this kind begin: a long one says nothing until it is done."""
        self._progress.begins(f"{self.kind}, {plural(self._total, 'job')}")

    def job(self, name: str) -> None:
        """Print that a job is done."""
        self._over += 1
        left = (time.monotonic() - self._start) / self._over * (self._total - self._over)
        said = f" (about {duration(left)} of {self.kind} left)" if round(left) else ""
        self._progress.scan()
        self._progress.follows(job_name(self.kind, name), said)


@contextmanager
def grid_bar(plan: Plan) -> Iterator[None]:
    """Show a bar over all of an experiment while the block computes them; on a terminal only."""
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
