"""Hash of the code behind a result, which is part of the result's identity."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.sources import FOLLOWED, PACKAGE
from prunebench.storage.files import require_plain, sha256_file
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
        path: a Python file, or a compiled module, which counts byte by byte.
    """
    if path.suffix != ".py":  # compiled: no telling what of it has a meaning
        return sha256_file(path)
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
    """The logical name of a source file, and the hash that counts for it.

    A user's own file is its content and its name: it may lie in another folder tomorrow.
    """
    entry, name = {}, path.name
    if path.is_relative_to(PACKAGE):
        entry = declared().get(path.relative_to(PACKAGE).as_posix(), {})
        name = entry.get("name", f"{path.parent.name}/{path.name}")
    code = code_of_file(path)
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
    package, in the working directory, in other folders of Python's path and those that it adds to
    it, compiled ones too, as files that it names (``"x.py"``), and what its texts name where it
    imports by name (``import_module("x")``). Installed packages are not followed.

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
_LIBRARY = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
_BY_NAME = {"import_module", "__import__", "run_module", "resolve_name", "find_spec"}
_LONGEST, _LONGEST_NAME = 4096, 200  # signs of a path, and of a file's name without its ending
_COMPILED = (*EXTENSION_SUFFIXES, *BYTECODE_SUFFIXES)


@cache
def _imported(path: Path) -> list[Path]:
    if path.suffix != ".py":
        return []
    names, own = set(), not path.is_relative_to(PACKAGE)
    added = _added_to_path(path) if own else []
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
            files |= _beside(path, name, added)
    if own:
        files |= _named_files(path) | _named_modules(path, added)
    return sorted(file for file in files if file.is_file())


def _named_files(path: Path) -> set[Path]:
    """Python files beside a file or in the working directory that texts in it name."""
    named = [text for text in _texts(path) if text.endswith(".py")]
    files = {folder / text for text in named for folder in (path.parent, Path.cwd())}
    return {file for file in files if os.path.isfile(file)} - {path}  # noqa: PTH113  # never raises


def _texts(path: Path) -> set[str]:
    """The texts in a file that may name something."""
    nodes = ast.walk(_tree(path))
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return {text for text in texts if text.isprintable() and len(text) < _LONGEST}


def _mentions(path: Path) -> set[str]:
    """The names that a file uses: of variables, attributes and what it imports."""
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Name | ast.Attribute):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def _named_modules(path: Path, added: Sequence[Path]) -> set[Path]:
    """Modules that texts in a file name which imports by name; of a package all that lie in it.

    Which of them, and with what before its name, is known as it runs alone.
    """
    wanted = _BY_NAME | ({"__all__"} if path.name == "__init__.py" else set())
    if not wanted & _mentions(path):
        return set()
    roots = (*path.absolute().parents[:2], Path.cwd(), *added)
    found: set[Path] = set()
    for text in _texts(path):
        name = text.partition(":")[0].strip(".")
        if all(part.isidentifier() and len(part) < _LONGEST_NAME for part in name.split(".")):
            named = _beside(path, name, added) | _beside(path, f".{name}")
            found |= named
            for file in named:
                found |= {*file.parent.glob("*.py")} if file.name == "__init__.py" else set()
            for root in roots:  # also without an __init__.py
                found |= {*root.joinpath(*name.split(".")).glob("*.py")}
    return found - {path}


def _added_to_path(path: Path) -> list[Path]:
    """Folders that a file may add to Python's path: those around it, and those that it names."""
    if not {"sys", "site"} & (used := _mentions(path)) or not {"path", "addsitedir"} & used:
        return []
    around = [*path.absolute().parents[:3], Path.cwd()]
    texts = {part for text in _texts(path) for part in (text, text.lstrip("/"))}  # f"{here}/lib"
    named = [base / text for base in around for text in texts]
    return [place for place in dict.fromkeys([*around, *named]) if os.path.isdir(place)]  # noqa: PTH112  # never raises


def _tree(path: Path) -> ast.Module:
    require_plain(path)
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise PrunebenchError(f"{path}: not valid Python: {error}") from error


def _beside(path: Path, name: str, added: Sequence[Path] = ()) -> set[Path]:
    """Files that an import in a file of a user may run: the module and the packages around it.

    Args:
        path: the file.
        name: what it imports, with dots before it where that is relative.
        added: folders that it adds to Python's path.
    """
    package = path.parent
    while (package / "__init__.py").is_file():
        package = package.parent
    inner = name.lstrip(".")
    if level := len(name) - len(inner):
        roots = [path.parents[level - 1]] if level <= len(path.parents) else []
    else:
        roots = [path.parent, package, Path.cwd(), *added, *_elsewhere()]
    found: set[Path] = set()
    for root in roots:
        parts = inner.split(".") if inner else []
        if root.resolve() in _INSTALLED and not path.is_relative_to(root / (parts or [""])[0]):
            continue  # an installed package: its version is the environment's
        place = root
        found |= {place / "__init__.py"} if level else set()
        for part in parts:
            found |= {place / f"{part}{ending}" for ending in (".py", *_COMPILED)}
            place = place / part
            found.add(place / "__init__.py")
    return {file for file in found if file.is_file()} - {path}


def _elsewhere() -> list[Path]:
    """Folders of Python's path that hold neither its library nor installed packages."""
    places = [Path(place).resolve() for place in sys.path if place]
    return [
        place for place in places
        if place.is_dir()
        and not {"site-packages", "dist-packages"} & {*place.parts}
        and not any(place.is_relative_to(library) for library in _LIBRARY)
    ]  # fmt: skip
