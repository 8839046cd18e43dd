"""Finding parts by name: criterion, pattern, allocation, schedule, recovery; probes, engines.

A part is one decorated function; the file in which it stands is its registration:

    @criterion(patterns=("weight",), needs=("batches",), ranges={"power": "(0, inf)"})
    def wanda(view: View, *, power: float = 2.0) -> Scores: ...

The configuration must know what a part can do before torch is imported, so the decorator's
arguments, its traits, are literals and are read from the source without running it (``find``);
``part_kinds`` declares which traits there are. ``load`` imports the function when it is to be
called. A part is named by its function (``weight_rewinding`` is ``weight-rewinding``), by
``path/to/file.py:function``, by ``package.module:function``, or by an entry point of the group
``prunebench.<kind>``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import math
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.experiment.part_kinds import (
    Traits,
    allocation,
    criterion,
    engine,
    figure,
    measure,
    network,
    pattern,
    probe,
    recovery,
    schedule,
    task_kind,
)
from prunebench.experiment.ranges import check_ranges, out_of_range
from prunebench.experiment.sources import PACKAGE, PART_PLACES, modules
from prunebench.experiment.validation import validated
from prunebench.storage.files import require_plain

__all__ = [
    "Spec", "allocation", "builtin", "check_parameters", "criterion", "engine", "figure", "find",
    "from_package", "load", "measure", "module_of_file", "network", "part_name", "pattern",
    "probe", "recovery", "schedule", "task_kind",
]  # fmt: skip

_REQUIRED = object()
_ENDS = "ends the process when it is imported (sys.exit)"
_TYPES = {"bool": bool, "int": int, "float": float, "str": str, "None": type(None)}
T = TypeVar("T", bound=Traits)


@dataclass(frozen=True)
class Spec(Generic[T]):
    """A part, as far as it is known without importing it."""

    name: str  # as the configuration writes it
    traits: T  # the decorator's arguments, and the defaults of what it leaves out
    source: Path
    function: str
    summary: str  # first line of its docstring
    parameters: dict[str, Any]  # keyword-only: name -> default
    types: dict[str, tuple[type, ...]]  # of the parameters whose annotation is plain
    module: str | None = None  # where it is imported from; None: from its file

    @property
    def kind(self) -> str:
        """The kind of part, as the configuration writes it."""
        return self.traits.kind


def part_name(function: str) -> str:
    """Return a function's name in the configuration: ``l1_norm`` is ``l1-norm``."""
    return function.strip("_").replace("_", "-")


