"""What a network loses where one layer alone is pruned: means over seeds."""

from __future__ import annotations

import pandas as pd

from prunebench.statistics.cell_grid import SETTING

CURVE = [*SETTING, "method"]
_POINT = [*CURVE, "place", "layer", "sparsity"]


def rises(table: pd.DataFrame) -> pd.DataFrame:
    """Return how much error and loss rise above dense, for each layer and sparsity.

    Args:
        table: the rows of sensitivity.csv; those that say why nothing was measured are left out.

    Returns:
        A row a setting, method, layer and sparsity, in the network's order: CURVE, ``place``,
        ``layer``, ``sparsity``, ``weights``, ``macs``, ``ms``, ``removed``, ``error_rise`` in
        points, ``loss_rise``, and ``seeds``.
    """
    measured = table[table["layer"].notna()]
    measured = measured.assign(
        error_rise=100 * (measured["error"] - measured["dense_error"]),
        loss_rise=measured["loss"] - measured["dense_loss"],
    )
    means = ("weights", "macs", "ms", "removed", "error_rise", "loss_rise")
    wanted = {name: (name, "mean") for name in means} | {"seeds": ("seed", "nunique")}
    found = measured.groupby(_POINT, sort=True).agg(**wanted)
    return pd.DataFrame(found.reset_index())


def refusals(table: pd.DataFrame) -> list[str]:
    """Return a sentence for each method and network that nothing was measured of, and why."""
    lacking = table[table["layer"].isna()].drop_duplicates(["model", "method"])
    rows = lacking[["method", "model", "message"]].itertuples(index=False, name=None)
    return [f"{method} on {model}: {message}" for method, model, message in rows]
