"""Choose rows of a foreign table by a condition such as ``network == 'resnet20'``.

Read by Python's own parser, then by the few forms below: pandas' ``query`` would also call
functions, and a mapping may be somebody else's.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prunebench.errors import PrunebenchError, shown, suggest

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.In: lambda value, among: value in among, ast.NotIn: lambda value, among: value not in among,
}  # fmt: skip
_FORM = "write a comparison such as network == 'resnet20' and density <= 0.5, with and, or, not, in"
_TRUE = ("true", "1", "1.0")


@dataclass(frozen=True)
class RowFilter:
    """A condition on the columns of a foreign table.

    ``text`` is as the user wrote it; a column whose name is no Python name stands in backticks.
    """

    text: str
    parts: tuple[ast.expr, ...]  # all must hold
    quoted: Mapping[str, str]  # stand-in -> the name between backticks

    @classmethod
    def parse(cls, text: str) -> RowFilter:
        """Read a condition.

        Raises:
            PrunebenchError: It has another form.
        """
        quoted: dict[str, str] = {}

        def stand_in(match: re.Match[str]) -> str:
            return quoted.setdefault(match[1], f"column_{len(quoted)}_")

        source = re.sub(r"`([^`]+)`", stand_in, text)
        try:
            body = ast.parse(source.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise PrunebenchError(f"--where {shown(text)} cannot be read: {_FORM}") from None
        names = {stand_in: name for name, stand_in in quoted.items()}
        made = cls(text, tuple(_conjuncts(body)), names)
        made.holds(dict.fromkeys(made.columns, ""))  # refuses every other form
        return made

    @property
    def columns(self) -> list[str]:
        """The columns that it asks about, each once, in order."""
        return list(dict.fromkeys(name for part in self.parts for name in self._names(part)))

    def _names(self, part: ast.expr) -> list[str]:
        found = [node.id for node in ast.walk(part) if isinstance(node, ast.Name)]
        return [self.quoted.get(name, name) for name in found]

    def check(self, header: Sequence[str], where: str) -> None:
        """Refuse a condition on a column that a table lacks, which would choose nothing."""
        for name in self.columns:
            if name not in header:
                raise PrunebenchError(
                    f"{where} has no column {shown(name)}, which --where asks about"
                    f"{suggest(name, [column for column in header if column])}"
                )

    def among(self, header: Sequence[str]) -> RowFilter:
        """Return the part of a condition that speaks of columns of ``header`` alone."""
        kept = [part for part in self.parts if set(self._names(part)) <= set(header)]
        return RowFilter(self.text, tuple(kept), self.quoted)

    def holds(self, row: Mapping[str, str]) -> bool:
        """Return whether a row is chosen; an empty field meets no comparison but ``== ''``."""
        met = [self._truth(part, row) for part in self.parts]  # all: a form that is none is refused
        return all(met)

    def _truth(self, node: ast.expr, row: Mapping[str, str]) -> bool:
        match node:
            case ast.BoolOp():
                met = [self._truth(part, row) for part in node.values]
                return all(met) if isinstance(node.op, ast.And) else any(met)
            case ast.UnaryOp(op=ast.Not()):
                return not self._truth(node.operand, row)
            case ast.Name():
                return row[self.quoted.get(node.id, node.id)].casefold() in _TRUE
            case ast.Compare(left=ast.Name() as name, ops=[op], comparators=[right]) if (
                type(op) in _COMPARE
            ):
                text = row[self.quoted.get(name.id, name.id)]
                return self._compare(text, op, self._value(right))
        raise PrunebenchError(f"--where {shown(self.text)} cannot be read: {_FORM}")

    def _value(self, node: ast.expr) -> Any:
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            value = None
        plain = (str, int, float)
        several = isinstance(value, list | tuple) and all(isinstance(v, plain) for v in value)
        if not (isinstance(value, plain) or several):
            raise PrunebenchError(f"--where {shown(self.text)} cannot be read: {_FORM}")
        return value

    def _compare(self, text: str, op: ast.cmpop, wanted: Any) -> bool:
        """Compare a field with a value, or with several, each as its own kind."""
        if isinstance(wanted, list | tuple) != isinstance(op, ast.In | ast.NotIn):
            raise PrunebenchError(f"--where {shown(self.text)} cannot be read: {_FORM}")
        if isinstance(wanted, list | tuple):
            return _COMPARE[type(op)](True, [_as(text, value) == value for value in wanted])
        value = _as(text, wanted)
        if value is None:  # an empty field, or a text where a number is wanted
            return isinstance(op, ast.NotEq)
        return _COMPARE[type(op)](value, wanted)


def _conjuncts(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the conditions that must all hold."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for part in node.values:
            yield from _conjuncts(part)
    else:
        yield node


def _as(text: str, wanted: object) -> Any:
    """Return a field as the kind of what it is compared with; None where it is none."""
    if isinstance(wanted, bool):
        known = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(("false", "0", "0.0"), False)}
        return known.get(text.casefold())
    if isinstance(wanted, int | float):
        try:
            return float(text.removesuffix("%"))
        except ValueError:
            return None
    return text if text or wanted == "" else None
