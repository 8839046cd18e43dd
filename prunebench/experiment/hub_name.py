"""Names of pretrained models: ``hf:owner/name``, ``hf:owner/name@revision``, or ``hf:folder``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError

PREFIX = "hf:"
CONFIGURATION = "config.json"
_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


@dataclass(frozen=True)
class HubName:
    """A model of the Hugging Face Hub, or one that was saved to a folder."""

    place: str  # its name there, or the folder
    revision: str | None = None  # branch, tag or commit; None: the newest

    @classmethod
    def named(cls, text: str) -> HubName | None:
        """Return what a text names; None for a text without ``hf:``."""
        if not text.startswith(PREFIX):
            return None
        place = text.removeprefix(PREFIX)
        if place and Path(place).is_dir():
            return cls(place)
        name, _, revision = place.partition("@")
        return cls(name, revision or None)

    def __str__(self) -> str:
        return f"{PREFIX}{self.place}" + (f"@{self.revision}" if self.revision else "")

    @property
    def folder(self) -> Path | None:
        """The folder it is in; None where it is one of the hub's."""
        return Path(self.place) if self.place and Path(self.place).is_dir() else None

    def check(self) -> None:
        """Refuse what is neither a folder nor a name that the hub could have.

        Raises:
            PrunebenchError: in one line.
        """
        if self.folder is None and not _NAME.fullmatch(self.place):
            raise PrunebenchError(
                f"{self}: no such folder, and no name of the hub, which is owner/name"
            )

    def content(self) -> str:
        """Return the file of a folder whose content decides the network; of the hub its name."""
        return str(self) if self.folder is None else str(self.folder / CONFIGURATION)
