"""What nobody else shall read: secrets in addresses and commands, and where files of a user lie."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

HIDDEN = "***"
# of these the host is told; of others, such as databricks, what follows may be a secret
_WITH_HOST = re.compile(r"(https?|ftp|ssh|git|(postgresql|mysql|mssql|oracle)(\+\w+)?)", re.I)
_HOST = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.S)
_SECRET = re.compile(
    r"(?i)(token|passw|secret|credential|auth|bearer|(api|access|private|ssh|signing)[-_]?key)"
    r"|^-+(key|pass|pat|pwd)$"
)
# who somebody is to a cluster: 'slurm_account=x'
_WHO = re.compile(r"(?i)(^|[-_])(user|account|login|e?mail|host)(name)?$")
# a secret that is named within an argument: 'Authorization: Bearer x', {"token": "x"}
_WITHIN = re.compile(
    rf"((?:{_SECRET.pattern[4:].partition('|^')[0]})\w*['\"]?\s*[:=]\s*)(?:\w+\s+)?[^\s,}}]+", re.I
)
_SOMEBODY = re.compile(r"(?<![\w./:@-])[\w.+-]+@\w[\w.-]*")  # me@host; not owner/name@revision
_SEVERAL = re.compile(r"[\s,;:=][-~/]|@")  # words of a command, or paths in a row
_PART = r"[^\s/=,:;'\"()\[\]]"
_ABSOLUTE = re.compile(rf"(?<![\w.~…/])(?:~[\w.-]*/(?:{_PART}+/)*|/(?:{_PART}+/)+)(?={_PART})")
# a drive or a server, as Windows writes them; names before a backslash may hold spaces
_OF_WINDOWS = r"[^\\/:*?\"'<>|\r\n]"
_DRIVE = r"(?<![\w…\\])(?<![\w.~]/)[A-Za-z]:[\\/]+"
_WINDOWS = re.compile(
    rf"(?:{_DRIVE}|(?<![\w…/\\])\\\\+[\w.$-]+\\+)"
    rf"((?:{_OF_WINDOWS}+\\+|[^\s\\/:*?\"'<>|]+/+)*)([^\s\\/:*?\"'<>|,;=()\[\]]+)"
)
_USERS = re.compile(r"(?i)users[\\/]+")  # the folder of homes
# a home of others, and nothing in it: the last part is somebody's name
_HOME = re.compile(rf"(?<![\w.~…/])/(?:home|Users)/{_PART}+(?<!\.)(?![/\w.-])")
_WHOLE_HOME = re.compile(rf"(?:/home/|/Users/|[A-Za-z]:[\\/]+Users[\\/]+){_OF_WINDOWS}+")
_FILE = re.compile(r"(?i)\b(file|sqlite(?:\+\w+)?):/+(?=[^\s/])")
_PLAIN = re.compile(r"[\w@%+=:,./~…*-]+", re.ASCII)
_SHORTEST = 3  # signs of a part of an address that is hidden where others say it


def address(uri: str) -> str:
    """Return the scheme and the host of an address; nothing else of it is shown.

    A password may hold ``@``, ``/`` or a space where it should be quoted. So the host is told only
    where it is certain, and otherwise hidden too.
    """
    match = _ADDRESS.fullmatch(uri)
    if match is None:
        return HIDDEN
    scheme, rest = match.groups()
    host = _host(scheme, rest)
    if host == rest.rstrip("/"):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}/{HIDDEN}" if host else f"{scheme}://{HIDDEN}"


def _host(scheme: str, rest: str) -> str:
    """Return the host, with its port; "" where it is not certain."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not _WITH_HOST.fullmatch(scheme) or "@" in rest[len(authority) :]:
        return ""
    host = authority.rpartition("@")[2]
    return host if _HOST.fullmatch(host) else ""


