"""The mappings of well-known tables of results, which ship by name: ``mappings/<name>.yaml``."""

from __future__ import annotations

from pathlib import Path

from prunebench.errors import PrunebenchError, suggest

_FOLDER = Path(__file__).parent / "mappings"


def shipped_names() -> list[str]:
    """Return the names of the mappings that ship."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def mapping_file(path: Path) -> Path:
    """Return a file of one's own, else the file of the mapping that ships under this name.

    Raises:
        PrunebenchError: There is neither.
    """
    if path.exists() or path.suffix or len(path.parts) != 1:
        return path
    names = shipped_names()
    if path.name not in names:
        raise PrunebenchError(
            f"--mapping {path}: no such file, and no mapping of that name ships"
            f"{suggest(path.name, names)}; there is {', '.join(names)}"
        )
    return _FOLDER / f"{path.name}.yaml"
