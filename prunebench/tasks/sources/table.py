"""A table of numbers (CSV, TSV or Parquet): features, and a target to classify or to predict.

``path:`` is a file, or a folder with ``train``, and ``val`` and ``test`` where they exist, of these
endings. ``target`` names the column of the target (``target`` by itself); every other column is a
feature and must hold numbers in every row.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.tasks import hub_datasets
from prunebench.tasks.raw import Raw, Split, check_fits
from prunebench.tasks.tables import Table, classes, numbers, read_tables, split_files

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

_WHAT = "a table (CSV, TSV or Parquet), or a folder with train, val, test"


def check(task: Task) -> None:
    """Refuse a task without a path to the table."""
    hub_datasets.check(task, _WHAT)


def download(task: Task, folder: Path) -> None:
    """Fetch the data set that ``task.hub`` names; nothing without one."""
    hub_datasets.download(task, folder)


def read(task: Task, folder: Path) -> Raw:
    """Read the table that ``task.path`` names; classes if the task classifies, else values.

    Raises:
        PrunebenchError: a file is missing, damaged or without the target's column, or a cell is
            empty or no number; the message names row and column.
    """
    root = hub_datasets.root(task, folder, _WHAT)
    tables = {split: read_tables(files) for split, files in split_files(root).items()}
    target = task.target or "target"
    features = [name for name in tables["train"].columns if name != target]
    names = None
    if registry.find(TaskKindTraits, task.kind).traits.targets == "classes":
        targets, names = classes(tables, target)
    else:
        targets = {
            split: numbers(table, target).astype(np.float32) for split, table in tables.items()
        }
    if not features:
        raise PrunebenchError(f"{tables['train'].path} has no column but {target!r}")
    splits = {
        split: Split(_features(table, features), targets[split]) for split, table in tables.items()
    }
    facts = hub_datasets.facts(task, folder)
    return Raw(
        splits["train"], splits.get("val"), splits.get("test"), names, facts=facts, item="row"
    )


def _features(table: Table, names: list[str]) -> NDArray[np.float32]:
    check_fits(4 * len(table) * len(names), str(table.path))
    array = np.empty((len(table), len(names)), np.float32)
    for place, name in enumerate(names):
        array[:, place] = numbers(table, name)
    return array
