"""Texts with a class each: the Stanford Sentiment Treebank (SST-2), or a table of one's own.

``SST-2`` (67,349 + 872 sentences, positive or negative) is GLUE's, fetched from its official
address with the published sum; its labelled development set is the test set, as in the
literature, since the labels of its test sentences were never published. Terms of use: those of
GLUE and of the Treebank, for research. ``path:`` is the folder with ``train.tsv`` and ``dev.tsv``,
or with the Parquet files of Hugging Face's ``stanfordnlp/sst2`` (``validation`` is the test set).

Without ``dataset``, ``path:`` is a table (CSV, TSV or Parquet), or a folder with ``train``, and
``val`` and ``test`` where they exist, of these endings; ``input`` and ``target`` name the columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError
from prunebench.tasks import hub_datasets
from prunebench.tasks.downloads import Remote, fetch, root_of
from prunebench.tasks.known_datasets import known_dataset
from prunebench.tasks.raw import Raw
from prunebench.tasks.tables import classes, read_tables, split_files, texts
from prunebench.tasks.tokens import classified

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

SST2 = Remote(
    "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip", "md5", "9f81648d4199384278b86e315dac217c"
)
DATASETS = {"SST-2": {"train": 67_349, "test": 872}}
_TABLE = "a table (CSV, TSV or Parquet) of texts and classes, or a folder with train, val, test"


def check(task: Task) -> None:
    """Refuse a task of an unknown data set, or of a table without a path to it."""
    if task.dataset is None:
        hub_datasets.check(task, _TABLE)
    else:
        known_dataset(task, DATASETS)


def download(task: Task, folder: Path) -> None:
    """Download SST-2 into ``folder/SST-2``, or what ``hub`` names, once, whole or not at all.

    Raises:
        PrunebenchError: the server cannot be reached, or the checksum is wrong.
    """
    if task.dataset is not None:
        fetch(task, folder, [SST2])
    hub_datasets.download(task, folder)


def read(task: Task, folder: Path) -> Raw:
    """Read texts and classes; the vocabulary is that of the training texts.

    Raises:
        PrunebenchError: a file is missing, damaged, of another encoding or without a column, or a
            text or class is empty or unknown; the message names the row.
    """
    check(task)
    if task.dataset is None:
        files = split_files(hub_datasets.root(task, folder, _TABLE))
        input_, target = task.input or "text", task.target or "label"
    else:
        root = root_of(task, folder, f"a folder with {task.dataset}'s files")
        inner = root / "SST-2"  # as the archive has it
        files = split_files(inner if inner.is_dir() else root)
        files = {"train": files["train"], "test": files.get("val", [])}
        if not files["test"]:
            raise PrunebenchError(f"{root} holds no dev.tsv, nor validation-*.parquet")
        input_, target = "sentence", "label"
    tables = {split: read_tables(paths) for split, paths in files.items()}
    labels, names = classes(tables, target)
    pairs = {split: (texts(table, input_), labels[split]) for split, table in tables.items()}
    for split, size in DATASETS.get(task.dataset or "", {}).items():
        if len(tables[split]) != size:
            raise PrunebenchError(
                f"{tables[split].path} has {len(tables[split])} rows in a split of {size}: delete"
                " it and get it again"
            )
    if task.dataset is not None:
        names = ("negative", "positive")
    splits, facts = classified(pairs, task)
    return Raw(
        splits["train"], splits.get("val"), splits.get("test"), names,
        {**facts, **hub_datasets.facts(task, folder)}, "text",
    )  # fmt: skip
