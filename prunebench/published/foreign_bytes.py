"""Open what somebody else packed: gzip, zip and their kin, and Parquet; bounded, and no pickles."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from typing import IO

from prunebench.errors import PrunebenchError, shown
from prunebench.storage.files import require_plain

LARGEST = 64 * 2**20  # bytes, packed and unpacked
_PACKED: dict[bytes, Callable[[IO[bytes]], BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_ZIP, _PARQUET = b"PK\x03\x04", b"PAR1"
_PICKLES = (".pkl", ".pickle")


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked where its first bytes say that it is packed.

    Raises:
        PrunebenchError: It cannot be read, is too large, is a pickle, or holds several files.
    """
    require_plain(path)
    if path.suffix in _PICKLES:
        raise PrunebenchError(
            f"{path} is a pickle, which may run anything: where you trust it, write it with pandas,"
            " pandas.read_pickle(…).to_parquet(…), and import that"
        )
    try:
        if path.stat().st_size > LARGEST:
            raise too_large(path)
        content = path.read_bytes()
    except OSError as error:
        raise PrunebenchError(f"{path}: {error.strerror}") from error
    opener = next((open_ for mark, open_ in _PACKED.items() if content.startswith(mark)), None)
    try:
        if content.startswith(_ZIP):
            return _only_member(path, content)
        if opener is None:
            return content
        with opener(io.BytesIO(content)) as file:
            return _bounded(path, file)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
            NotImplementedError, RuntimeError) as error:  # fmt: skip
        raise PrunebenchError(f"{path} cannot be unpacked: {error}") from error


def too_large(path: Path) -> PrunebenchError:
    """Return the error about a file that is larger than any table of results."""
    return PrunebenchError(f"{path} is larger than {LARGEST >> 20} MiB: no table of results")


def _bounded(path: Path, file: IO[bytes] | BufferedIOBase) -> bytes:
    """Read a packed file; a few bytes may unpack to more than the memory."""
    content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise too_large(path)
    return content


def _only_member(path: Path, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        # what macOS adds is no table
        names = [
            name for name in packed.namelist() if not name.endswith("/") and "__MACOSX" not in name
        ]
        if len(names) != 1:
            held = ", ".join(map(shown, names[:5])) or "none"
            raise PrunebenchError(f"{path} must hold one table; it holds {held}: unpack it")
        with packed.open(names[0]) as file:
            return _bounded(path, file)


def is_parquet(content: bytes) -> bool:
    """Return whether these are the bytes of a Parquet file."""
    return content.startswith(_PARQUET)


def parquet_lines(path: Path, content: bytes) -> list[list[str]]:
    """Return the header of a Parquet file and its rows as text; what is missing is empty.

    Raises:
        PrunebenchError: It is damaged, too large, or has columns that are no plain values.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        groups = range(file.metadata.num_row_groups)
        if sum(file.metadata.row_group(group).total_byte_size for group in groups) > LARGEST:
            raise too_large(path)
        table = file.read()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, PrunebenchError):
            raise
        first = str(error).splitlines()[0]
        raise PrunebenchError(f"{path} is no Parquet file that can be read: {first}") from error
    if table.nbytes > LARGEST:
        raise too_large(path)
    # an index of pandas that numbers the rows is no column of the table
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    nested = [n for n in names if pyarrow.types.is_nested(table.schema.field(n).type)]
    columns = [table.column(name).to_pylist() for name in names if name not in nested]
    header = [name for name in names if name not in nested]
    return [header, *([_text(value) for value in row] for row in zip(*columns, strict=True))]


def _text(value: object) -> str:
    # NaN is what pandas writes for a missing number
    return "" if value is None or value != value else str(value).strip()
