"""The parts of a method: criterion, pattern, allocation, schedule, recovery; probes, engines.

A part is one decorated function; the file in which it stands is its registration:

    @criterion(patterns=("weight",), needs=("batches",), ranges={"power": "(0, inf)"})
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
import math
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.experiment.ranges import check_ranges, out_of_range
from prunebench.experiment.sources import PACKAGE, PARTS, modules

_REQUIRED = object()
_TYPES = {"bool": bool, "int": int, "float": float, "str": str, "None": type(None)}
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
    module: str | None = None  # where it is imported from; None: from its file
    types: dict[str, tuple[type, ...]] = field(default_factory=dict)  # parameters' plain ones

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
probe = _decorator("probe")
engine = _decorator("engine")


def part_name(function: str) -> str:
    """The name of a function in the configuration: ``l1_norm`` is ``l1-norm``."""
    return function.strip("_").replace("_", "-")


def _literal(node: ast.expr, where: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise PrunebenchError(f"{where}: must be a literal, found {ast.unparse(node)!r}") from error


def _traits(node: ast.FunctionDef, kind: str, source: Path) -> dict[str, Any] | None:
    """The traits of a function marked as ``kind``; None where it is not."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        target = call.func if call else decorator
        if not isinstance(target, ast.Name | ast.Attribute):
            continue
        if ast.unparse(target).rpartition(".")[2] == kind:
            where = f"{source}:{node.lineno}: @{kind}"
            if call is None or call.args or any(k.arg is None for k in call.keywords):
                raise PrunebenchError(f"{where}: takes keywords only, or none: @{kind}()")
            traits = {str(k.arg): _literal(k.value, f"{where} {k.arg}") for k in call.keywords}
            for name in ("patterns", "needs", "recoveries"):
                _check_names(traits.get(name, ()), f"{where} {name}")
            return traits
    return None


def _check_names(value: Any, where: str) -> None:
    # ("weight") is a text, not a tuple of one
    if not isinstance(value, tuple | list) or not all(isinstance(name, str) for name in value):
        raise PrunebenchError(f"{where}: must be names, e.g. ('weight',), found {value!r}")


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
    """Of the parameters whose annotation is plain, such as ``int | None``."""
    found = {}
    for argument in node.args.kwonlyargs:
        text = ast.unparse(argument.annotation) if argument.annotation else ""
        names = [name.strip() for name in text.split("|")]
        if all(name in _TYPES for name in names):
            found[argument.arg] = tuple(_TYPES[name] for name in names)
    return found


def _read(kind: str, source: Path) -> dict[str, tuple[ast.FunctionDef, dict[str, Any] | None]]:
    """Every public top-level function of a file, with its traits if it is marked."""
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"), str(source))
    except OSError as error:
        raise PrunebenchError(f"{kind} {source}: {error.strerror}") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise PrunebenchError(f"{kind} {source}: not valid Python: {error}") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: (node, _traits(node, kind, source)) for node in functions}


def _spec(
    kind: str, name: str, source: Path, node: ast.FunctionDef, traits: dict, module: str | None
) -> Spec:
    summary = (ast.get_docstring(node) or "").partition("\n")[0]
    parameters, types = _parameters(node, source), _types(node)
    check_ranges(traits.get("ranges", {}), parameters, f"{source}:{node.lineno}: @{kind} ranges")
    return Spec(kind, name, source, node.name, summary, parameters, traits, module, types)


@cache
def builtin(kind: str) -> dict[str, Spec]:
    """The parts that ship, by name."""
    found = {}
    for source in modules(PARTS[kind]):
        for node, traits in _read(kind, source).values():
            if traits is not None:
                name = part_name(node.name)
                parts = source.relative_to(PACKAGE.parent).with_suffix("").parts
                found[name] = _spec(kind, name, source, node, traits, ".".join(parts))
    return found


def _source_of_module(kind: str, module: str) -> Path:
    """The file of a module. No parent is imported: it could do anything, e.g. import torch."""
    folders, name, found = None, "", None
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        found = PathFinder.find_spec(name, folders) if part.isidentifier() else None
        if found is None:
            raise PrunebenchError(f"{kind} {module!r}: no such Python module")
        folders = found.submodule_search_locations or []
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
        return _from_module(kind, name, point.module, point.attr)
    if ":" not in name:
        raise PrunebenchError(f"unknown {kind} {name!r}{suggest(name, builtin(kind))}")
    place, _, function = name.rpartition(":")
    if place.endswith(".py"):
        return _from_source(kind, name, Path(place), function, None)
    return _from_module(kind, name, place, function)


def _from_module(kind: str, name: str, module: str, function: str) -> Spec:
    return _from_source(kind, name, _source_of_module(kind, module), function, module)


def _from_source(kind: str, name: str, source: Path, function: str, module: str | None) -> Spec:
    functions = _read(kind, source)
    if function not in functions:
        raise PrunebenchError(
            f"{kind} {name!r}: {source} has no function {function!r}{suggest(function, functions)}"
        )
    node, traits = functions[function]
    return _spec(kind, name, source, node, traits or {}, module)


def load(spec: Spec) -> Callable[..., Any]:
    """Import the function of a part."""
    if spec.module is not None:
        return getattr(importlib.import_module(spec.module), spec.function)
    name = f"prunebench_plugin_{abs(hash(spec.source.resolve()))}"
    if name not in sys.modules:
        module_spec = importlib.util.spec_from_file_location(name, spec.source)
        assert module_spec is not None
        assert module_spec.loader is not None
        module = importlib.util.module_from_spec(module_spec)
        sys.modules[name] = module
        try:
            module_spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]  # half a module must not serve the next call
            raise
    return getattr(sys.modules[name], spec.function)


def check_parameters(spec: Spec, given: dict[str, Any]) -> dict[str, Any]:
    """Defaults completed by what is given.

    Raises PrunebenchError for an unknown, missing or wrongly typed parameter, or one out of range.
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
    for key, allowed in spec.trait("ranges", {}).items():
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
