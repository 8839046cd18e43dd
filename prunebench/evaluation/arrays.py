"""Stored tensors as arrays, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from prunebench.errors import PrunebenchError
from prunebench.storage.manifest import unreadable

Arrays = dict[str, np.ndarray[Any, Any]]


def load_arrays(path: Path) -> Arrays:
    """Read safetensors; a missing or damaged file raises PrunebenchError naming it."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise PrunebenchError(unreadable(path, error)) from error
