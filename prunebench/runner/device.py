"""Device of a process, set up so that it repeats its bits."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Compute
from prunebench.runner import gpus

# of glibc's malloc.h; mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 1 << 30  # bytes of a block, and of free memory at the end of the heap


def device_of(compute: Compute) -> torch.device:
    """Return the device that the configuration names; ``auto`` is a GPU where there is one.

    Where there are several and none is named by its number (``cuda:1``), this process sees only
    one of them from now on.

    Raises:
        PrunebenchError: there is no usable GPU, or CUDA had started before one was chosen.
    """
    wanted = compute.device
    # first: asking whether there is a usable GPU starts CUDA
    claimed = wanted in ("auto", "cuda") and gpus.claim()
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise PrunebenchError(f"compute.device: {wanted}, but this machine has no usable GPU")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if claimed and wanted == "cuda":
        torch.cuda.init()  # until then the count is what the environment says, not what CUDA sees
        if torch.cuda.device_count() != 1:
            raise PrunebenchError(
                "this machine has several GPUs, and CUDA had started before this process took one"
                f" of them: set {gpus.VISIBLE} to one, such as 0"
            )
    return torch.device(wanted)


def set_up(compute: Compute) -> torch.device:
    """Fix threads and algorithms as the configuration says, and return the device.

    An operation without a deterministic algorithm runs all the same; ``named_operations`` says
    which.
    """
    device = device_of(compute)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats its bits only so
    torch.set_num_threads(compute.threads)
    _be_deterministic()
    # it would also write NaN into all new memory, to show reads of what was never written
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    if device.type == "cpu":
        _keep_memory()
    # of weights that a functional call hands to a recurrent layer, which are in many pieces
    warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
    return device


def _keep_memory() -> None:
    """Let glibc keep freed memory for the next batch, where it is the C library.

    It gives large blocks back to the system when they are freed, and the page faults of the next
    ones cost up to half of the processor time of an evaluation.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):  # others number their options otherwise
        for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            libc.mallopt(option, _KEPT)


def _be_deterministic() -> None:
    if "torch._inductor.config" in sys.modules:
        torch.use_deterministic_algorithms(True, warn_only=True)
        return
    # the same without importing the compiler, which takes as long as importing torch, and reads
    # the environment once something does import it
    os.environ.setdefault("TORCHINDUCTOR_DETERMINISTIC", "1")
    torch.set_deterministic_debug_mode("warn")


# as torch words it: "adaptive_avg_pool2d_backward_cuda does not have a deterministic …"
_NAMED = re.compile(r"(\S+) does not have a deterministic implementation")
_UNFIXED = re.compile(r"Deterministic behavior was enabled .* but this operation is not")


@contextmanager
def named_operations(found: set[str]) -> Iterator[None]:
    """Add to ``found`` the operations that torch calls not deterministic, instead of a warning.

    Other warnings are shown as usual.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=_NAMED.pattern)
        warnings.filterwarnings("always", message=_UNFIXED.pattern)
        others = warnings.showwarning

        def show(message: Warning | str, *rest: Any, **more: Any) -> None:
            text = str(message)
            if named := _NAMED.match(text):
                found.add(named[1])
            elif _UNFIXED.match(text):
                found.add("cuBLAS")
            else:
                others(message, *rest, **more)

        warnings.showwarning = show
        yield
