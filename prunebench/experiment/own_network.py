"""A network in a user's file: ``architecture: my_net.py:Net``, found without running it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError, suggest


@dataclass(frozen=True)
class OwnNetwork:
    """A class, or a function that returns a module, in a Python file."""

    source: Path
    name: str

    @classmethod
    def named(cls, architecture: str) -> OwnNetwork | None:
        """Return the network that ``file.py:Class`` names; None for a name of another form."""
        place, _, name = architecture.rpartition(":")
        return cls(Path(place), name) if place.endswith(".py") else None

    def check(self) -> None:
        """Refuse a file that is not there or is no Python, or that lacks the class or function.

        Raises:
            PrunebenchError: in one line.
        """
        try:
            tree = ast.parse(self.source.read_text(encoding="utf-8"), str(self.source))
        except OSError as error:
            raise PrunebenchError(f"architecture {self.source}: {error.strerror}") from error
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise PrunebenchError(
                f"architecture {self.source}: not valid Python: {error}"
            ) from error
        known = [
            node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)
        ]
        if self.name not in known:
            raise PrunebenchError(
                f"architecture: {self.source} has no class or function {self.name!r}"
                f"{suggest(self.name, known)}"
            )
