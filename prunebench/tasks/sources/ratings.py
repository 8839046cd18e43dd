"""Ratings of items by users: MovieLens 100K and 1M, or a table of three columns.

``ml-100k`` (943 users, 1,682 films, 100,000 ratings) and ``ml-1m`` (6,040; 3,706 rated; 1,000,209)
are fetched from GroupLens with the published sums. Their licence allows research and forbids to
pass them on: see the README beside them. ``path:`` is the unpacked folder, or a table (CSV, TSV or
Parquet) with the columns ``user``, ``item`` and ``rating``; ``range:`` says which ratings it may
have. Without, the range is that of the ratings, and one that alone makes it ten times as wide is
refused: it is rather a slip, or a number that stands for "not rated".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError, shown
from prunebench.tasks.downloads import Remote, fetch, root_of
from prunebench.tasks.known_datasets import known_dataset
from prunebench.tasks.raw import Raw, Split, local_path
from prunebench.tasks.tables import Table, numbers, read_table, read_text

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task


@dataclass(frozen=True)
class Known:
    """Where a set of MovieLens comes from, and how its file of ratings is written."""

    remote: Remote
    file: str
    delimiter: str
    ratings: int


DATASETS = {
    "ml-100k": Known(
        Remote(
            "https://files.grouplens.org/datasets/movielens/ml-100k.zip", "md5",
            "0e33842e24a9c977be4e0107933c0723",
        ),
        "u.data", "\t", 100_000,
    ),
    "ml-1m": Known(
        Remote(
            "https://files.grouplens.org/datasets/movielens/ml-1m.zip", "md5",
            "c4d9eecfca2ab87c1945afe126590906",
        ),
        "ratings.dat", "::", 1_000_209,
    ),
}  # fmt: skip
LOWEST, HIGHEST = 1.0, 5.0  # of MovieLens
_ALONE = 0.1  # of the range: what all other ratings must span where the last one is to be believed
_FEWEST = 3  # different ratings that span anything
_TABLE = "a table (CSV, TSV or Parquet) with the columns user, item and rating"


def check(task: Task) -> None:
    """Refuse a task of an unknown data set, or of a table without a path to it."""
    if task.dataset is None:
        local_path(task, _TABLE)
    else:
        known_dataset(task, DATASETS)


def download(task: Task, folder: Path) -> None:
    """Download a set of MovieLens into ``folder/<dataset>``, once, whole or not at all.

    Raises:
        PrunebenchError: a server cannot be reached, or a checksum is wrong.
    """
    if task.dataset is not None:
        fetch(task, folder, [known_dataset(task, DATASETS).remote])


def read(task: Task, folder: Path) -> Raw:
    """Return all ratings as one training split; users and items are numbered from 0, in order.

    Raises:
        PrunebenchError: a file is missing or damaged, a rating is out of range, or a pair of user
            and item is rated twice; the message names the line.
    """
    if task.dataset is None:
        table = read_table(local_path(task, _TABLE))
        columns = [table.column("user"), table.column("item")]
    else:
        table = _movielens(task, folder)
        columns = [table.columns["user"], table.columns["item"]]
    stars = numbers(table, "rating")
    lowest, highest = _range(task, table, stars)
    outside = np.flatnonzero((stars < lowest) | (stars > highest))
    if len(outside):
        raise PrunebenchError(
            f"{table.where(int(outside[0]))}: rating {stars[outside[0]]:g} is out of range:"
            f" {lowest:g} to {highest:g}"
        )
    if stars.min() == stars.max():
        raise PrunebenchError(f"{table.path}: all ratings are {stars[0]:g}: nothing can be learned")
    numbered = [
        _numbered(table, name, c) for name, c in zip(("user", "item"), columns, strict=True)
    ]
    pairs = np.stack([number for number, _ in numbered], axis=1)
    users, items = (count for _, count in numbered)
    _check_once(table, pairs, items)
    facts = {"users": users, "items": items, "lowest": lowest, "highest": highest}
    return Raw(Split(pairs.astype(np.int32), stars.astype(np.float32)), facts=facts, item="rating")


def _range(task: Task, table: Table, stars: NDArray[np.float64]) -> tuple[float, float]:
    """Return the lowest and the highest rating that there may be.

    Raises:
        PrunebenchError: nothing says it, and one rating lies far from all others.
    """
    if task.dataset is not None:
        return LOWEST, HIGHEST
    if task.range is not None:
        lowest, highest = task.range
        return lowest, highest
    found = np.unique(stars)
    for last, others in ((found[-1], found[:-1]), (found[0], found[1:])):
        if len(others) >= _FEWEST and np.ptp(others) < _ALONE * np.ptp(found):
            row = int(np.flatnonzero(stars == last)[0])
            raise PrunebenchError(
                f"{table.where(row)}: rating {last:g} is far out of the range of all others,"
                f" {others[0]:g} to {others[-1]:g}; mend it, or say which there may be:"
                f" range: [{found[0]:g}, {found[-1]:g}]"
            )
    return float(found[0]), float(found[-1])


def _movielens(task: Task, folder: Path) -> Table:
    """Return user, item and rating as the file of a set has them."""
    known = known_dataset(task, DATASETS)
    root = root_of(task, folder, f"the unpacked folder {task.dataset}")
    found = sorted(root.rglob(known.file)) if root.is_dir() else [root]
    if not found:
        raise PrunebenchError(f"task {task.name!r}: {root} holds no {known.file}")
    lines = read_text(found[0]).splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        row = line.split(known.delimiter)
        if len(row) != 4:
            raise PrunebenchError(
                f"{found[0]}, line {number}: {len(row)} fields; user, item, rating and time are 4"
            )
        rows.append(row)
    if len(rows) != known.ratings:
        raise PrunebenchError(
            f"{found[0]} holds {len(rows):,} ratings, not {known.ratings:,}: delete it and get it"
            " again"
        )
    user, item, rating, _ = zip(*rows, strict=True)
    return Table(found[0], {"user": user, "item": item, "rating": rating}, range(1, len(rows) + 1))


def _numbered(table: Table, name: str, column: Sequence[Any]) -> tuple[NDArray[np.int64], int]:
    """Return the number of each row's user or item, and how many there are.

    Whole numbers are numbered in their order, texts in theirs.
    """
    for row, value in enumerate(column):
        if value is None or isinstance(value, float) or not str(value).strip():
            raise PrunebenchError(f"{table.where(row)}: {name} is {shown(value)}")
    texts = [str(value) for value in column]
    known = sorted(set(texts), key=_order)
    index = {text: number for number, text in enumerate(known)}
    return np.array([index[text] for text in texts], np.int64), len(known)


def _order(text: str) -> tuple[bool, int, str]:
    whole = text.isdecimal()
    return not whole, int(text) if whole else 0, text


def _check_once(table: Table, pairs: NDArray[np.int64], items: int) -> None:
    """Refuse a pair that is rated twice: it could stand in training and in test."""
    flat = pairs[:, 0] * items + pairs[:, 1]
    _, first = np.unique(flat, return_index=True)
    if len(first) < len(flat):
        again = int(np.setdiff1d(np.arange(len(flat)), first)[0])
        user, item = (table.columns[name][again] for name in ("user", "item"))
        raise PrunebenchError(
            f"{table.where(again)}: user {user} rates item {item} for the second time"
        )
