"""Tell settings with noisy labels from those with clean ones."""

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
