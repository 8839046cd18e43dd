"""A class or function in a user's file: ``my_net.py:Net``, found without running the file."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError, suggest
from prunebench.storage.files import require_plain


@dataclass(frozen=True)
class OwnCode:
    """A class, or a function, in a Python file: a network, or what gives data."""

    source: Path
    name: str

    @classmethod
    def named(cls, text: str) -> OwnCode | None:
        """Return what ``file.py:name`` names; None for a text of another form."""
        place, _, name = text.rpartition(":")
        return cls(Path(place), name) if place.endswith(".py") else None

    def check(self, setting: str = "architecture") -> None:
        """Refuse a file that is not there or is no Python, or that lacks the class or function.

        Args:
            setting: that names it, for messages.

        Raises:
            PrunebenchError: in one line.
        """
        require_plain(self.source)
        try:
            tree = ast.parse(self.source.read_text(encoding="utf-8"), str(self.source))
        except OSError as error:
            raise PrunebenchError(f"{setting} {self.source}: {error.strerror}") from error
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise PrunebenchError(f"{setting} {self.source}: not valid Python: {error}") from error
        known = [
            node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)
        ]
        if self.name not in known:
            raise PrunebenchError(
                f"{setting}: {self.source} has no class or function {self.name!r}"
                f"{suggest(self.name, known)}"
            )
