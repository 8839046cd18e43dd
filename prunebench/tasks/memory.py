"""How much memory a process may use."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup/memory.max")  # of a container; "max" where there is none


def memory() -> int:
    """Return bytes: the least of the machine's memory, its container's and ``ulimit -v``."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    with suppress(OSError, ValueError):
        limits.append(int(_CGROUP.read_text(encoding="ascii")))
    return min(limits)


def gib(size: float) -> str:
    """Return a number of bytes as text in GiB."""
    return f"{size / 2**30:,.1f}"
