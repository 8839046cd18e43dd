"""Add to a table of scores those of the stopped states, and what stopping takes from the gain."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunebench.statistics import bootstrap
from prunebench.statistics.bootstrap import Floats
from prunebench.statistics.score_table import ScoreRules, score_table
from prunebench.statistics.setting_scores import SettingScores
from prunebench.statistics.significance import sign_flip, unit_shares

# of a table of stopped states: what is shown beside the trained ones, and as what
TAKEN = {
    "score": "stopped_score", "low": "stopped_low", "high": "stopped_high",
    "p_baseline": "stopped_p", "verdict": "stopped_verdict", "chosen": "stopped_chosen",
    "chosen_low": "stopped_chosen_low", "chosen_high": "stopped_chosen_high",
}  # fmt: skip
INTERACTION = tuple(f"interaction{end}" for end in ("", "_low", "_high", "_p"))


def add_stopped(
    table: pd.DataFrame, trained: list[SettingScores], stopped: list[SettingScores],
    rules: ScoreRules,
) -> pd.DataFrame:  # fmt: skip
    """Add the columns of the stopped states and the interaction; empty where none were recorded.

    Args:
        table: Scores of the trained states.
        trained: The scores in settings behind it.
        stopped: Those of the stopped states in the same settings, as far as there are any.
        rules: Of both.
    """
    empty = dict.fromkeys((*TAKEN.values(), *INTERACTION), np.nan) | {"stopped_verdict": ""}
    if not stopped:
        return table.assign(**empty)
    other = score_table(stopped, rules).set_index("method")[[*TAKEN]].rename(columns=TAKEN)
    both = _interaction(trained, stopped, rules)
    return table.join(other, on="method").join(both, on="method")


def _interaction(
    trained: list[SettingScores], stopped: list[SettingScores], rules: ScoreRules
) -> pd.DataFrame:
    """Return pruning's gain trained minus its gain stopped, by method."""
    other = {each.grid.setting: each for each in stopped}
    pairs = [(each, other[each.grid.setting]) for each in trained if each.grid.setting in other]
    methods = sorted({*trained[0].grid.methods} & {*stopped[0].grid.methods} - {rules.baseline})
    columns = ["method", *INTERACTION]
    if not pairs or not methods:
        return pd.DataFrame(columns=columns).set_index("method").astype(float)
    names = [each.grid.setting for each, _ in pairs]
    seeds, values, terms, moved = [], [], [], []
    for each, after in pairs:
        shared = np.intersect1d(each.grid.seeds, after.grid.seeds)
        seeds.append(shared)
        parts = [
            tuple(_rows(scores, methods, shared, kind) for kind in ("influence", "own"))
            for scores in (each, after)
        ]
        values.append(parts[1][0] - parts[0][0])  # a gain is minus a score
        terms.append(parts[1][1] - parts[0][1])
        weights = bootstrap.resampling_weights(
            "/".join(each.grid.setting), len(shared), len(each.moved)
        )
        moved.append(bootstrap.deviations(weights, values[-1]))
    found = bootstrap.mean_over_settings(names, values, moved)
    p = [
        sign_flip(unit_shares(names, seeds, [own[m] for own in terms], rules.shared))
        for m in range(len(methods))
    ]
    made = zip(methods, found.point, *found.ends, p, strict=True)
    return pd.DataFrame(made, columns=columns).set_index("method")


def _rows(scores: SettingScores, methods: list[str], seeds: NDArray[np.int_], kind: str) -> Floats:
    """Return what each seed adds, (methods, seeds), of those that are wanted."""
    grid = scores.grid
    rows = np.array([grid.methods.index(method) for method in methods])
    columns = np.searchsorted(grid.seeds, seeds)
    found: Floats = getattr(scores.to_baseline, kind)[np.ix_(rows, columns)]
    return found
