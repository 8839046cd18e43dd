"""Write files whole or not at all, and read JSON files that carry a hash of their content."""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, Unwritable
from prunebench.storage import links

SEAL = "sha256"  # of the rest of a JSON file
LARGEST = 2**28  # bytes of a text that is read as a whole
_HALF = re.compile(r"\\ud[89a-f]", re.I)  # of a pair of codes, which JSON may write alone
_TEMPORARY = len("..xxxxxxxx")  # what mkstemp puts around a name


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the system inside the block into the message that ``path`` is unwritable.

    Raises:
        Unwritable: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        raise Unwritable(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success sync it and rename it to ``path``.

    Whoever reads ``path`` sees the old content or the new one, never a part of either, even after a
    power failure. Temporary files that killed processes left are removed.

    Raises:
        Unwritable: the disk is full, or the folder may not be written.
        PrunebenchError: a link leads out of the experiment's folder.
    """
    path = Path(path)
    links.refuse(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone_in(path.parent):
            _remove_left(path)
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            with suppress(OSError):  # some file systems know no locks
                # Says that a process writes it. Not by filelock, as other locks are: the file is
                # open as it is, and every command writes files, but few need the library otherwise.
                fcntl.flock(handle, fcntl.LOCK_EX)
    temporary = Path(name)
    try:
        with writing(path):
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            allow_as_usual(temporary, 0o666)
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def allow_as_usual(path: Path, mode: int) -> None:
    """Open what tempfile made private to all whom the umask allows: results are for them."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(mode & ~umask)


def put_folder(made: Path, folder: Path) -> None:
    """Rename a folder; what its new name stands for goes aside, whole, and is removed.

    Args:
        made: on the same disk; what is removed lies beside it meanwhile.
        folder: its new name; of a link, the link is replaced.

    Raises:
        OSError: it cannot be renamed.
        PrunebenchError: a link leads out of the experiment's folder.
    """
    links.refuse(folder)
    if folder.is_symlink():
        folder.unlink()
    while True:
        try:
            made.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
        aside = tempfile.TemporaryDirectory(dir=made.parent, ignore_cleanup_errors=True)
        with aside as name, suppress(FileNotFoundError):  # another process moved it before
            folder.rename(Path(name) / "old")


def sync_folder(folder: Path) -> None:
    """Write a folder's list of files to the disk: a power failure may undo a rename without it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let others wait: a file that is made and not yet locked would look as if it were left."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _remove_left(path: Path) -> None:
    """Remove temporary files of ``path`` that no process writes: a lock ends with its process."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if len(left.name) != len(path.name) + _TEMPORARY or not left.is_file():
            continue
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` (UTF-8) whole or not at all.

    Raises:
        Unwritable: the disk is full, or the folder may not be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_file(path: Path) -> None:
    """Delete a file, if it is there; of a link, the link.

    Raises:
        Unwritable: the folder may not be written.
        PrunebenchError: a link leads out of the experiment's folder.
    """
    links.refuse(path)
    with writing(path):
        path.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Delete a folder with all that it holds, or a file, if it is there; of a link, the link.

    Raises:
        Unwritable: it may not be removed.
        PrunebenchError: a link leads out of the experiment's folder.
    """
    if path.is_dir() and not path.is_symlink():
        links.refuse(path)
        with writing(path):
            shutil.rmtree(path)
    else:
        remove_file(path)


def move(path: Path, target: Path) -> None:
    """Rename a file or folder; the folder that it goes to is made.

    Raises:
        Unwritable: it may not be moved.
        PrunebenchError: a link leads out of the experiment's folder.
    """
    links.refuse(path)
    links.refuse(target)
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def unused(path: Path, sign: str = ".") -> Path:
    """Return ``path`` if nothing is there, else the first free one of ``path.2``, ``path.3``, …

    Args:
        path: wanted.
        sign: stands between the name and the number.
    """
    numbered = (path.with_name(f"{path.name}{sign}{number}") for number in count(2))
    return next(p for p in chain([path], numbered) if not p.exists())


def json_text(value: Any) -> str:
    """Return ``value`` as the text of a JSON file.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as JSON, whole or not at all.

    Raises:
        ValueError: a number is NaN or infinite.
        Unwritable: the disk is full, or the folder may not be written.
    """
    write_text(path, json_text(value))


def write_sealed(path: str | Path, value: dict[str, Any]) -> None:
    """Write a mapping as JSON with the hash of its content, whole or not at all.

    Raises:
        ValueError: a number is NaN or infinite.
        Unwritable: the disk is full, or the folder may not be written.
    """
    write_json(path, {**value, SEAL: _seal(value)})


def read_sealed(path: str | Path) -> dict[str, Any]:
    """Return what ``write_sealed`` wrote, without the hash.

    Raises:
        PrunebenchError: the file is missing, damaged or was altered.
    """
    text = read_text(path)
    value = _parsed(text, path)
    if not isinstance(value, dict) or SEAL not in value:
        raise PrunebenchError(f"{path} is damaged: it has no {SEAL}")
    if not text.endswith("\n"):
        raise PrunebenchError(f"{path} is damaged: its end is missing")
    if value.pop(SEAL) != _seal(value):
        raise PrunebenchError(f"{path} is damaged: its content is not what its {SEAL} says")
    return value


def _seal(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def local(path: str | Path) -> Path:
    """Return a path as pandas takes it for that of a file here.

    Of ``http:/x`` and ``~x``, which are names of folders, it would fetch and read something else.
    """
    return Path(path).absolute()


def require_plain(path: str | Path) -> None:
    """Refuse to read what is there and no plain file: a pipe would be waited for without end.

    Raises:
        PrunebenchError: it is a pipe, a socket or a device. A folder, and what is missing, is left
            to whoever opens it.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise PrunebenchError(f"{path} is no plain file")


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        PrunebenchError: the file is missing, damaged or larger than any that is written here; the
            message names it.
    """
    require_plain(path)
    try:
        if Path(path).stat().st_size > LARGEST:  # of holes, a file of any size fits into an archive
            raise PrunebenchError(f"{path} is larger than {LARGEST >> 20} MiB: not read")
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise PrunebenchError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PrunebenchError(f"{path} is damaged: {error}") from error


def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        PrunebenchError: the file is missing or damaged; the message names it.
    """
    return _parsed(read_text(path), path)


def _parsed(text: str, path: str | Path) -> Any:
    try:
        value = json.loads(text)
        if _HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise PrunebenchError(f"{path} is damaged: a text holds half a character") from error
    except (ValueError, RecursionError) as error:
        raise PrunebenchError(f"{path} is damaged: {error}") from error
    return value


def sha256_file(path: str | Path) -> str:
    """Return the hex SHA-256 of the content of a file.

    Raises:
        OSError: it cannot be read.
        PrunebenchError: it is a pipe, a socket or a device.
    """
    require_plain(path)
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
