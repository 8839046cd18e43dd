"""Cells on disk: files first, the record last, each with its hash; a cell is whole or absent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import Damaged, PrunebenchError
from prunebench.storage.files import read_sealed, replacing, sha256_file, write_sealed
from prunebench.storage.layout import RECORD
from prunebench.storage.records import FAILED
from prunebench.storage.removed_files import missing, note

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors (on the CPU, contiguous), whole or not at all."""
    from safetensors.torch import save

    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(plain))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read safetensors; a missing or damaged file raises Damaged naming it."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise Damaged(missing(path, error)) from error


def finish(folder: Path, record: dict[str, Any], files: list[str]) -> None:
    """Write the record of a cell whose other files are written: from now on it is there."""
    hashes = {name: sha256_file(folder / name) for name in files}
    write_sealed(folder / RECORD, {**record, "files": hashes})


def finished(folder: Path, identity: str, freed: bool = False) -> dict[str, Any] | None:
    """The record of a cell, if it is whole and is the one that ``identity`` names.

    None where it is missing, failed, of other settings, or where a file of it is damaged. Where
    ``freed``, files may be gone that were removed on purpose.
    """
    try:
        record = read_sealed(folder / RECORD)
        if record["identity"] != identity or record["status"] == FAILED:
            return None
        removed = note(folder, record)
        # where nothing was measured of them, nothing stands for them
        gone = set(removed["removed"]) if freed and removed["measured"] else set()
        whole = all(
            sha256_file(folder / name) == sha
            for name, sha in record["files"].items()
            if name not in gone
        )
        return record if whole else None
    except (OSError, PrunebenchError, KeyError, TypeError, AttributeError):
        return None
