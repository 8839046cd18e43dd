"""Cells on disk: tensors first, the record with their hashes last; a cell is whole or absent.

It is written in a folder of its own and moved into place at once, so that the files beside a record
are always those whose hashes it holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import Damaged, PrunebenchError
from prunebench.storage import links
from prunebench.storage.files import (
    allow_as_usual,
    alone_in,
    put_folder,
    replacing,
    require_plain,
    sha256_file,
    sync_folder,
    write_sealed,
    writing,
)
from prunebench.storage.layout import LEFT_IN_CELLS, RECORD
from prunebench.storage.manifest import Manifest, removal, unreadable
from prunebench.storage.records import FAILED
from prunebench.storage.sealed_content import read_record

if TYPE_CHECKING:
    from torch import Tensor

_WRITING = ".writing"  # beside the cells of a curve: a folder for each that is being written


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors (on the CPU, contiguous), whole or not at all.

    Raises:
        Unwritable: the disk is full, or the folder may not be written.
    """
    from safetensors.torch import save

    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(plain))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        Damaged: the file is missing, damaged or was removed on purpose; the message says which.
    """
    from safetensors.torch import load_file

    require_plain(path)
    try:
        return load_file(path)
    except Exception as error:  # of types that torch lacks, it raises whatever comes
        raise Damaged(unreadable(path, error)) from error


@contextmanager
def written(folder: Path) -> Iterator[Path]:
    """Yield a folder of this process alone for the files of a cell; then it is the cell's folder.

    A process that outlived the command that started it may write the same cell: each hashes and
    moves what it wrote itself, in one step. What was found in the weights of the cell is kept, as
    it names the record that it is of; all else that the cell's folder held is removed.

    Args:
        folder: the cell's. Where the block is left by an error, it stays as it was.

    Raises:
        Unwritable: the disk is full, or the folder may not be written.
        PrunebenchError: a link leads out of the experiment's folder.
    """
    place = folder.parent / _WRITING
    links.refuse(place / folder.name)
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
        with alone_in(place):
            _remove_left(place)
            own = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=place))
            handle = os.open(_lock_of(own), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with suppress(OSError):  # some file systems know no locks
                fcntl.flock(handle, fcntl.LOCK_EX)  # says that a process writes it
    try:
        yield own
        with writing(folder):
            allow_as_usual(own, 0o777)
            _keep_looks(own, folder)
            sync_folder(own)
            put_folder(own, folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(own, ignore_errors=True)
        with suppress(OSError):
            _lock_of(own).unlink()
        os.close(handle)
        with suppress(OSError):  # others write there
            place.rmdir()


def _keep_looks(own: Path, folder: Path) -> None:
    """Copy what was found in the weights that were there."""
    for name in set(LEFT_IN_CELLS.values()) - {RECORD}:
        with suppress(FileNotFoundError, NotADirectoryError):
            if not (folder / name).is_symlink():
                shutil.copyfile(folder / name, own / name)


def _lock_of(own: Path) -> Path:
    """Return the file beside a folder that says, by a lock, that a process writes the folder.

    The folder itself is locked for a moment by whoever makes a file in it (``alone_in``).
    """
    return own.with_name(f"{own.name}.lock")


def _remove_left(place: Path) -> None:
    """Remove what killed processes left: a lock ends with its process, and none is made now."""
    found = list(place.iterdir())
    for left in {path.with_suffix("") if path.suffix == ".lock" else path for path in found}:
        lock = _lock_of(left)
        with suppress(OSError):
            if lock in found:
                handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                finally:
                    os.close(handle)
            shutil.rmtree(left, ignore_errors=True)
            lock.unlink(missing_ok=True)


def finish(folder: Path, record: dict[str, Any], files: list[str]) -> None:
    """Write the record of a cell whose other files are written: from now on the cell is whole.

    Args:
        folder: that ``written`` gave.
        record: its row, less measures.
        files: names of its other files.

    Raises:
        OSError: one of the files is missing.
        Unwritable: the disk is full, or the folder may not be written.
    """
    hashes = {name: sha256_file(folder / name) for name in files}
    write_sealed(folder / RECORD, {**record, "files": hashes})


def finished(folder: Path, identity: str, allow_removed: bool = False) -> dict[str, Any] | None:
    """Return the record of a cell if the cell is whole and is the one that ``identity`` names.

    Args:
        folder: the cell's.
        identity: digest of settings, code and data, as in the record.
        allow_removed: whether files may be missing that were removed on purpose once measured.

    Returns:
        The record; None where it is missing, damaged, failed or of other settings, and where a
        file of the cell is missing or damaged.
    """
    try:
        record = read_record(folder / RECORD)
        if record["identity"] != identity or record["status"] == FAILED:
            return None
        gone = removal(folder, record)
    except (PrunebenchError, KeyError):
        return None
    absent: Collection[str] = gone["removed"] if allow_removed and gone["measured"] else ()
    return None if Manifest.of_cell(folder).damaged(thorough=True, absent=absent) else record
