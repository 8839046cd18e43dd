"""Score methods: the mean change of test error over the whole range of compression."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from prunebench.errors import PrunebenchError, suggest
from prunebench.statistics.bootstrap import DRAWS
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import check_cells, flags
from prunebench.statistics.counted_cells import as_stopped
from prunebench.statistics.label_scopes import shared_draws
from prunebench.statistics.published_results import COLUMN, comparable, named, others, own
from prunebench.statistics.score_table import ScoreRules, score_table
from prunebench.statistics.setting_scores import SettingScores, score_settings
from prunebench.statistics.significance import ALPHA
from prunebench.statistics.stopped_scores import add_stopped
from prunebench.statistics.training_outcomes import failed_cells
from prunebench.storage.records import ALL, DENSE

RANDOM = "random"
EQUIVALENCE = 0.5  # ± points
# the words for published methods that the statistics cannot judge
NOT_JUDGED = "not judged"
NO_REPLICATES = "no test: published without replicates"
NO_DENSE = "no dense result of its own"


def score(
    cells: pd.DataFrame,
    baseline: str = DENSE,
    reference: str = RANDOM,
    alpha: float = ALPHA,
    draws: int = DRAWS,
    primary: Sequence[str] | None = None,
    equivalence: float = EQUIVALENCE,
) -> pd.DataFrame:
    """Score every method against ``baseline``; one row a method, best first.

    The score is the test error minus that of the baseline with the same seed, in points, averaged
    over the seeds of a cell, integrated (trapezoid) over log₂ of the compression ratio that was
    achieved and divided by the range, so that it is a mean difference in points; settings (task,
    regime, model) weighted equally. Negative is better than the baseline. The range is the one that
    all methods but the controls reach in a setting; between the ratios that a method achieved its
    errors are joined by straight lines.

    Cells that failed leave in pairs, whichever side failed, and are counted. Methods are ranked by
    the number of compressions at which they collapse, then by the score; one
    that lacks cells stands behind those that beat it on the cells that both have.

    Published methods stand last and change nothing above them: each is compared with the dense
    results of its own source, without ``primary``. Where these have other seeds nothing is paired:
    interval and test are Welch's, and wider.

    Args:
        cells: Checked cells, published rows among them.
        baseline: The method to compare with, usually dense.
        reference: A second one, usually random pruning; it may be absent.
        alpha: The largest adjusted p that shows a difference.
        draws: Of the bootstrap.
        primary: The methods that Holm adjusts for; default: all that are no controls by the column
            ``control`` (all, where no row says so).
        equivalence: The region of practical equivalence is ±equivalence points.

    Returns:
        ``score``, in points. ``low``, ``high``: 95 % bootstrap interval over seeds within the
        settings, draws shared by all methods; NaN where a setting has one seed.
        ``interval_over``: ``seeds`` (on these tasks), or ``seeds and tasks`` from 8 tasks on.
        ``chosen*``: the same for the value at the sparsity with the lowest mean validation error
        (chosen anew in each draw; ties go to the sparser), among those at which fewer than half of
        the trainings are under-trained; NaN where there is none, as in ``best_*``.
        ``p_baseline``, ``p_reference``: exact sign-flip test over independent units
        (``unit_shares``), Holm-adjusted over the primary methods. Others keep their unadjusted p,
        and ``against_*``, the words, call it exploratory. ``p_tasks``, ``against_tasks``:
        Wilcoxon's signed-rank test against the baseline over the means of 9 tasks or more,
        Holm-adjusted alike.
        ``verdict``: ``better``, ``worse``, ``equivalent``, ``unresolved``, by ``decide``;
        ``sample_error``: the standard error over test samples, at most, which widens the interval
        where equivalence is decided; 0 where ``test_samples`` is not recorded.
        ``wins``, ``ties``, ``losses``: cells against the baseline of their seed. ``best_*``: the
        setting and sparsity with the lowest validation difference, and the test difference there.
        ``missing``: points of the grid (all settings, seeds with a baseline, all sparsities)
        without a record; where there are any, ``complete`` is False and the score stands on the
        rest. ``failed``: cells that failed, diverged, collapsed or failed to train,
        ``failed_share`` of its ``cells`` with the exact 95 % interval ``failed_low``,
        ``failed_high``; ``left_out``: cells that make no pair, since they or their baseline failed;
        ``under_trained``: cells whose training had not come to its end, which the score counts;
        ``collapsed``: compressions at which half of the cells or more failed, or the others
        err as a constant predictor does. ``rank``: from 1 on.
        ``stopped_score``, ``stopped_low``, ``stopped_high``, ``stopped_p``, ``stopped_verdict``,
        ``stopped_chosen*``: the same of the states that noisy validation stops at, dense's too.
        ``interaction``, ``interaction_low``, ``interaction_high``, ``interaction_p`` (unadjusted):
        pruning's gain trained minus its gain stopped, where a seed has both. NaN without records
        of stopped states. ``published``: the source of a published result; None is what was run
        here.

    Raises:
        PrunebenchError: ``check_cells`` refuses the table, it has no finished baseline, or
            ``primary`` names a method that it does not have.
    """
    groups = _groups(cells, baseline, reference, alpha, draws, primary, equivalence)
    return _table(groups, (ALL,) * len(SETTING))


def score_subsets(
    cells: pd.DataFrame,
    baseline: str = DENSE,
    reference: str = RANDOM,
    alpha: float = ALPHA,
    draws: int = DRAWS,
    primary: Sequence[str] | None = None,
    equivalence: float = EQUIVALENCE,
    keys: Collection[tuple[str, str, str]] | None = None,
) -> dict[tuple[str, str, str], pd.DataFrame]:
    """Score every subset by task, regime and model, from one pass over the cells.

    Args:
        cells: As in ``score``, and so are the others.
        baseline: See ``score``.
        reference: See ``score``.
        alpha: See ``score``.
        draws: See ``score``.
        primary: See ``score``.
        equivalence: See ``score``.
        keys: The subsets to score; default: all.

    Returns:
        A table of scores for each (task, regime, model) that has cells, with ``all`` for no choice;
        ``("all", "all", "all")`` is first.

    Raises:
        PrunebenchError: As ``score`` does.
    """
    groups = _groups(cells, baseline, reference, alpha, draws, primary, equivalence)
    there = {setting for group in groups for setting in group.settings}
    axes = [[ALL, *sorted({setting[i] for setting in there})] for i in range(len(SETTING))]
    every = set(cells[SETTING].itertuples(index=False, name=None))
    made: dict[frozenset[tuple[str, ...]], pd.DataFrame] = {}  # where there is one task, it is all
    found = {}
    for wanted in product(*axes) if keys is None else keys:
        if any(_within(setting, wanted) for setting in there):
            inside = frozenset(setting for setting in every if _within(setting, wanted))
            if inside not in made:
                made[inside] = _table(groups, wanted)
            found[wanted[0], wanted[1], wanted[2]] = made[inside].copy()
    return found


@dataclass(frozen=True)
class ComparedMethods:
    """Methods to compare with one another: one's own, or the published ones of one source."""

    scored: list[SettingScores]
    rules: ScoreRules
    published: pd.DataFrame  # the rows of a source; none where it was run here
    stopped: list[SettingScores]  # of the stopped states; none where none were recorded

    @property
    def settings(self) -> set[tuple[str, ...]]:
        """The settings with a result to show; of a source more than a dense one."""
        if self.published.empty:
            return {each.grid.setting for each in self.scored}
        rows = self.published[self.published["method"] != self.rules.baseline]
        return set(rows[SETTING].itertuples(index=False, name=None))

    def table(self, wanted: Sequence[str]) -> pd.DataFrame:
        """Return the scores over the settings that are wanted; empty where none has a baseline."""
        scored = [each for each in self.scored if _within(each.grid.setting, wanted)]
        if not scored:
            return pd.DataFrame()
        stopped = [each for each in self.stopped if _within(each.grid.setting, wanted)]
        return add_stopped(score_table(scored, self.rules), scored, stopped, self.rules)


