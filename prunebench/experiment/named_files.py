"""Files that settings name: they count by their content, not by their name."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.storage.files import sha256_file


def by_content(value: Any) -> Any:
    """Return a setting in which the hash of a file stands in place of its name.

    So other weights under the same name are other settings, and the same weights elsewhere are not.
    A text that names no file, as seen from the working directory, stays as it is.

    Args:
        value: any value that JSON can say; texts in lists and mappings count, keys do not.

    Raises:
        PrunebenchError: a file cannot be read.
    """
    if isinstance(value, dict):
        return {key: by_content(item) for key, item in value.items()}
    if isinstance(value, list):
        return [by_content(item) for item in value]
    if isinstance(value, str) and os.path.isfile(value):  # noqa: PTH113  # never raises
        said = os.stat(value)  # noqa: PTH116
        return {"sha256": _sha256(value, said.st_size, said.st_mtime_ns)}
    return value


@lru_cache
def _sha256(path: str, size: int, time: int) -> str:
    # every cell asks: a file of weights is read again only where it looks changed
    del size, time
    try:
        return sha256_file(path)
    except OSError as error:
        raise PrunebenchError(f"cannot read {path}: {error.strerror}") from error
