"""Cells on disk: tensors first, the record with their hashes last; a cell is whole or absent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import Damaged, PrunebenchError
from prunebench.storage.files import read_sealed, replacing, sha256_file, write_sealed
from prunebench.storage.layout import RECORD
from prunebench.storage.manifest import Manifest, removal, unreadable
from prunebench.storage.records import FAILED

if TYPE_CHECKING:
    from torch import Tensor


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
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise Damaged(unreadable(path, error)) from error


def finish(folder: Path, record: dict[str, Any], files: list[str]) -> None:
    """Write the record of a cell whose other files are written: from now on the cell exists.

    Args:
        folder: the cell's.
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
        record = read_sealed(folder / RECORD)
        if record["identity"] != identity or record["status"] == FAILED:
            return None
        gone = removal(folder, record)
    except (PrunebenchError, KeyError):
        return None
    absent: Collection[str] = gone["removed"] if allow_removed and gone["measured"] else ()
    return None if Manifest.of_cell(folder).damaged(thorough=True, absent=absent) else record
