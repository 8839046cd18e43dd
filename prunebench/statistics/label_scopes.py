"""Tell settings with noisy labels from those with clean ones, and which draws models share."""

from __future__ import annotations

import pandas as pd

from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.training_outcomes import column

NOISY, CLEAN, ALL = "noisy labels", "clean labels", "all settings"


def has_noisy_labels(cells: pd.DataFrame) -> pd.Series:
    """Return per row True, False, or None where no row of the table tells anything about labels."""
    regime = [cells["task"], cells["regime"]]
    noise = column(cells, "label_noise").groupby(regime).transform("max")
    memorized = column(cells, "memorized").notna().groupby(regime).transform("any")
    if noise.isna().all() and not memorized.any():
        return pd.Series([None] * len(cells), cells.index, dtype=object)
    return (noise > 0).where(noise.notna(), memorized).astype(object)


def label_scopes(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the settings with noisy labels, then those with clean ones, as frames of SETTING.

    Args:
        rows: Cells with a column ``noisy``, as ``has_noisy_labels`` returns it. Where it says
            nothing, all settings are one scope.
    """
    settings = rows[[*SETTING, "noisy"]].drop_duplicates()
    if settings["noisy"].isna().all():
        return {ALL: settings[SETTING]}
    noisy = settings["noisy"] == True  # noqa: E712 - a column of objects, with None
    found = {NOISY: settings.loc[noisy, SETTING], CLEAN: settings.loc[~noisy, SETTING]}
    return {name: frame for name, frame in found.items() if len(frame)}


def shared_draws(cells: pd.DataFrame) -> frozenset[tuple[str, str]]:
    """Return the (task, regime) whose random draws depend on task and seed alone.

    All models of a seed are then trained on the same wrong labels, or on the same part of the
    samples: where labels are noisy, and where a regime trains on fewer samples than another of its
    task. Tables that do not record this (of others) share nothing.
    """
    samples = column(cells, "train_samples")
    part = samples < samples.groupby(cells["task"]).transform("max")
    drawn = part | (has_noisy_labels(cells) == True)  # noqa: E712 - objects, with None
    found = cells.loc[drawn, ["task", "regime"]].drop_duplicates()
    return frozenset((str(task), str(regime)) for task, regime in found.to_numpy())


def independent_units(cells: pd.DataFrame) -> int:
    """Return how many units a sign-flip test over the whole table stands on (``unit_shares``)."""
    merged = {task for task, _ in shared_draws(cells)}
    keys = cells[["task", "model", "seed"]].drop_duplicates()
    keys["model"] = keys["model"].mask(keys["task"].isin(merged), "")
    return len(keys.drop_duplicates())
