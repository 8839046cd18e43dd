"""Hash of the code behind a result, which is part of the result's identity."""

from __future__ import annotations

import ast
import hashlib
import json
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.sources import FOLLOWED, PACKAGE
from prunebench.storage.files import require_plain
from prunebench.storage.hashing import digest

_DECLARED = Path(__file__).with_name("unchanged_code.json")


class _Meaning(ast.NodeTransformer):
    """Drops docstrings and, of the package's own files, where in the package a name comes from."""

    def __init__(self, own: bool) -> None:
        self.own, self.names = own, set[str]()

    def _strip(self, node: Any) -> Any:
        self.generic_visit(node)
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_Module = visit_FunctionDef = visit_ClassDef = visit_AsyncFunctionDef = _strip

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | None:
        if not self.own or (node.module or "").partition(".")[0] != PACKAGE.name:
            return node
        self.names |= {f"{alias.name} as {alias.asname or alias.name}" for alias in node.names}
        return None


def code_of_file(path: Path) -> str:
    """Return a hash of a source file that comments, docstrings and layout do not change.

    A corrected word must not cost a week of training. In a file of the package, it does not count
    either from which of the package's modules a name is imported.

    Args:
        path: a Python file.
    """
    meaning = _Meaning(path.is_relative_to(PACKAGE))
    tree = meaning.visit(ast.parse(path.read_text(encoding="utf-8")))
    names = "".join(sorted(meaning.names))
    return hashlib.sha256((ast.dump(tree) + names).encode()).hexdigest()


@cache
def declared() -> dict[str, dict[str, str]]:
    """Return what is declared of source files, by their path in the package.

    ``name`` is the logical name, which stays when the file is moved. While the file's own hash is
    ``code``, ``counts_as`` counts instead: the hash of an earlier version that computes the same
    bits.
    """
    return json.loads(_DECLARED.read_text(encoding="utf-8"))


@cache
def _named_code(path: Path) -> tuple[str, str]:
    """The logical name of a source file, and the hash that counts for it."""
    entry = {}
    if path.is_relative_to(PACKAGE):
        entry = declared().get(path.relative_to(PACKAGE).as_posix(), {})
    name, code = entry.get("name", f"{path.parent.name}/{path.name}"), code_of_file(path)
    return name, entry["counts_as"] if entry.get("code") == code else code


def code_hash(sources: Iterable[Path]) -> str:
    """Return a hash of source files that comments, docstrings, layout and place do not change.

    Args:
        sources: paths of Python files.
    """
    return _code_hash(tuple(sources))


@cache
def _code_hash(sources: tuple[Path, ...]) -> str:
    # pairs, not a mapping: plugins in different folders may share a name
    return digest(sorted({_named_code(path) for path in sources}))


def with_helpers(sources: Iterable[Path]) -> list[Path]:
    """Return source files and all that they import, directly or not, that may decide results.

    Followed are imports from the rooms ``sources.FOLLOWED`` and of files in the same folder; from
    a file that is not the package's own, also those of modules and packages beside it, in its own
    package and in the working directory. Installed packages are not followed.

    Args:
        sources: paths of Python files.
    """
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


_FOLLOWED = tuple(f"{PACKAGE.name}.{room}." for room in FOLLOWED)
_INSTALLED = {Path(place).resolve() for place in sysconfig.get_paths().values()}


@cache
def _imported(path: Path) -> list[Path]:
    names, own = set(), not path.is_relative_to(PACKAGE)
    room = "" if own else ".".join(path.parent.relative_to(PACKAGE.parent).parts)
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * (node.level if own else 0) + (node.module or "")
            inner = (f"{module}{'' if module.endswith('.') else '.'}{a.name}" for a in node.names)
            names |= {module, *(name if own else name.lstrip(".") for name in inner)}
    files = {path.with_name(f"{name}.py") for name in names if name.isidentifier()}
    for name in names:
        if name.startswith(_FOLLOWED) or (not own and name.rpartition(".")[0] == room):
            files.add(PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py"))
        elif own and name.partition(".")[0] != PACKAGE.name:
            files |= _beside(path, name)
    return sorted(file for file in files if file.is_file())


def _tree(path: Path) -> ast.Module:
    require_plain(path)
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise PrunebenchError(f"{path}: not valid Python: {error}") from error


def _beside(path: Path, name: str) -> set[Path]:
    """Files that an import in a file of a user may run: the module and the packages around it.

    Args:
        path: the file.
        name: what it imports, with dots before it where that is relative.
    """
    package = path.parent
    while (package / "__init__.py").is_file():
        package = package.parent
    inner = name.lstrip(".")
    if level := len(name) - len(inner):
        roots = [path.parents[level - 1]] if level <= len(path.parents) else []
    else:
        roots = [path.parent, package, Path.cwd()]
    found: set[Path] = set()
    for root in roots:
        parts = inner.split(".") if inner else []
        if root.resolve() in _INSTALLED and not path.is_relative_to(root / (parts or [""])[0]):
            continue  # an installed package: its version is the environment's
        place = root
        found |= {place / "__init__.py"} if level else set()
        for part in parts:
            found.add(place / f"{part}.py")
            place = place / part
            found.add(place / "__init__.py")
    return {file for file in found if file.is_file()} - {path}
