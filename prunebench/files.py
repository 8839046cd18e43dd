"""Files that are whole or absent: written aside, synced, renamed; read with their hash."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success sync it and rename it over ``path``.

    Whoever reads ``path`` sees the old content or the new, never a part of either.
    Raises PrunebenchError where the folder cannot be written or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise PrunebenchError(f"cannot write {path}: {error.strerror}") from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes the file private; results are for everyone whom the umask lets in
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise PrunebenchError(f"cannot write {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` (UTF-8) whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as JSON whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_text(path: str | Path) -> str:
    """Read UTF-8; a missing or damaged file raises PrunebenchError naming it."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise PrunebenchError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PrunebenchError(f"{path} is damaged: {error}") from error


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a missing or damaged one raises PrunebenchError naming it."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PrunebenchError(f"{path} is damaged: {error}") from error


def sha256_file(path: str | Path) -> str:
    """Hex SHA-256 of the content of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
