"""prunebench: does pruning reduce overfitting, by which method, at which sparsity, at what cost?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunebench.pruning.api import prune as prune

__version__ = "0.1.0"
__all__ = ["__version__", "prune"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: only who prunes pays for it
    if name == "prune":
        from prunebench.pruning.api import prune

        return prune
    raise AttributeError(f"module 'prunebench' has no attribute {name!r}")
