"""One of several GPUs for each process: Snakemake counts them and does not choose (its issue 281).

A process takes the lowest free place and keeps it until it ends, however that is: a lock of the
operating system on an empty file, in a local folder. All GPUs are taken once before one is taken
twice, so that where n processes run at a time, at most ceil(n / GPUs) share one. Processes of other
users, and of containers with a folder of their own, are not seen.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from urllib.parse import quote

import torch
from filelock import FileLock, Timeout

from prunebench.errors import Unwritable
from prunebench.storage.lock import process_lock

VISIBLE = "CUDA_VISIBLE_DEVICES"
_HELD: list[FileLock] = []  # a lock to which nobody refers is released


def claim() -> bool:
    """Let this process and its children see one GPU alone, where several are visible.

    To be called before CUDA starts, which reads what is visible once; whether it still could is
    for the caller to see. True where it changed something: never without GPUs, with one, or where
    the environment already names one, as Slurm does. Raises Unwritable where no lock can be had.
    """
    names = visible()
    if len(names) < 2:
        return False
    os.environ[VISIBLE] = take(names, Path(tempfile.gettempdir()))
    return True


def visible() -> list[str]:
    """The GPUs that this process may see, named as the environment names them, else by number."""
    if torch.version.cuda is None:
        return []
    given = os.environ.get(VISIBLE)
    if given is not None and given.startswith("MIG-"):
        # CUDA counts one of them, and would start to do so
        return [name.strip() for name in given.split(",")]
    # asks the driver's library (NVML), so that CUDA does not start; CUDA ends a list at the first
    # name that it does not know
    there = torch.cuda.device_count()
    names = map(str, range(there)) if given is None else given.split(",")
    return [name.strip() for name in names][:there]


def take(names: Sequence[str], folder: Path) -> str:
    """The name whose place this process has taken, among those that share ``folder``."""
    start = f"prunebench-{os.getuid()}-gpu"
    places = ((name, place) for place in count() for name in names)
    return next(
        name
        for name, place in places
        if _locked(folder / f"{start}-{quote(name, safe='')}-{place}.lock")
    )


def _locked(path: Path) -> bool:
    """Lock a file for as long as this process lives; False where another process has it."""
    lock = process_lock(path, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        return False
    except OSError as error:
        raise Unwritable(
            f"cannot lock {path}, by which jobs share GPUs: {error.strerror}: set TMPDIR to a local"
            f" folder that you can write, or {VISIBLE} to one GPU"
        ) from error
    _HELD.append(lock)
    return True
