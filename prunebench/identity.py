"""What names a result: the hash of its resolved settings, data and code; and the seeds from it."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent
# what decides the bits of a trained baseline, whatever the method
BASELINE_SOURCES = (
    "models.py", "widths.py", "train.py", "optimizers.py", "checkpoints.py", "tasks/batches.py",
    "tasks/data.py", "tasks/prepare.py", "tasks/regimes.py", "tasks/strata.py", "work/job.py",
    "work/baselines.py",
)  # fmt: skip
# what decides the bits of a mask, beside the method's own parts
PRUNING_SOURCES = (
    "pruning/layers.py", "pruning/masks.py", "pruning/groups.py", "pruning/view.py",
    "pruning/compose.py", "pruning/curve.py", "work/curves.py",
)  # fmt: skip


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: the same settings are the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Hex SHA-256 of the canonical form of a JSON value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def derive_seed(*parts: str | int | float) -> int:
    """A 63-bit seed from the identity of what is drawn: no two draws share a generator."""
    return int(digest(list(parts))[:16], 16) >> 1


class _Meaning(ast.NodeTransformer):
    """Drops docstrings: they change nothing that is computed."""

    def _strip(self, node: Any) -> Any:
        self.generic_visit(node)
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_Module = visit_FunctionDef = visit_ClassDef = visit_AsyncFunctionDef = _strip


@cache
def _code_hash_of_file(path: Path) -> str:
    # comments, docstrings and layout do not count: mending a word must not cost a week of training
    tree = _Meaning().visit(ast.parse(path.read_text(encoding="utf-8")))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def code_hash(sources: Iterable[Path]) -> str:
    """Hash of what the sources compute: comments, docstrings and layout do not count."""
    return _code_hash(tuple(sources))


@cache
def _code_hash(sources: tuple[Path, ...]) -> str:
    return digest(
        # pairs, not a mapping: plugins in different folders may share a name
        sorted({(f"{path.parent.name}/{path.name}", _code_hash_of_file(path)) for path in sources})
    )


def with_helpers(sources: Iterable[Path]) -> list[Path]:
    """The sources and, over and over, what they import of ``_FOLLOWED`` or beside them."""
    return list(_with_helpers(tuple(sources)))


@cache
def _with_helpers(sources: tuple[Path, ...]) -> list[Path]:
    found, waiting = [], list(sources)
    while waiting:
        path = waiting.pop(0)
        if path not in found:
            found.append(path)
            waiting += _imported(path)
    return found


# whose code a plug-in, a probe or an engine may stand on
_FOLLOWED = ("prunebench.pruning.", "prunebench.measure.", "prunebench.compress.")


@cache
def _imported(path: Path) -> list[Path]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names |= {module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)}
    files = {path.with_name(f"{name}.py") for name in names if name.isidentifier()}
    for name in names:
        if name.startswith(_FOLLOWED):
            files.add(_PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py"))
    return sorted(file for file in files if file.is_file())


def package_sources(names: Iterable[str]) -> list[Path]:
    """Paths of source files of the package."""
    return list(_package_sources(tuple(names)))


@cache
def _package_sources(names: tuple[str, ...]) -> list[Path]:
    return [_PACKAGE / name for name in names]
