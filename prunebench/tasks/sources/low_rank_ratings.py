"""Ratings of a low-rank model (embedded): recommendation with a known noise floor.

A user's rating of an item is rounded from a mean, a tendency of both, and the product of 4 factors
of each, plus noise; to 1 … 5. Popularity of items and diligence of users follow power laws. Facts
give the least root mean squared error that anyone can reach who knows the model: ``best_rmse``.
Small, and with room to overfit: for trying and for tests, not for a paper. The same version of
numpy gives the same ratings.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prunebench.tasks.raw import Raw, Split

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

USERS, ITEMS, RATINGS, RANK = 400, 300, 12_000, 4
NOISE = 0.6  # standard deviation, in stars
LOWEST, HIGHEST = 1, 5
SEED = 20_240_918
Floats = NDArray[np.float64]


def read(task: Task, folder: Path) -> Raw:
    """Return all ratings as one training split: pairs of user and item, and stars. Read no file."""
    pairs, means = chosen_pairs()
    draws = np.random.default_rng(SEED + 1)
    stars = np.clip(np.rint(means + draws.normal(0, NOISE, len(means))), LOWEST, HIGHEST)
    facts = {
        "users": USERS,
        "items": ITEMS,
        "lowest": float(LOWEST),
        "highest": float(HIGHEST),
        "best_rmse": float(np.sqrt(rounded_variance(means).mean())),
    }
    return Raw(Split(pairs.astype(np.int32), stars.astype(np.float32)), facts=facts, item="rating")


def chosen_pairs() -> tuple[NDArray[np.int64], Floats]:
    """Return which pairs [N, 2] are rated, none twice, and what is rated before noise [N].

    The pair of the r-th user and the s-th item is drawn with a weight of (r·s)^-0.7.
    """
    draws = np.random.default_rng(SEED)
    users, items = draws.normal(size=(USERS, RANK)), draws.normal(size=(ITEMS, RANK))
    tendency_user, tendency_item = draws.normal(0, 0.35, USERS), draws.normal(0, 0.45, ITEMS)
    whole = 3.4 + tendency_user[:, None] + tendency_item + 0.8 / np.sqrt(RANK) * users @ items.T
    # popularity is no matter of an item's number
    weight_user = draws.permutation(np.arange(1, USERS + 1) ** -0.7)
    weight_item = draws.permutation(np.arange(1, ITEMS + 1) ** -0.7)
    weights = np.outer(weight_user, weight_item).ravel()
    flat = draws.choice(len(weights), RATINGS, replace=False, p=weights / weights.sum())
    pairs = np.stack(np.divmod(np.sort(flat), ITEMS), axis=1)
    return pairs, whole[pairs[:, 0], pairs[:, 1]]


def rounded_variance(means: Floats) -> Floats:
    """Return the variance [N] of ratings that are rounded and cut from a normal of each mean."""
    from scipy.special import ndtr

    stars = np.arange(LOWEST, HIGHEST + 1, dtype=np.float64)
    below = ndtr((stars[:-1] + 0.5 - means[:, None]) / NOISE)  # P(rating <= star)
    edges = np.pad(below, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1)))
    shares = np.diff(edges, axis=1)
    variance: Floats = shares @ stars**2 - (shares @ stars) ** 2
    return variance
