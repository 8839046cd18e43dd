"""Load models and tokenizers by the library ``transformers``, which is an extra.

Weights are read from safetensors only, and no code of a repository is run.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.hub_name import CONFIGURATION, HubName


def transformers() -> Any:
    """Return the library.

    Raises:
        PrunebenchError: it is not installed.
    """
    try:
        return import_module("transformers")
    except ImportError as error:
        raise PrunebenchError(
            "hf: models and tokenizers need the package transformers, which is an extra:"
            " pip install 'prunebench[text]'"
        ) from error


def loaded(kind: str, hub: HubName, **given: Any) -> Any:
    """Return what an auto class of transformers loads.

    Args:
        kind: the class, e.g. ``AutoTokenizer``.
        hub: what to load.
        given: further arguments of ``from_pretrained``.

    Raises:
        PrunebenchError: the library is missing, or it cannot load it: the name is unknown, the hub
            cannot be reached, a file is missing or damaged, or would run code of its own.
    """
    auto = getattr(transformers(), kind)
    if hub.folder is not None and not (hub.folder / CONFIGURATION).is_file():
        raise PrunebenchError(f"{hub}: the folder has no {CONFIGURATION}")
    try:
        return auto.from_pretrained(
            hub.place, revision=hub.revision or "main", trust_remote_code=False, **given
        )
    except PrunebenchError:
        raise
    except Exception as error:  # files of others may be anything
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = lines[0] if lines else type(error).__name__
        raise PrunebenchError(f"{hub}: {kind} cannot load it: {said[:300]}") from error
