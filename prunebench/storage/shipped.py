"""Files that come with the package: the workflow and the configurations.

They stand at the top of a checkout. In an installed package they lie in ``prunebench/shipped/``,
side by side as there.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_INSTALLED = _PACKAGE / "shipped"
SNAKEFILE, CONFIGS, PROFILES = "Snakefile", "config", "profiles"


def checkout() -> Path | None:
    """Return the folder of the checkout that this package stands in; None where it is installed."""
    return None if (_INSTALLED / SNAKEFILE).is_file() else _PACKAGE.parent


def shipped(name: str) -> Path:
    """Return the path of a file or folder that comes with the package.

    Args:
        name: its path in a checkout, e.g. ``config/default.yaml``.
    """
    return (checkout() or _INSTALLED) / name


def configurations() -> dict[str, Path]:
    """Return the configurations that ship by their names, e.g. ``default``."""
    return {path.stem: path for path in sorted(shipped(CONFIGS).glob("*.yaml"))}
