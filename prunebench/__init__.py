"""prunebench: does pruning reduce overfitting, by which method, at which sparsity, at what cost?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunebench.compression.encoding import load_compressed as load_compressed
    from prunebench.compression.encoding import save_compressed as save_compressed
    from prunebench.compression.shrink import shrink as shrink
    from prunebench.compression.shrunk_files import load_shrunk as load_shrunk
    from prunebench.compression.shrunk_files import save_shrunk as save_shrunk
    from prunebench.pruning.api import prune as prune
    from prunebench.report.results import load as load
    from prunebench.runner.compress import compress as compress
    from prunebench.runner.run_experiment import run as run

__version__ = "0.1.0"
__all__ = [
    "__version__", "compress", "load", "load_compressed", "load_shrunk", "prune", "run",
    "save_compressed", "save_shrunk", "shrink",
]  # fmt: skip
_HOMES = {
    "compress": "prunebench.runner.compress",
    "load": "prunebench.report.results",
    "load_compressed": "prunebench.compression.encoding",
    "load_shrunk": "prunebench.compression.shrunk_files",
    "prune": "prunebench.pruning.api",
    "run": "prunebench.runner.run_experiment",
    "save_compressed": "prunebench.compression.encoding",
    "save_shrunk": "prunebench.compression.shrunk_files",
    "shrink": "prunebench.compression.shrink",
}


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: only who prunes pays for it
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'prunebench' has no attribute {name!r}")


def __dir__() -> list[str]:
    # what is imported on demand is shown, and nothing that serves this file alone
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
