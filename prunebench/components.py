"""The parts of a method: criterion, pattern, allocation, schedule, recovery.

A part is one decorated function; the file in which it stands is its registration:

    @criterion(patterns=("weight",), needs=("batches",))
    def wanda(view: View, *, power: float = 2.0) -> Scores: ...

The configuration must know what a part can do before torch is imported, so the decorator's
arguments are literals and are read from the source without running it (``find``). ``load`` imports
the function when it is to be called. A part is named by its function (``weight_rewinding`` is
``weight-rewinding``), by ``path/to/file.py:function``, by ``package.module:function``, or by an
entry point of the group ``prunebench.<kind>``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from prunebench.errors import PrunebenchError, suggest

_PRUNING = Path(__file__).parent / "pruning"
# kind -> where its built-in parts stand: a module, or a folder of one file each
HOMES = {
    "criterion": _PRUNING / "criteria",
    "pattern": _PRUNING / "patterns.py",
    "allocation": _PRUNING / "allocation.py",
    "schedule": _PRUNING / "schedules.py",
    "recovery": _PRUNING / "recovery.py",
}
_REQUIRED = object()
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Spec:
    """What is known of a part without importing it."""

    kind: str
    name: str  # as the configuration writes it
    source: Path
    function: str
    summary: str  # first line of its docstring
    parameters: dict[str, Any] = field(default_factory=dict)  # keyword-only: name -> default
    traits: dict[str, Any] = field(default_factory=dict)  # the decorator's arguments

    def trait(self, name: str, default: Any = None) -> Any:
        return self.traits.get(name, default)


def _decorator(kind: str) -> Callable[..., Callable[[F], F]]:
    def traits(**_traits: Any) -> Callable[[F], F]:
        def keep(function: F) -> F:
            return function  # the traits are read from the source: one reader, one truth

        return keep

    traits.__name__ = kind
    traits.__doc__ = f"Mark a function as a {kind}; the arguments are literals, its traits."
    return traits


criterion = _decorator("criterion")
pattern = _decorator("pattern")
allocation = _decorator("allocation")
schedule = _decorator("schedule")
recovery = _decorator("recovery")


def part_name(function: str) -> str:
    """The name of a function in the configuration: ``l1_norm`` is ``l1-norm``."""
    return function.strip("_").replace("_", "-")


def _literal(node: ast.expr, where: str) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise PrunebenchError(f"{where}: must be a literal, found {ast.unparse(node)!r}") from error


def _traits(node: ast.FunctionDef, kind: str, source: Path) -> dict[str, Any] | None:
    """The traits of a function marked as ``kind``; None where it is not."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        target = call.func if call else decorator
        if isinstance(target, ast.Name | ast.Attribute) and ast.unparse(target).endswith(kind):
            where = f"{source}:{node.lineno}: @{kind}"
            keywords = call.keywords if call else []
            return {k.arg: _literal(k.value, f"{where} {k.arg}") for k in keywords if k.arg}
    return None


def _parameters(node: ast.FunctionDef, source: Path) -> dict[str, Any]:
    pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return {
        argument.arg: _REQUIRED
        if default is None
        else _literal(default, f"{source}:{node.lineno}: default of {argument.arg}")
        for argument, default in pairs
    }


def _read(kind: str, source: Path) -> dict[str, tuple[ast.FunctionDef, dict[str, Any] | None]]:
    """Every public top-level function of a file, with its traits if it is marked."""
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"), str(source))
    except OSError as error:
        raise PrunebenchError(f"{kind} {source}: {error.strerror}") from error
    except (SyntaxError, ValueError) as error:
        raise PrunebenchError(f"{kind} {source}: not valid Python: {error}") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: (node, _traits(node, kind, source)) for node in functions}


def _spec(kind: str, name: str, source: Path, node: ast.FunctionDef, traits: dict) -> Spec:
    summary = (ast.get_docstring(node) or "").partition("\n")[0]
    return Spec(kind, name, source, node.name, summary, _parameters(node, source), traits)


@cache
def builtin(kind: str) -> dict[str, Spec]:
    """The parts that ship, by name."""
    home = HOMES[kind]
    files = sorted(home.glob("[!_]*.py")) if home.is_dir() else [home]
    found = {}
    for source in files:
        for node, traits in _read(kind, source).values():
            if traits is not None:
                name = part_name(node.name)
                found[name] = _spec(kind, name, source, node, traits)
    return found


def _source_of_module(kind: str, module: str) -> Path:
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise PrunebenchError(f"{kind} {module!r}: no such module ({error})") from error
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise PrunebenchError(f"{kind} {module!r}: no such Python module")
    return Path(found.origin)


def find(kind: str, name: str) -> Spec:
    """The part that ``name`` stands for.

    Raises PrunebenchError: unknown name (with the nearest known one), missing file or function.
    """
    if name in builtin(kind):
        return builtin(kind)[name]
    for point in entry_points(group=f"prunebench.{kind}", name=name):
        return _from_source(kind, name, _source_of_module(kind, point.module), point.attr)
    if ":" not in name:
        raise PrunebenchError(f"unknown {kind} {name!r}{suggest(name, builtin(kind))}")
    place, _, function = name.rpartition(":")
    source = Path(place) if place.endswith(".py") else _source_of_module(kind, place)
    return _from_source(kind, name, source, function)


def _from_source(kind: str, name: str, source: Path, function: str) -> Spec:
    functions = _read(kind, source)
    if function not in functions:
        raise PrunebenchError(f"{kind} {name!r}: {source} has no function {function!r}")
    node, traits = functions[function]
    return _spec(kind, name, source, node, traits or {})


def load(spec: Spec) -> Callable[..., Any]:
    """Import the function of a part."""
    package = Path(__file__).parent
    if spec.source.is_relative_to(package):
        parts = spec.source.relative_to(package.parent).with_suffix("").parts
        return getattr(importlib.import_module(".".join(parts)), spec.function)
    name = f"prunebench_plugin_{abs(hash(spec.source.resolve()))}"
    if name not in sys.modules:
        module_spec = importlib.util.spec_from_file_location(name, spec.source)
        assert module_spec is not None
        assert module_spec.loader is not None
        module = importlib.util.module_from_spec(module_spec)
        sys.modules[name] = module
        module_spec.loader.exec_module(module)
    return getattr(sys.modules[name], spec.function)


def check_parameters(spec: Spec, given: dict[str, Any]) -> dict[str, Any]:
    """Defaults completed by what is given.

    Raises PrunebenchError for an unknown, missing or wrongly typed parameter.
    """
    where = f"{spec.kind} {spec.name!r}"
    for key, value in given.items():
        if key not in spec.parameters:
            raise PrunebenchError(
                f"{where} has no parameter {key!r}{suggest(key, spec.parameters)}"
            )
        default = spec.parameters[key]
        if not _fits(value, default):
            raise PrunebenchError(
                f"{where}: {key} must be {type(default).__name__}, found {value!r}"
            )
    complete = {**spec.parameters, **given}
    missing = [key for key, value in complete.items() if value is _REQUIRED]
    if missing:
        raise PrunebenchError(f"{where} needs {', '.join(missing)}")
    return complete


def _fits(value: Any, default: Any) -> bool:
    if default is None or default is _REQUIRED or value is None:
        return value is not None or default is None
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))