def _groups(
    cells: pd.DataFrame, baseline: str, reference: str, alpha: float, draws: int,
    primary: Sequence[str] | None, equivalence: float,
) -> list[ComparedMethods]:  # fmt: skip
    """Return one's own methods, then those of the published sources one by one."""
    check_cells(cells)
    mine = own(cells)
    rules = _own_rules(mine, baseline, reference, alpha, primary, equivalence)
    scored = score_settings(mine, baseline, reference, draws)
    found = [ComparedMethods(scored, rules, mine.iloc[:0], _stopped(mine, rules, draws))]
    for source, rows in others(cells):
        dense, other = named(DENSE, source), named(reference, source)
        fit = comparable(rows)
        scored = score_settings(fit, dense, other, draws, published=True) if len(fit) else []
        rules = ScoreRules(_families(rows), frozenset(), dense, other, alpha, equivalence)
        found.append(ComparedMethods(scored, rules, rows, []))
    return found


def _stopped(cells: pd.DataFrame, rules: ScoreRules, draws: int) -> list[SettingScores]:
    """Score the stopped states; [] where the baseline has none."""
    found = as_stopped(cells)
    still = found[found["method"] == rules.baseline]
    if still.empty or failed_cells(still).all():
        return []
    return score_settings(found, rules.baseline, rules.reference, draws)


