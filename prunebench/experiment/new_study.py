"""Write the configuration of a new study: a commented one, or one that ships, under a new name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment import config
from prunebench.storage.files import replacing
from prunebench.storage.shipped import configurations

_TEMPLATE = Path(__file__).parent / "templates" / "study.yaml"
_EXPERIMENT = re.compile(r"^experiment:.*$", re.MULTILINE)
_FOR_EDITORS = re.compile(r"^# yaml-language-server:.*\n")  # names a file of the checkout


def write_study(name: str, like: str | None = None) -> Path:
    """Write ``<name>.yaml`` to the working directory and return its path.

    Args:
        name: of the experiment.
        like: a configuration that ships, e.g. ``overfit``; None: a small one with comments.

    Raises:
        PrunebenchError: the name cannot be an experiment's, the file is there already, or no such
            configuration ships.
    """
    shipped = configurations()
    if like is not None and like not in shipped:
        raise PrunebenchError(f"--like: no configuration {like!r} ships{suggest(like, shipped)}")
    template = (shipped[like] if like else _TEMPLATE).read_text(encoding="utf-8")
    text = _EXPERIMENT.sub(f"experiment: {json.dumps(name)}", _FOR_EDITORS.sub("", template), 1)
    config.parse(yaml.safe_load(text), "init")
    target = Path(f"{name}.yaml")
    if target.exists():
        raise PrunebenchError(f"{target} is there already: choose another name, or remove it")
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target