def without_secrets(text: str, uri: str) -> str:
    """Return what others say of an address, without what is hidden of it.

    Args:
        text: of a library's error: may hold the address, other addresses or parts of it.
        uri: the address.
    """
    match = _ADDRESS.fullmatch(uri)
    scheme, rest = match.groups() if match else ("", uri)
    host = _host(scheme, rest)
    known = {host, host.partition(":")[0], *host.split(":"), ""}
    parts = {rest, *re.split(r"[/@:?&=#\s]+", rest)}
    parts |= {unquote(part) for part in parts}
    parts |= {quote(part, safe="") for part in parts}
    parts |= {value for name, value in os.environ.items() if _SECRET.search(name)}
    text = text.replace(uri, address(uri))
    for part in sorted(parts - known, key=len, reverse=True):
        if len(part) >= _SHORTEST:
            text = text.replace(part, HIDDEN)
    return re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]+", lambda found: address(found[0]), text)


def without_paths(text: str) -> str:
    """Return a text in which an absolute path is told by its last part: ``…/set.csv``.

    So is a path of Windows, wherever this runs: ``C:\\Users\\me\\set.csv``.
    Where somebody's files lie says who they are, and nothing to others. A home folder itself is
    ``~``; one's own also where its name holds spaces.
    """
    text = _FILE.sub(r"\1:/", text)
    if home := _home():
        text = re.sub(rf"(?<![\w.~…/]){re.escape(home)}(?![\w.-])", "~", text)
    text = _HOME.sub("~", text)
    return _ABSOLUTE.sub("…/", _WINDOWS.sub(_of_windows, text))


def _of_windows(path: re.Match[str]) -> str:
    folders, last = path.groups()
    return "~" if _USERS.fullmatch(folders) else f"…/{last}"


def setting(name: str, value: str) -> str:
    """Return the value of a variable of the environment without what is private.

    Args:
        name: of the variable; of one that is named after a secret, the value is hidden.
        value: paths are told as in ``command``, addresses by their host.
    """
    if _SECRET.search(name):
        return HIDDEN
    if "://" in value:
        return address(value)
    value = _WINDOWS.sub(_of_windows, value)  # before a drive's colon separates anything
    return os.pathsep.join(map(_path, value.split(os.pathsep)))


def command(arguments: Sequence[str]) -> str:
    """Return arguments as one would type them, without secrets and folders of this machine.

    Args:
        arguments: less the program. ~ stands for the home folder, ``…`` for any other folder
            outside of the working directory.
    """
    return " ".join(map(_quoted, _typed(arguments)))


def _quoted(text: str) -> str:
    """Return an argument, quoted for a shell where it must be; ~, … and *** stand for something."""
    return text if _PLAIN.fullmatch(text) else shlex.quote(text)


def _typed(arguments: Sequence[str]) -> Iterable[str]:
    secret = False
    for argument in arguments:
        option, equals, value = argument.partition("=")
        named = bool(_SECRET.search(option)) and (argument.startswith("-") or bool(equals))
        if secret:
            yield HIDDEN
        elif equals and (named or _WHO.search(option)):
            yield f"{option}={HIDDEN}"
        elif "://" in argument:
            before, _, after = argument.partition("://")
            scheme = re.search(r"[A-Za-z][A-Za-z0-9+.-]*$", before)
            start = scheme.start() if scheme else len(before)
            yield _path(before[:start]) + address(f"{before[start:]}://{after}")
        elif equals:
            yield f"{option}={_path(value)}"
        else:
            yield _path(argument)
        secret = named and not equals


def _path(text: str) -> str:
    """Return a path below the working directory or home as such, another by its last part.

    What is no path may hold some, and secrets, and who is called where.
    """
    if _WHOLE_HOME.fullmatch(text):
        return "~"
    path = Path(text)
    if path.parts[:1] == ("..",) and path.name != "..":
        return f"…/{path.name}"
    if not path.is_absolute() or _SEVERAL.search(text):
        text = _SOMEBODY.sub(f"{HIDDEN}@{HIDDEN}", _WITHIN.sub(rf"\1{HIDDEN}", text))
        return without_paths(text)
    home = _home()
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    if home and path == Path(home):
        return "~"
    if home and path.is_relative_to(home):
        return f"~/{path.relative_to(home)}"
    return f"…/{path.name}"


def _home() -> str:
    """Return the home folder; "" where there is none, or it is the root of all."""
    return os.environ.get("HOME", "").rstrip("/")
