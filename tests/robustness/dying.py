"""Run a grid again and again in children that die at a write: a program for test_writes.

Its arguments: how many children at most, and at which write they die at the latest.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

import torch

from prunebench.cli.app import plan_of
from prunebench.runner import baselines, curves, pipeline, probes  # noqa: F401  # once, not in every child

STATUS = 9


def child(config: Path, dies_at: int, before: bool) -> int:
    """The grid in a child that ends itself at its ``dies_at``-th rename; its exit status.

    ``before``: with the file written and not yet in its place; otherwise right after.
    """
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    rename, count = Path.replace, 0

    def replace(self: Path, target: Any) -> Path:
        nonlocal count
        count += 1
        if count == dies_at and before:
            os._exit(STATUS)
        moved = rename(self, target)
        if count == dies_at:
            os._exit(STATUS)
        return moved

    Path.replace = replace  # type: ignore[method-assign]
    try:
        pipeline.run(plan_of(config))
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Let children die until one is done; say how many there were."""
    torch.set_num_threads(1)
    runs, latest = map(int, sys.argv[1:])
    draw, deaths = random.Random(3), 0
    for _ in range(runs):
        status = child(Path("tiny.yaml"), draw.randint(1, latest), draw.random() < 0.5)
        if status == 0:
            break
        assert status == STATUS, status
        deaths += 1
    assert child(Path("tiny.yaml"), 0, before=False) == 0
    print(f"{deaths} deaths")


if __name__ == "__main__":
    sys.exit(main())
