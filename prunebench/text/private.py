"""What nobody else shall read: secrets in addresses and commands, and where files of a user lie."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
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
_OPTION = re.compile(r"[\w-][\w.-]*")  # before "=": a folder may be /x/lr=0.1
_SEVERAL = re.compile(r"[\s,;:=][-~/]|@")  # words of a command, or paths in a row
_PART = r"[^\s/\\=,:;'\"()\[\]]"
# a folder's name may hold spaces: of a sentence that goes on, the next word is often one of these
_NOT_WORDS = "and|or|of|is|are|was|in|on|at|to|from|not|no|with|without|as|for|has|by|but"
_SPACED = rf"{_PART}+(?: (?!(?:{_NOT_WORDS})\b|[~$%]|\.\.){_PART}+){{0,3}}"
# where a path begins that leaves the working directory: somebody's home, the folder above, or a
# variable of the environment, however shells write it
_VARIABLE = r"(?:\$[A-Z_][A-Z0-9_]+|\$\{\w+\}|\$[Ee]nv:\w+|(?:%[A-Za-z_][\w()]*%)+)"
_AWAY = (
    rf"(?:~[\w.-]*/|~\\+(?={_SPACED}\\)|(?:\.\.[\\/]+)+(?!\.\.[\\/])|(?<![$%{{]){_VARIABLE}[\\/]+)"
)
_HOMES = r"(?:home\d*|[Uu]sers|Documents and Settings)"  # folders of homes
_TO_HOMES = rf"(?:{_PART}+/+)*?{_HOMES}/+"
# as far as a file's ending, or a home's name, names of folders may hold spaces
_FOLDERS = (
    rf"(?:(?:{_SPACED}[\\/]+)+(?!{_SPACED}[\\/])(?={_PART}*\.[A-Za-z])"
    rf"|{_TO_HOMES}{_SPACED}/+(?:{_PART}+/+)*|(?:{_PART}+[\\/]+)+)"
)
_ABSOLUTE = re.compile(
    rf"((?<![\w.~…/\\]){_AWAY}{_FOLDERS}?|(?<![\w.~…/\\)\]}}%])/(?!/){_FOLDERS})"
    rf"(?!\.\.?(?!{_PART}))({_PART}+(?<!\.)|{_PART})"
)
# a drive or a server, as Windows writes them; names before a backslash may hold spaces
_OF_WINDOWS = r"[^\\/:*?\"'<>|\r\n]"
_DRIVE = r"(?<![\w…\\])(?<![\w.~]/)[A-Za-z]:[\\/]+"
_SERVER = r"(?<![\w…/\\])\\\\+[\w.$-]+\\+"
_WINDOWS = re.compile(
    rf"(?:{_DRIVE}|{_SERVER})"
    rf"((?:{_OF_WINDOWS}+\\+|[^\s\\/:*?\"'<>|]+/+)*)([^\s\\/:*?\"'<>|,;=()\[\]]+)"
)
# in quotes it is known where a path ends, and all of its names may hold spaces
_QUOTED = re.compile(
    rf"(?<=(['\"`]))((?:{_DRIVE}|{_SERVER}|{_AWAY}|/)(?:[^\\/:;,=*?\"'`<>|\r\n]+[\\/]+)*)"
    rf"([^\\/\"'`\r\n]+)(?=\1)"
)
_IN_HOMES = re.compile(rf"(?i)(?:.*[\\/])?{_HOMES}[\\/]+")
# a home of others, and nothing else: the last part is somebody's name
_WHOLE_HOME = re.compile(rf"/{_TO_HOMES}{_SPACED}|[A-Za-z]:[\\/]+(?i:{_HOMES})[\\/]+{_OF_WINDOWS}+")
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
    So is one that begins above the working directory, ``../x/set.csv``, or with a variable,
    ``%USERPROFILE%\\x\\set.csv``. Where somebody's files lie says who they are, and nothing to
    others. A home folder itself is ``~``. Names of folders may hold spaces where a quote, a file's
    ending or a folder of homes says that a path goes on.
    """
    text = _without_own_home(_FILE.sub(r"\1:/", text))
    if _WHOLE_HOME.fullmatch(text):
        return "~"
    for path in (_QUOTED, _WINDOWS, _ABSOLUTE):
        text = path.sub(_told, text)
    return text


def _told(path: re.Match[str]) -> str:
    """Return what is told of a path whose folders and last part are its last two groups."""
    folders, last = path.groups()[-2:]
    if folders == "/":  # nothing is said of who has it
        return path[0]
    return "~" if _IN_HOMES.fullmatch(folders) else f"…/{last}"


def told(value: Any) -> Any:
    """Return settings as YAML has them, each text of them ``without_paths``."""
    if isinstance(value, dict):
        return {key: told(item) for key, item in value.items()}
    if isinstance(value, list):
        return [told(item) for item in value]
    return without_paths(value) if isinstance(value, str) else value


def paths_in(value: Any) -> list[str]:
    """Return texts of settings with a path of this machine: others could not follow it.

    It is absolute, or begins above the working directory or with a variable.

    Args:
        value: settings as YAML has them.
    """
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return sorted({path for item in inner for path in paths_in(item)})
    if not isinstance(value, str):
        return []
    away = value.startswith("~") or Path(value).is_absolute() or without_paths(value) != value
    return [value] if away else []


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
    if "\\" in value:  # a drive's colon separates nothing
        return without_paths(value)
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
            yield f"{_path(option)}={HIDDEN}"
        elif "://" in argument:
            before, _, after = argument.partition("://")
            scheme = re.search(r"[A-Za-z][A-Za-z0-9+.-]*$", before)
            start = scheme.start() if scheme else len(before)
            yield _path(before[:start]) + address(f"{before[start:]}://{after}")
        elif equals and _OPTION.fullmatch(option):
            yield f"{_path(option)}={_path(value)}"
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
    other = "~" if _IN_HOMES.fullmatch(f"{path.parent}/") else f"…/{path.name}"
    if path.parts[:1] == ("..",) and path.name != "..":
        return other
    if not path.is_absolute() or _SEVERAL.search(text):
        text = _WITHIN.sub(rf"\1{HIDDEN}", _without_own_home(text))
        text = _SOMEBODY.sub(f"{HIDDEN}@{HIDDEN}", text)
        return without_paths(text)
    home = _home()
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    if home and path == Path(home):
        return "~"
    if home and path.is_relative_to(home):
        return f"~/{path.relative_to(home)}"
    return other


def _without_own_home(text: str) -> str:
    home = re.escape(_home())
    return re.sub(rf"(?<![\w.~…/]){home}(?![\w.-])", "~", text) if home else text


def _home() -> str:
    """Return the home folder; "" where there is none, or it is the root of all."""
    return (os.environ.get("HOME") or os.environ.get("USERPROFILE") or "").rstrip("\\/")
