"""Files of data sets from their official addresses: checked sums, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import socket
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError
from prunebench.experiment.prepared_data import fetched_manifest
from prunebench.tasks.raw import local_path, one_line

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

SILENCE = 60.0  # seconds without a byte after which a download has failed


@dataclass(frozen=True)
class Remote:
    """A file at its official address, with the sum that its publisher gives."""

    url: str
    algorithm: str  # md5 or sha256
    checksum: str
    name: str | None = None  # under which it is kept, where the address ends otherwise

    def fetch(self, folder: Path) -> None:
        """Download into ``folder`` and unpack a zip or tar file there.

        Raises:
            OSError: the server or the disk fails.
            ValueError: the sum is another than that of the publisher, or a member of an archive
                lies outside the folder.
        """
        target = folder / (self.name or self.url.rsplit("/", 1)[-1])
        sum_ = hashlib.new(self.algorithm, usedforsecurity=False)
        # the addresses are constants of this package
        with urllib.request.urlopen(self.url) as response, target.open("wb") as file:  # noqa: S310
            while block := response.read(1 << 20):
                sum_.update(block)
                file.write(block)
        if sum_.hexdigest() != self.checksum:
            raise ValueError(
                f"{self.url} has the {self.algorithm} sum {sum_.hexdigest()}, not {self.checksum}"
            )
        if zipfile.is_zipfile(target) and target.suffix == ".zip":
            with zipfile.ZipFile(target) as archive:
                archive.extractall(folder)  # noqa: S202  # zipfile drops .. and leading slashes
        elif target.name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(target) as archive:
                _unpack(archive, folder)
        else:
            return
        target.unlink()


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Write the files of an archive below a folder.

    Not by ``extractall``, which refuses what leads outside since Python 3.11.4 alone.

    Raises:
        ValueError: a member is no file or folder, or lies outside.
    """
    for member in archive:
        place = (folder / member.name).resolve()
        if not place.is_relative_to(folder.resolve()) or not (member.isfile() or member.isdir()):
            raise ValueError(f"{member.name!r} in an archive is no file within its folder")
        (place if member.isdir() else place.parent).mkdir(parents=True, exist_ok=True)
        if content := archive.extractfile(member):
            with content, place.open("wb") as file:
                shutil.copyfileobj(content, file)


def fetch(task: Task, folder: Path, remotes: Sequence[Remote]) -> None:
    """Download files into ``folder/<dataset>`` unless they are there; see ``fetch_whole``."""

    def fill(root: Path) -> None:
        for remote in remotes:
            remote.fetch(root)

    fetch_whole(task, folder, fill)


def fetch_whole(task: Task, folder: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` download a data set into ``folder/<dataset>``, once, whole or not at all.

    Files that are no longer as they were fetched are fetched again. A task with a ``path`` is never
    downloaded.

    Raises:
        PrunebenchError: a server cannot be reached, or a checksum is wrong; to be called again
            then.
    """
    home = folder / str(task.dataset)
    if task.path is not None or (filled(home) and not fetched_manifest(home).damaged()):
        return
    partial: Path | None = None
    before = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(SILENCE)  # libraries that download would wait for ever
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{task.dataset}.", dir=folder))
        root = partial / "root"  # mkdtemp makes its folder private; what is kept must not be
        root.mkdir()
        fill(root)
        os.sync()  # what downloads does not sync its files
        fetched_manifest(root).write(sorted(path for path in root.rglob("*") if path.is_file()))
        if fetched_manifest(home).damaged():
            shutil.rmtree(home)
        if not filled(home):  # two tasks may have fetched the same data at once
            root.replace(home)
    except (
        OSError, RuntimeError, EOFError, ValueError, http.client.HTTPException,
        zipfile.BadZipFile, tarfile.TarError,
    ) as error:  # fmt: skip
        raise PrunebenchError(
            f"task {task.name!r}: downloading {task.dataset} failed: {one_line(error)}; "
            "run again, or give path: where it already lies"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def root_of(task: Task, folder: Path, what: str) -> Path:
    """Return where a data set lies: ``task.path``, else where it was downloaded.

    Raises:
        PrunebenchError: nothing is there, or it is not as it was fetched.
    """
    if task.path is not None:
        return local_path(task, what)
    home = folder / str(task.dataset)
    if damaged := fetched_manifest(home).damaged():
        raise PrunebenchError(
            f"task {task.name!r}: {damaged[0]} is missing or not as it was fetched: run the same"
            " command again, which fetches it again"
        )
    return home


def filled(folder: Path) -> bool:
    """Whether a folder is there and holds anything."""
    return folder.is_dir() and any(folder.iterdir())