def _table(groups: list[ComparedMethods], wanted: Sequence[str]) -> pd.DataFrame:
    """Return the scores over the settings that are wanted: one's own, then the published ones."""
    mine, *sources = groups
    table = mine.table(wanted).assign(**{COLUMN: None})
    rows = [row for group in sources for row in _published(group, wanted)]
    if not rows:
        return table
    return pd.DataFrame([*table.to_dict("records"), *rows])


def _within(setting: Iterable[str], wanted: Iterable[str]) -> bool:
    return all(w in (ALL, s) for s, w in zip(setting, wanted, strict=True))


def _published(group: ComparedMethods, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a source's methods, best first, those without a score last."""
    keys = group.published[SETTING].itertuples(index=False, name=None)
    rows = group.published[[_within(key, wanted) for key in keys]]
    rows = rows[rows["method"] != group.rules.baseline]
    judged = {str(row["method"]): row for row in group.table(wanted).to_dict("records")}
    found = []
    for method, own_rows in rows.groupby("method", sort=True):
        row = judged.get(str(method)) or _unscored(str(method), group.rules)
        if pd.isna(row["low"]):
            why = NO_REPLICATES if method in judged else NO_DENSE
            row |= {"verdict": NOT_JUDGED, "against_baseline": why, "against_reference": why}
            row |= {"p_baseline": float("nan"), "p_reference": float("nan")}
        failed = int(failed_cells(own_rows).sum())
        counts = {"cells": len(own_rows), "failed": failed, "rank": float("nan")}
        whole = {COLUMN: own_rows[COLUMN].iloc[0]} | (
            {} if method in judged else {"missing": 0, "complete": True}
        )
        found.append({str(key): value for key, value in row.items()} | counts | whole)
    return sorted(found, key=lambda row: (pd.isna(row["score"]), row["score"], row["method"]))


def _unscored(method: str, rules: ScoreRules) -> dict[str, Any]:
    """Return the row of a method that has nothing to be compared with."""
    numbers = (
        "score", "low", "high", "chosen", "chosen_low", "chosen_high", "p_baseline",
        "p_reference", "p_tasks", "best_task", "best_regime", "best_model", "best_sparsity",
        "best_difference",
    )  # fmt: skip
    return {
        "method": method, "family": rules.families[method],
        **dict.fromkeys(numbers, float("nan")), "interval_over": "", "against_tasks": "–",
        "primary": False, "wins": 0, "ties": 0, "losses": 0, "left_out": 0, "under_trained": 0,
        "collapsed": 0,
    }  # fmt: skip


def _own_rules(
    cells: pd.DataFrame, baseline: str, reference: str, alpha: float,
    primary: Sequence[str] | None, equivalence: float,
) -> ScoreRules:  # fmt: skip
    families = _families(cells)
    for name in primary or ():
        if name not in families:
            raise PrunebenchError(f"primary: no method {name!r}{suggest(name, families)}")
    chosen = primary or set(families) - _controls(cells)
    return ScoreRules(
        families, frozenset(chosen), baseline, reference, alpha, equivalence, shared_draws(cells)
    )


def _controls(cells: pd.DataFrame) -> set[str]:
    """Return the methods that a row calls a control."""
    if "control" not in cells.columns:
        return set()
    return set(cells.loc[flags(cells["control"]).fillna(False), "method"])


def _families(cells: pd.DataFrame) -> dict[str, str]:
    """Return the family of each method."""
    pairs = cells[["method", "family"]].drop_duplicates()
    return dict(pairs.itertuples(index=False, name=None))
