"""Load models and tokenizers by the library ``transformers``, which is an extra.

Weights are read from safetensors only, and no code of a repository is run.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.hub_name import CONFIGURATION, HubName

# of peft, where that is installed: names the model that is loaded in place of the folder's
_ADAPTER = "adapter_config.json"


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


def commit(hub: HubName) -> str | None:
    """Return the commit that a name of the hub stands for; None where it is a folder.

    Raises:
        PrunebenchError: it cannot be loaded.
    """
    if hub.folder is not None:
        return None
    library = import_module("huggingface_hub")
    try:
        file = library.hf_hub_download(hub.place, CONFIGURATION, revision=hub.revision or "main")
    except Exception as error:  # of the network, or of files of others
        raise _refusal(f"{hub}: {CONFIGURATION} cannot be fetched", error) from error
    return Path(file).parent.name  # the cache has a folder for each commit


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
    if hub.folder is not None and (hub.folder / _ADAPTER).exists():
        raise PrunebenchError(
            f"{hub}: {_ADAPTER} in the folder names other weights, which would be fetched: merge"
            " them and save the whole model"
        )
    try:
        return auto.from_pretrained(
            hub.place, revision=hub.revision or "main", trust_remote_code=False, **given
        )
    except PrunebenchError:
        raise
    except Exception as error:  # files of others may be anything
        raise _refusal(f"{hub}: {kind} cannot load it", error) from error


def _refusal(what: str, error: Exception) -> PrunebenchError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0] if lines else type(error).__name__
    return PrunebenchError(f"{what}: {said[:300]}")