def _literal(node: ast.expr, where: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise PrunebenchError(f"{where}: must be a literal, found {ast.unparse(node)!r}") from error


def _traits(kind: type[T], node: ast.FunctionDef, source: Path) -> T | None:
    """The traits of a function marked as ``kind``; None where it is not."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        target = call.func if call else decorator
        if not isinstance(target, ast.Name | ast.Attribute):
            continue
        if ast.unparse(target).rpartition(".")[2] == kind.kind:
            where = f"{source}:{decorator.lineno}: @{kind.kind}"
            if call is None or call.args or any(k.arg is None for k in call.keywords):
                raise PrunebenchError(f"{where}: takes keywords only, or none: @{kind.kind}()")
            given = {}
            for keyword in call.keywords:
                trait = str(keyword.arg)
                if trait not in kind.model_fields:
                    near = suggest(trait, kind.model_fields)
                    raise PrunebenchError(f"{where}: there is no trait {trait!r}{near}")
                given[trait] = _literal(keyword.value, f"{where}: {trait}")
            traits: T = validated(kind, given, where)
            known = [argument.arg for argument in node.args.kwonlyargs]
            check_ranges(traits.ranges, known, f"{where}: ranges")
            return traits
    return None


def _parameters(node: ast.FunctionDef, source: Path) -> dict[str, Any]:
    found = {}
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        where = f"{source}:{node.lineno}: default of {argument.arg}"
        value = _REQUIRED if default is None else _literal(default, where)
        if value is not _REQUIRED and not _is_plain(value):
            raise PrunebenchError(f"{where}: must be what YAML can say, found {shown(value)}")
        found[argument.arg] = list(value) if isinstance(value, tuple) else value
    return found


def _types(node: ast.FunctionDef) -> dict[str, tuple[type, ...]]:
    """The types of the parameters whose annotation is plain, such as ``int | None``."""
    found = {}
    for argument in node.args.kwonlyargs:
        text = ast.unparse(argument.annotation) if argument.annotation else ""
        names = [name.strip() for name in text.split("|")]
        if all(name in _TYPES for name in names):
            found[argument.arg] = tuple(_TYPES[name] for name in names)
    return found


def _read(kind: type[T], source: Path) -> dict[str, tuple[ast.FunctionDef, T | None]]:
    """The top-level functions of a file by name, each with its traits, None where unmarked."""
    require_plain(source)
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"), str(source))
    except FileNotFoundError as error:
        raise PrunebenchError(
            f"{kind.kind} {source}: {error.strerror}; it is looked for from where you run this. The"
            " author of results has their files, and so has a folder made by `submit pack`"
        ) from error
    except OSError as error:
        raise PrunebenchError(f"{kind.kind} {source}: {error.strerror}") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise PrunebenchError(f"{kind.kind} {source}: not valid Python: {error}") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: (node, _traits(kind, node, source)) for node in functions}


def _spec(name: str, traits: T, node: ast.FunctionDef, source: Path, module: str | None) -> Spec[T]:
    summary = (ast.get_docstring(node) or "").partition("\n")[0]
    parameters, types = _parameters(node, source), _types(node)
    return Spec(name, traits, source, node.name, summary, parameters, types, module)


@cache
def _builtin(kind: type[Traits]) -> dict[str, Spec[Any]]:
    found = {}
    for source in chain.from_iterable(map(modules, PART_PLACES[kind.kind])):
        for node, traits in _read(kind, source).values():
            if traits is not None:
                name = part_name(node.name)
                parts = source.relative_to(PACKAGE.parent).with_suffix("").parts
                found[name] = _spec(name, traits, node, source, ".".join(parts))
    return found


def builtin(kind: type[T]) -> dict[str, Spec[T]]:
    """Return the parts of a kind that ship, by name."""
    return _builtin(kind)


def _source_of_module(kind: str, module: str) -> Path:
    """The file of a module. No parent is imported: it could do anything, e.g. import torch."""
    folders, name, found = None, "", None
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        try:
            found = PathFinder.find_spec(name, folders) if part.isidentifier() else None
        except KeyError:  # a folder without __init__.py in another such folder
            found = None
        if found is None:
            raise PrunebenchError(f"{kind} {module!r}: no such Python module")
        folders = found.submodule_search_locations or []
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise PrunebenchError(f"{kind} {module!r}: no such Python module")
    return Path(found.origin)


def find(kind: type[T], name: str) -> Spec[T]:
    """Return the part of a kind that a name stands for.

    Args:
        kind: a class of ``part_kinds``.
        name: a name that ships, an entry point, ``file.py:function`` or ``module:function``.

    Raises:
        PrunebenchError: there is no such name (the nearest known one is named), file or function,
            or the function's decorator has a trait that is unknown or of the wrong type.
    """
    if name in builtin(kind):
        return builtin(kind)[name]
    if ":" not in name:
        if (installed := from_package(kind, name)) is not None:
            return installed
        raise PrunebenchError(f"unknown {kind.kind} {name!r}{suggest(name, builtin(kind))}")
    place, _, function = name.rpartition(":")
    if place.endswith(".py"):
        return _from_source(kind, name, Path(place), function, None)
    return _from_module(kind, name, place, function)


def from_package(kind: type[T], name: str) -> Spec[T] | None:
    """Return the part of a kind that an installed package declares by a name; None without one.

    Args:
        kind: a class of ``part_kinds``.
        name: of an entry point in the group ``prunebench.<kind>``.
    """
    for module, function in _installed(kind.kind, name, tuple(sys.path)):
        return _from_module(kind, name, module, function)
    return None


@cache
def _installed(kind: str, name: str, path: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return module and function of entry points on Python's path, which takes long to search."""
    return [
        (point.module, point.attr) for point in entry_points(group=f"prunebench.{kind}", name=name)
    ]


def _from_module(kind: type[T], name: str, module: str, function: str) -> Spec[T]:
    return _from_source(kind, name, _source_of_module(kind.kind, module), function, module)


def _from_source(
    kind: type[T], name: str, source: Path, function: str, module: str | None
) -> Spec[T]:
    functions = _read(kind, source)
    if function not in functions:
        raise PrunebenchError(
            f"{kind.kind} {name!r}: {source} has no function {function!r}"
            f"{suggest(function, functions)}"
        )
    node, traits = functions[function]
    return _spec(name, traits or kind(), node, source, module)


def load(spec: Spec) -> Callable[..., Any]:
    """Import the function of a part and return it."""
    if spec.module is not None:
        try:
            return getattr(importlib.import_module(spec.module), spec.function)
        except SystemExit as error:
            raise PrunebenchError(f"{spec.source}: {_ENDS}") from error
    return getattr(module_of_file(spec.source), spec.function)


def module_of_file(source: Path) -> ModuleType:
    """Import a user's Python file, once, and return its module."""
    name = f"prunebench_plugin_{abs(hash(source.resolve()))}"
    if name not in sys.modules:
        module_spec = importlib.util.spec_from_file_location(name, source)
        assert module_spec is not None
        assert module_spec.loader is not None
        module = importlib.util.module_from_spec(module_spec)
        sys.modules[name] = module
        try:
            module_spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[name]  # half a module must not serve the next call
            if isinstance(error, SystemExit):
                raise PrunebenchError(f"{source}: {_ENDS}") from error
            raise
    return sys.modules[name]


def check_parameters(spec: Spec, given: dict[str, Any]) -> dict[str, Any]:
    """Return all parameters of a part: those given, and the defaults of the others.

    Args:
        spec: the part.
        given: parameters as the configuration has them, by name.

    Raises:
        PrunebenchError: a parameter is unknown, missing, of the wrong type, or out of its range.
    """
    where = f"{spec.kind} {spec.name!r}"
    complete = dict(spec.parameters)
    for key, value in given.items():
        if key not in spec.parameters:
            known = suggest(str(key), spec.parameters) or "; it has none"
            raise PrunebenchError(f"{where} has no parameter {key!r}{known}")
        default = spec.parameters[key]
        plain = (type(default), object)[default is None or default is _REQUIRED]
        types = spec.types.get(key, (plain,))
        complete[key] = _number(value) if float in types else value
        if not _fits(complete[key], types):
            expected = " or ".join(t.__name__ for t in types).replace("NoneType", "null")
            raise PrunebenchError(f"{where}: {key} must be {expected}, found {shown(value)}")
    missing = [key for key, value in complete.items() if value is _REQUIRED]
    if missing:
        raise PrunebenchError(f"{where} needs {', '.join(missing)}")
    for key, allowed in spec.traits.ranges.items():
        if fault := out_of_range(key, complete[key], allowed, complete):
            raise PrunebenchError(f"{where}: {fault}")
    return complete


def _number(value: Any) -> Any:
    # YAML reads 5e-4 as a text; and 1 and 1.0 are one setting, with one identity
    if isinstance(value, str | int) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            return float(value)
    return value


def _fits(value: Any, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):  # which Python takes for a number
        return bool in types or object in types
    return isinstance(value, types) and _is_plain(value)


def _is_plain(value: Any) -> bool:
    """Whether JSON can say it: what names a result must have one text."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return (
        value is None
        or isinstance(value, str | int)
        or (isinstance(value, float) and math.isfinite(value))
    )
