"""Parquet data sets of the Hugging Face Hub, by name: fetched once, whole, at one commit.

The files of each split are kept under its name, ``train-00000.parquet``, which every reader of
tables and images knows. What was fetched is noted: the commit, and the sum of each file, which is
compared with the hub's own.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError, reason_of, suggest
from prunebench.experiment.hub_dataset import HubDataset
from prunebench.storage.files import read_json, sha256_file, write_json
from prunebench.tasks.downloads import fetch_whole, root_of
from prunebench.tasks.raw import local_path

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

NOTE = "hub.json"  # what was fetched, beside the files
COMMIT = "data_commit"  # fact of a task: the commit of the hub that its data are of
# where the hub keeps what it has turned into Parquet itself
CONVERTED = "refs/convert/parquet"
_SPLITS = {"train": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val",
           "test": "test"}  # fmt: skip
_SPLIT = re.compile(rf"(?:^|[/_.-])({'|'.join(_SPLITS)})(?=[/_.-])")


def download(task: Task, folder: Path) -> None:
    """Fetch the Parquet files of ``task.hub``, once, whole or not at all; nothing without one.

    Args:
        task: the task.
        folder: where data of its source are kept.

    Raises:
        PrunebenchError: the hub cannot be reached, has no such data set or subset, or a file is not
            what the hub says.
    """
    if task.hub is not None:
        hub = HubDataset.named(task.hub)
        fetch_whole(_placed(task, hub), folder, lambda root: _fill(hub, root))


def root(task: Task, folder: Path, what: str) -> Path:
    """Return where the data of a task lie: its ``path``, or what was fetched from the hub.

    Args:
        task: the task.
        folder: where data of its source are kept.
        what: should be at ``path``, for messages.

    Raises:
        PrunebenchError: the task names neither, or nothing is there.
    """
    if task.hub is None:
        return local_path(task, what)
    found = root_of(_placed(task, HubDataset.named(task.hub)), folder, what)
    if not (found / NOTE).is_file():
        raise PrunebenchError(f"task {task.name!r}: {task.hub} was not fetched: run `download`")
    return found


def check(task: Task, what: str) -> None:
    """Refuse a task that names neither local data nor the hub's."""
    if task.hub is None:
        local_path(task, what)


def facts(task: Task, folder: Path) -> dict[str, Any]:
    """Return the commit of the hub that a task's data are of, as a fact; {} for local data."""
    return {} if task.hub is None else {COMMIT: read_json(root(task, folder, "") / NOTE)["commit"]}


def _placed(task: Task, hub: HubDataset) -> Task:
    return task.model_copy(update={"dataset": hub.folder})


def _fill(hub: HubDataset, root: Path) -> None:
    try:
        library = import_module("huggingface_hub")
    except ImportError as error:
        raise PrunebenchError(
            "hub: needs the package huggingface_hub, of an extra: pip install 'prunebench[text]'"
        ) from error
    try:
        _fetch(library, hub, root)
    except PrunebenchError:
        raise
    except Exception as error:  # of the network, or of files of others
        raise PrunebenchError(f"hub: {hub}: {reason_of(error)}") from error


def _fetch(library: Any, hub: HubDataset, root: Path) -> None:
    api = library.HfApi()
    found: dict[str, Any] = {}
    revisions = [hub.revision] if hub.revision else ["main", CONVERTED]
    for revision in revisions:
        info = api.dataset_info(hub.name, revision=revision, files_metadata=True)
        found = {file.rfilename: file for file in info.siblings}
        if any(name.endswith(".parquet") for name in found):
            break
    sums = {}
    for name, target in _of_subset(hub, found).items():
        place = root / "fetched"
        path = Path(
            library.hf_hub_download(
                hub.name, name, repo_type="dataset", revision=info.sha, local_dir=place
            )
        )
        sums[target] = sha256_file(path)
        told = getattr(getattr(found[name], "lfs", None), "sha256", None)
        if told is not None and told != sums[target]:
            raise PrunebenchError(f"hub: {hub}: {name} has the sum {sums[target]}, not {told}")
        path.replace(root / target)
        shutil.rmtree(place)
    write_json(root / NOTE, {"name": str(hub), "commit": info.sha, "sha256": sums})


def _of_subset(hub: HubDataset, files: Iterable[str]) -> dict[str, str]:
    """Return the files of a data set, each with the name under which it is kept."""
    subsets: dict[str, dict[str, list[str]]] = {}
    for name in sorted(files):
        found = list(_SPLIT.finditer(name)) if name.endswith(".parquet") else []
        if found:
            split = found[-1]
            subset = name[: split.start()].rpartition("/")[2] or name[: split.start()]
            subsets.setdefault(subset, {}).setdefault(_SPLITS[split[1]], []).append(name)
    if not subsets:
        raise PrunebenchError(f"hub: {hub}: has no Parquet files of a train split")
    subset = hub.subset or next(iter(subsets))
    if subset not in subsets or (hub.subset is None and len(subsets) > 1):
        near = suggest(hub.subset, subsets) if hub.subset else f": {', '.join(subsets)}"
        what = f"no subset {hub.subset!r}{near}" if hub.subset else f"has several subsets{near}"
        raise PrunebenchError(f"hub: {hub}: {what}; name one, owner/name/subset")
    if "train" not in subsets[subset]:
        raise PrunebenchError(f"hub: {hub}: has no train split")
    return {
        name: f"{split}-{number:05d}.parquet"
        for split, names in subsets[subset].items()
        for number, name in enumerate(names)
    }
