"""What files were when they were written: a note of their sizes and hashes, looked at later.

A file that is as long as was noted, and no younger than the note, is taken for what it was: all
were on the disk before the note was written. Where the disk itself may have failed, look
``thorough``: that reads every file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError, Unwritable
from prunebench.files import read_sealed, sha256_file, write_sealed


@dataclass(frozen=True)
class Note:
    """The note at ``path`` of files below ``root``."""

    path: Path
    root: Path

    def write(self, files: Iterable[Path]) -> None:
        """Note what files are now. Raises Unwritable where there is no room."""
        noted = {
            path.relative_to(self.root).as_posix(): [path.stat().st_size, sha256_file(path)]
            for path in files
        }
        write_sealed(self.path, {"files": noted})

    def files(self) -> list[Path]:
        """The files that are noted; none where the note is missing or damaged."""
        try:
            return [self.root / name for name in self._read()]
        except PrunebenchError:
            return []

    def changed(self, thorough: bool = False) -> list[Path]:
        """Files that are not what was noted; the note itself where it is missing or damaged."""
        try:
            noted, written = self._read(), self.path.stat().st_mtime_ns
        except (OSError, PrunebenchError):
            return [self.path]
        return [
            self.root / name
            for name, (size, sha) in noted.items()
            if not as_written(self.root / name, sha, written, thorough, size)
        ]

    def remove(self) -> None:
        """Vouch for nothing any more. Raises Unwritable where the folder may not be written."""
        if not self.path.exists():
            return  # asking to delete it would fail on a disk that is not to be written
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise Unwritable(f"cannot write {self.path}: {error.strerror}") from error

    def _read(self) -> dict[str, tuple[int, str]]:
        try:
            noted = read_sealed(self.path)["files"]
            return {str(name): (int(size), str(sha)) for name, (size, sha) in noted.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PrunebenchError(f"{self.path} is damaged: it is no note of files") from error


def as_written(
    path: Path, sha: str, written: int, thorough: bool = False, size: int | None = None
) -> bool:
    """Whether a file has the content that was noted at the time ``written`` (ns since 1970)."""
    try:
        found = path.stat()
        if size is not None and found.st_size != size:
            return False
        unchanged = found.st_mtime_ns <= written
        return (unchanged and not thorough) or sha256_file(path) == sha
    except OSError:
        return False
