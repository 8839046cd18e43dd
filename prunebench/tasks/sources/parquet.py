"""Hugging Face's Parquet: a column ``image`` or ``img`` {bytes, path} and a column ``label``."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError
from prunebench.storage.files import require_plain
from prunebench.tasks import hub_datasets
from prunebench.tasks.images import Encoded, decode
from prunebench.tasks.raw import Raw, Split, one_line

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

# the names under which splits are stored: <name>.parquet, or <name>-*.parquet for shards
SPLITS = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test",)}
ROWS_AT_ONCE = 1024


_WHAT = "a Parquet file or a folder with train.parquet or train-*.parquet; or name it by hub:"


def check(task: Task) -> None:
    """Refuse a task that names neither local data nor the hub's."""
    hub_datasets.check(task, _WHAT)


def download(task: Task, folder: Path) -> None:
    """Fetch the data set that ``task.hub`` names; nothing without one."""
    hub_datasets.download(task, folder)


def read(task: Task, folder: Path) -> Raw:
    """Read the folder that ``task.path`` names (or its ``data/``); a single file is all training.

    Raises:
        PrunebenchError: a file is damaged or laid out otherwise, or an image or label is at fault;
            the message names the row, counted from 0.
    """
    path = hub_datasets.root(task, folder, _WHAT)
    shards = {"train": [path]} if path.is_file() else _shards(path)
    splits = {name: _split(files, task) for name, files in shards.items()}
    return Raw(
        splits["train"], splits.get("val"), splits.get("test"), _class_names(shards["train"][0]),
        facts=hub_datasets.facts(task, folder),
    )  # fmt: skip


def _shards(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each split that is there, shards in order."""
    for place in (folder, folder / "data"):
        found = {
            split: sorted(
                file
                for name in names
                for pattern in (f"{name}.parquet", f"{name}-*.parquet")
                for file in place.glob(pattern)
            )
            for split, names in SPLITS.items()
        }
        if found["train"]:
            return {split: files for split, files in found.items() if files}
    raise PrunebenchError(f"{folder} holds neither train.parquet nor train-*.parquet")


def _split(files: list[Path], task: Task) -> Split:
    count = sum(_open(file).metadata.num_rows for file in files)
    return decode((item for file in files for item in _items(file)), count, task)


def _items(path: Path) -> Iterator[Encoded]:
    """Yield the encoded images of one file with their labels, a thousand in memory at a time."""

    file = _open(path)
    image, label = _columns(file.schema_arrow, path)
    row = 0
    try:
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=[f"{image}.bytes", label]):
            contents = batch.column(image).field("bytes").to_pylist()
            for content, value in zip(contents, batch.column(label).to_pylist(), strict=True):
                where = f"{path}, row {row}"
                if content is None:
                    raise PrunebenchError(f"{where}: {image}.bytes is empty")
                if value is None:
                    raise PrunebenchError(f"{where}: {label} is empty")
                yield io.BytesIO(content), value, where
                row += 1
    except PrunebenchError:
        raise
    except Exception as error:
        raise PrunebenchError(f"{path} is damaged: {one_line(error)}") from error


def _columns(schema: Any, path: Path) -> tuple[str, str]:
    """Return the names of the image column and the label column."""
    import pyarrow as pa

    known = ", ".join(f"{field.name}: {field.type}" for field in schema)
    for name in ("image", "img", "label"):
        if schema.names.count(name) > 1:
            raise PrunebenchError(f"{path}: two columns are named {name!r}")
    for name in ("image", "img"):
        if name in schema.names:
            kind = schema.field(name).type
            if not _holds_bytes(kind):
                raise PrunebenchError(f"{path}: {name} must be {{bytes, path}}; it has {known}")
            break
    else:
        raise PrunebenchError(f"{path} has no column image or img; it has {known}")
    if "label" not in schema.names or not pa.types.is_integer(schema.field("label").type):
        raise PrunebenchError(f"{path} has no column label of whole numbers; it has {known}")
    return name, "label"


def _holds_bytes(kind: Any) -> bool:
    """Return whether a column's type is a struct with one field ``bytes`` of bytes."""
    import pyarrow as pa

    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    inner = kind.field("bytes").type
    return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))


def _class_names(path: Path) -> tuple[str, ...] | None:
    """Return the names of the classes where Hugging Face's datasets library stored them."""
    try:
        stored = json.loads((_open(path).schema_arrow.metadata or {})[b"huggingface"])
        return tuple(str(name) for name in stored["info"]["features"]["label"]["names"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    require_plain(path)
    try:
        return pq.ParquetFile(path)
    except Exception as error:  # what a damaged file raises is not documented
        raise PrunebenchError(f"{path} is no readable Parquet file: {one_line(error)}") from error
