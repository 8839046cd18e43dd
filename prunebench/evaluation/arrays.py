"""Read stored tensors as arrays, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from prunebench.errors import PrunebenchError
from prunebench.storage.files import require_plain
from prunebench.storage.manifest import unreadable

Arrays = dict[str, np.ndarray[Any, Any]]


def load_arrays(path: Path) -> Arrays:
    """Read a safetensors file; raise PrunebenchError where it is missing or damaged."""
    require_plain(path)
    try:
        arrays = load_file(path)
    # of a type that numpy lacks, as bfloat16 and its kin: TypeError, AttributeError …
    except Exception as error:
        raise PrunebenchError(unreadable(path, error)) from error
    # where a library of theirs is loaded numpy has them: what is refused must not hang on that
    foreign = [str(array.dtype) for array in arrays.values() if array.dtype.isbuiltin != 1]
    if foreign:
        raise PrunebenchError(unreadable(path, TypeError(f"numpy has no {foreign[0]}")))
    return arrays
