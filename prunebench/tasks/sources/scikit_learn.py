"""Tables of scikit-learn: breast cancer, diabetes, Friedman's function; and California's houses.

Embedded, for trying and for tests: ``breast-cancer`` (569 × 30, malignant or benign, 1995; CC BY
4.0 at UCI), ``diabetes`` (442 × 10, progression after a year, 2004), ``friedman1`` (2,000 × 10,
drawn: five features count, noise of standard deviation 1, the least mean squared error is 1).
Real: ``california-housing`` (20,640 × 8, median value of a block group's houses in 100,000
dollars, census of 1990), fetched from where scikit-learn fetches it; ``path:`` is a folder with
its file ``cal_housing.data``. Its features are those that scikit-learn makes of the census's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.storage.files import require_plain
from prunebench.tasks.downloads import Remote, fetch, root_of
from prunebench.tasks.known_datasets import known_dataset
from prunebench.tasks.raw import Raw, Split, one_line

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

SEED = 20_240_920
HOUSES = Remote(
    "https://ndownloader.figshare.com/files/5976036", "sha256",
    "aaa5c9a6afe2225cc2aed2723682ae403280c4a3695a2ddda4ffb5d8215ea681", "cal_housing.tgz",
)  # fmt: skip
_HOUSES = 20_640
_WHAT = "a folder with cal_housing.data"


@dataclass(frozen=True)
class Known:
    """How a table is read, and what is fetched first."""

    read: Callable[[Task, Path], Raw]
    remote: Remote | None = None


def check(task: Task) -> None:
    """Refuse a task whose data set is unknown."""
    known_dataset(task, DATASETS)


def download(task: Task, folder: Path) -> None:
    """Download what the data set needs, once, whole or not at all.

    Raises:
        PrunebenchError: a server cannot be reached, or a checksum is wrong.
    """
    remote = known_dataset(task, DATASETS).remote
    if remote is not None:
        fetch(task, folder, [remote])


def read(task: Task, folder: Path) -> Raw:
    """Return all rows as one training split; only California's houses are in a file.

    Raises:
        PrunebenchError: the file is missing or damaged.
    """
    return known_dataset(task, DATASETS).read(task, folder)


def _breast_cancer(task: Task, folder: Path) -> Raw:
    from sklearn.datasets import load_breast_cancer

    return _shipped(load_breast_cancer(), np.int64)


def _diabetes(task: Task, folder: Path) -> Raw:
    from sklearn.datasets import load_diabetes

    return _shipped(load_diabetes(), np.float32)


def _friedman1(task: Task, folder: Path) -> Raw:
    from sklearn.datasets import make_friedman1

    features, values = make_friedman1(2000, 10, noise=1.0, random_state=SEED)
    return Raw(
        Split(features.astype(np.float32), values.astype(np.float32)),
        facts={"best_mse": 1.0},
        item="row",
    )


def _california_housing(task: Task, folder: Path) -> Raw:
    root = root_of(task, folder, _WHAT)
    found = sorted(root.rglob("cal_housing.data")) if root.is_dir() else [root]
    if not found:
        raise PrunebenchError(f"task {task.name!r}: {root} is no {_WHAT.removeprefix('a ')}")
    require_plain(found[0])
    try:
        table = np.loadtxt(found[0], delimiter=",", encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PrunebenchError(f"{found[0]} is damaged: {one_line(error)}") from error
    if table.shape != (_HOUSES, 9) or not np.isfinite(table).all():
        raise PrunebenchError(
            f"{found[0]} holds {' × '.join(str(n) for n in table.shape)} numbers, not"
            f" {_HOUSES} × 9: delete it and get it again"
        )
    features, values = house_features(table)
    return Raw(Split(features, values), item="row")


def house_features(table: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what scikit-learn makes of the census's columns: features [N, 8], values [N].

    Income, age of the houses, rooms and bedrooms of a household, population, people of a
    household, latitude and longitude; the value in 100,000 dollars.

    Args:
        table: [N, 9]: longitude, latitude, age, rooms, bedrooms, population, households, income,
            value in dollars.
    """
    longitude, latitude, age, rooms, bedrooms, people, households, income, value = table.T
    features = (
        income, age, rooms / households, bedrooms / households, people, people / households,
        latitude, longitude,
    )  # fmt: skip
    return np.stack(features, axis=1).astype(np.float32), (value / 100_000).astype(np.float32)


def _shipped(bunch: Any, kind: type[Any]) -> Raw:
    names = getattr(bunch, "target_names", None)
    return Raw(
        Split(bunch.data.astype(np.float32), bunch.target.astype(kind)),
        names=None if names is None else tuple(str(name) for name in names),
        item="row",
    )


DATASETS = {
    "breast-cancer": Known(_breast_cancer),
    "diabetes": Known(_diabetes),
    "friedman1": Known(_friedman1),
    "california-housing": Known(_california_housing, HOUSES),
}
