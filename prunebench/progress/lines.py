"""How far a grid is: counted from the cells that are there, so that every job sees all of them."""

from __future__ import annotations

import sys
import time

from prunebench.jobs import Baseline, expected_epochs
from prunebench.layout import RECORD, Layout
from prunebench.plan import Plan


def duration(seconds: float) -> str:
    """``95`` is ``1 min 35 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """Prints a line per cell: what was done, how much is done, and how long the rest may take."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._pending = dict(_cells(plan))
        self._total = len(self._pending)
        self._start, self._seen, self._cost = time.monotonic(), 0.0, 0.0
        self._scan()
        self._work = sum(self._pending.values())  # what was left when this job began

    def _scan(self) -> None:
        begin = time.monotonic()
        there = [c for c in self._pending if (self.plan.layout.cell(*c) / RECORD).exists()]
        for cell in there:
            del self._pending[cell]
        self._seen = time.monotonic()
        self._cost = self._seen - begin

    def cell(self, baseline: Baseline, method: str, sparsity: float, status: str) -> None:
        """Say that a cell is done."""
        # looking at every cell of a large grid takes a while: at most a twentieth of the time
        if time.monotonic() - self._seen > 20 * self._cost:
            self._scan()
        task, regime, model, seed = baseline.key
        done = self._total - len(self._pending)
        what = f"{task} {regime} {model} seed {seed} {method}"
        at = f" {100 * sparsity:.4g} %" if sparsity else ""
        line = f"[{done}/{self._total}] {what}{at}: {status}{self._left()}"
        print(line, file=sys.stderr, flush=True)

    def _left(self) -> str:
        left = sum(self._pending.values())
        achieved, elapsed = self._work - left, time.monotonic() - self._start
        if achieved <= 0 or elapsed < 1:
            return ""
        return f" (about {duration(left * elapsed / achieved)} of training left)"


def _cells(plan: Plan) -> list[tuple[tuple[str, str, str, int, str, float], float]]:
    """Every cell of the grid with its expected training, in epochs."""
    cells = []
    for baseline in plan.baselines:
        cells.append(((*baseline.key, "dense", 0.0), float(baseline.training.epochs)))
        for method in plan.experiment.methods:
            work = expected_epochs(method, baseline.training)
            for sparsity in plan.sparsities(method):
                cells.append(((*baseline.key, method.name, sparsity), work))
    return cells


def counts(plan: Plan) -> dict[str, int]:
    """How many cells of the grid are there and how many are missing."""
    layout: Layout = plan.layout
    there = sum((layout.cell(*cell) / RECORD).exists() for cell, _ in _cells(plan))
    return {"done": there, "total": plan.cell_count, "missing": plan.cell_count - there}
