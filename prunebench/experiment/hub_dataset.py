"""Names of data sets of the Hugging Face Hub: ``owner/name``, with a subset and a revision."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prunebench.errors import PrunebenchError, shown

_NAME = re.compile(
    r"([\w-][\w.-]*/[\w-][\w.-]*)(?:/([\w-][\w.-]*))?(?:@([\w-][\w./-]*))?", re.ASCII
)


@dataclass(frozen=True)
class HubDataset:
    """A data set of the hub."""

    name: str  # owner/name
    subset: str | None = None  # of those that it has; None: the only one
    revision: str | None = None  # branch, tag or commit; None: the newest

    @classmethod
    def named(cls, text: str) -> HubDataset:
        """Return what ``owner/name``, ``owner/name/subset`` or ``owner/name@revision`` names.

        Raises:
            PrunebenchError: the text is of another form.
        """
        found = _NAME.fullmatch(text)
        if found is None or ".." in text:
            raise PrunebenchError(
                f"{shown(text)} must be owner/name, owner/name/subset, each also with @revision"
            )
        return cls(*found.groups())

    def __str__(self) -> str:
        parts = (self.name, f"/{self.subset}" if self.subset else "")
        return "".join(parts) + (f"@{self.revision}" if self.revision else "")

    @property
    def folder(self) -> str:
        """The name of the folder that its files are fetched into."""
        return re.sub(r"[/@]", "--", str(self))
