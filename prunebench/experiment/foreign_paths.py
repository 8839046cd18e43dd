"""Paths of Windows in settings: elsewhere a backslash is a letter, and no such file is found."""

from __future__ import annotations

import os
import re
from typing import Any

from prunebench.errors import PrunebenchError, shown

# a drive, a server, a folder before a backslash; or a backslash before a name with an ending
_WINDOWS = re.compile(
    r"^([A-Za-z]:[\\/]|\\\\|\.{1,2}\\|~\\)"
    r"|\\[\w .-]+\.[A-Za-z][A-Za-z0-9]{1,11}(:\w+)?$"
)


def refuse(value: Any, where: str) -> None:
    """Refuse texts that are paths of Windows, unless the system knows such paths.

    Args:
        value: settings, as YAML or JSON has read them.
        where: the file's name, with which a message begins.

    Raises:
        PrunebenchError: there is one; the message names it and what would be right.
    """
    if os.sep == "\\":
        return
    waiting = [("", value)]
    while waiting:
        place, item = waiting.pop()
        if isinstance(item, dict):
            waiting += [(f"{place}{key}: ", each) for key, each in item.items()]
        elif isinstance(item, list):
            waiting += [(place, each) for each in item]
        elif isinstance(item, str) and _WINDOWS.search(item) and not os.path.exists(item):  # noqa: PTH110
            raise PrunebenchError(
                f"{where}: {place}{shown(item)} is a path of Windows: here no file is found by it;"
                " write a relative path, with / between its parts"
            )
