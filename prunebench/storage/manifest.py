"""What files were when they were written: a note of their sizes and hashes, looked at later.

A note says too that files are being written, and vouches for none of them then.

A file that is as long as was noted, and no younger than the note, is taken for what it was: all
were on the disk before the note was written. Where the disk itself may have failed, look
``thorough``: that reads every file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.storage.files import read_sealed, remove_file, sha256_file, write_sealed


@dataclass(frozen=True)
class Note:
    """The note at ``path`` of files below ``root``."""

    path: Path
    root: Path

    def begin(self) -> None:
        """Say that the files are about to be written. Raises Unwritable where there is no room."""
        write_sealed(self.path, {"files": None})

    def write(self, files: Iterable[Path]) -> None:
        """Note what files are now. Raises Unwritable where there is no room."""
        noted = {
            path.relative_to(self.root).as_posix(): [path.stat().st_size, sha256_file(path)]
            for path in files
        }
        write_sealed(self.path, {"files": noted})

    def begun(self) -> bool:
        """Whether the files were being written when whoever wrote them ended."""
        try:
            return self._read() is None
        except PrunebenchError:
            return False

    def files(self) -> list[Path]:
        """The files that are noted; none where the note is missing or damaged."""
        try:
            return [self.root / name for name in self._read() or ()]
        except PrunebenchError:
            return []

    def changed(self, thorough: bool = False) -> list[Path]:
        """Files that are not what was noted; the note itself where it is damaged."""
        if not self.path.exists():
            return []
        try:
            noted, written = self._read() or {}, self.path.stat().st_mtime_ns
        except PrunebenchError:
            return [self.path]
        return [
            self.root / name
            for name, (size, sha) in noted.items()
            if not as_written(self.root / name, sha, written, thorough, size)
        ]

    def remove(self) -> None:
        """Vouch for nothing any more. Raises Unwritable where the folder may not be written."""
        if self.path.exists():  # asking to delete it would fail on a disk that is not to be written
            remove_file(self.path)

    def _read(self) -> dict[str, tuple[int, str]] | None:
        try:
            noted = read_sealed(self.path)["files"]
            if noted is None:
                return None
            found = {str(name): (int(size), str(sha)) for name, (size, sha) in noted.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PrunebenchError(f"{self.path} is damaged: it is no note of files") from error
        for name in found:  # somebody else may have written it
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise PrunebenchError(f"{self.path} is damaged: {name} is not below {self.root}")
        return found


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
