"""Exactly one JSON document on standard output for a program that asked for one by ``--json``.

The option turns it on as soon as it is read: from then on what libraries or code of one's own
print goes to standard error. A command gives its document to ``give``. One that ends without, of
whatever, gives ``{"error": …}``. Where its process ends before it does, whoever watches gives that
(``runner.watched``).
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TextIO

import typer

from prunebench.errors import text_of
from prunebench.runner.watched import DOCUMENT_GIVEN, DOCUMENT_WANTED, say

OPTION = "--json"


@dataclass
class _Wanted:
    """A document that is wanted: where it goes."""

    out: TextIO
    moved: bool  # whether the descriptor of standard output was moved, too
    given: bool = False


_wanted: _Wanted | None = None
_fault: BaseException | None = None  # which click itself may turn into an exit status


def _want(asked: bool) -> bool:
    """Take standard output for the document alone."""
    global _wanted
    if asked and _wanted is None:
        out, moved = sys.stdout, sys.stdout is sys.__stdout__
        if moved:  # also from what writes past Python
            out.flush()
            out = os.fdopen(os.dup(1), "w", encoding="utf-8")
            os.dup2(2, 1)
        _wanted = _Wanted(out, moved)
        sys.stdout = sys.stderr
        say(DOCUMENT_WANTED)
    return asked


AsJson = Annotated[
    bool,
    typer.Option(OPTION, is_eager=True, callback=_want, help="print JSON, for programs"),
]


def give(value: Any) -> None:
    """Print the document of a command; numbers that JSON lacks are null.

    Args:
        value: what JSON can say.
    """
    assert _wanted is not None, "no document was asked for"
    assert not _wanted.given, "a document was given"
    print(json.dumps(_plain(value), indent=1, allow_nan=False), file=_wanted.out, flush=True)
    _wanted.given = True
    say(DOCUMENT_GIVEN)


@contextmanager
def noting() -> Iterator[None]:
    """Note what ends the block, so that the document can tell it.

    Raises:
        BaseException: whatever the block raises.
    """
    global _fault
    try:
        yield
    except BaseException as error:
        _fault = error
        raise


@contextmanager
def one_document(group: Any, arguments: Sequence[str]) -> Iterator[None]:
    """See to it that a command which was asked for a document gives one, however it ends.

    Args:
        group: the commands, of typer.
        arguments: of the command line: a mistake among them may end it before ``--json`` is read.

    Raises:
        BaseException: whatever the block raises.
    """
    global _wanted, _fault
    _fault = None
    try:
        yield
    except BaseException as error:  # also of the system, a bug, and what ends the process
        if _wanted is None and _asks(group, arguments):
            _want(True)
        if _wanted is not None and not _wanted.given and not _is_well(error):
            give({"error": _told(_fault or error)})
        raise
    finally:
        if _wanted is not None:
            sys.stdout = sys.__stdout__ if _wanted.moved else _wanted.out
            if _wanted.moved and sys.__stdout__ is not None:
                os.dup2(_wanted.out.fileno(), 1)
                _wanted.out.close()
            _wanted = None


def _asks(command: Any, arguments: Sequence[str]) -> bool:
    """Return whether arguments ask a command that has the option for a document."""
    inner = getattr(command, "commands", {})
    for place, argument in enumerate(arguments):
        if argument in inner:
            return _asks(inner[argument], arguments[place + 1 :])
    has = any(OPTION in parameter.opts for parameter in command.params)
    given = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    return has and OPTION in given


def _is_well(error: BaseException) -> bool:
    """Whether it is the end of a command that was asked for help alone."""
    return isinstance(error, SystemExit) and not error.code


def _told(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "interrupted"
    if hasattr(error, "format_message"):  # of typer's parser
        return text_of(ValueError(error.format_message()))
    if isinstance(error, typer.Exit):
        return f"it ended with status {error.exit_code}"
    if isinstance(error, OSError) and error.filename:
        return text_of(ValueError(f"{error.filename}: {error.strerror}"))
    return text_of(error) or type(error).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
