"""Prepare cells for the hypotheses: paired with their baseline, with parts and regimes known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from prunebench.experiment.settings import PARTS, Analysis
from prunebench.statistics.best_methods import best_on_validation
from prunebench.statistics.bootstrap import Floats, mean_or_nan
from prunebench.statistics.cell_grid import SETTING, integrate
from prunebench.statistics.cells_table import check_cells, flags
from prunebench.statistics.counted_cells import (
    as_stopped,
    chance_errors,
    paired_difference,
    under_trained,
)
from prunebench.statistics.hypotheses.comparisons import Comparison, compare_each
from prunebench.statistics.label_scopes import (
    ALL,
    has_noisy_labels,
    label_scopes,
    shared_draws,
)
from prunebench.statistics.published_results import own
from prunebench.statistics.sample_error import sample_errors
from prunebench.statistics.training_outcomes import (
    failed_cells,
    outcomes,
    outcomes_recorded,
    why_not_trained_out,
)
from prunebench.storage.records import COMPOSITION, COST, DENSE, IDENTITY, QUALITY, STOPPED
from prunebench.text.numbers import first_few

SEEDED = [*SETTING, "seed"]

NUMBERS = ("label_noise", "train_samples", "test_samples", *QUALITY, *COST)

# a control is recognized by its parts, never by its name: whether each method (row) is of a kind
IsKind = Callable[[pd.DataFrame], pd.Series]


def _dense(recovery: str) -> IsKind:
    return lambda parts: (parts["schedule"] == "dense") & (parts["recovery"] == recovery)


def _small(parts: pd.DataFrame) -> pd.Series:
    start = (parts["pattern"] == "filter") & (parts["schedule"] == "at-initialization")
    return start & (parts["criterion"] == "random") & (parts["recovery"] == "re-initialization")


def _random(parts: pd.DataFrame) -> pd.Series:
    # a dynamic schedule starts at random and then chooses by its own rule
    own = parts["schedule"].isin(["dense", "dynamic"]) | (parts["recovery"] == "re-initialization")
    return (parts["criterion"] == "random") & ~own


def _shuffled(parts: pd.DataFrame) -> pd.Series:
    return parts["allocation"] == "shuffled"


CONTROL_KINDS: dict[str, IsKind] = {
    "dense-long": _dense("learning-rate-rewinding"),
    "early-stopping": _dense("early-stopping"),
    "tuned-weight-decay": _dense("tuned-weight-decay"),
    "small-dense": _small,
    "random": _random,
    "shuffled": _shuffled,
}


class MissingRecords(Exception):
    """The records lack something that a hypothesis needs; the text names it, as part of a sentence.

    ``beside``: evidence of the rest, which could be looked at nevertheless.
    """

    def __init__(self, reason: str, beside: Sequence[Comparison] = ()) -> None:
        super().__init__(reason)
        self.beside = beside


@dataclass(frozen=True)
class PairedCells:
    """Counted cells of seeds with a usable baseline, sorted, with ``difference`` and ``noisy``.

    ``difference`` is in points of test error against the dense baseline of the same seed.
    """

    rows: pd.DataFrame
    analysis: Analysis
    parts: pd.DataFrame  # of each method, and ``control``; the index is the method
    primary: tuple[str, ...]  # the declared family, as far as it was recorded
    absent: tuple[str, ...]  # declared, not recorded
    left_out: dict[str, tuple[str, ...]]  # of each scope: settings with under-trained baselines
    why: str = ""  # why cells take no part, with their counts
    recorded: pd.DataFrame = field(default_factory=pd.DataFrame)  # one's own cells, none left out
    labels: frozenset[str] = frozenset()  # NOISY and CLEAN, as far as a regime has such
    stopped: PairedCells | None = None  # the same of the stopped states, where they were recorded

    @property
    def dense(self) -> pd.DataFrame:
        """The rows of the baselines."""
        return self.rows[self.rows["method"] == DENSE]

    def rows_of(
        self, methods: list[str] | tuple[str, ...], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the rows of ``methods``, with these columns; default: all, a hundred and more."""
        rows = self.rows if columns is None else self.rows[list(columns)]
        return rows[self.rows["method"].isin(methods)]

    def controls_of_kind(self, kind: str) -> list[str]:
        """Return the controls of one of CONTROL_KINDS, by their parts; empty where none is."""
        return sorted(self.parts.index[CONTROL_KINDS[kind](self.parts)])

    @property
    def family(self) -> tuple[str, ...]:
        """The declared methods; raises MissingRecords where none are declared or recorded."""
        said = self.parts["control"].any() or self.has_parts
        if not (self.analysis.primary or said):
            raise MissingRecords(
                "the records do not say which methods are controls (columns control, criterion,"
                " schedule, … are empty), and analysis.primary declares no methods"
            )
        if not self.primary:
            raise MissingRecords("no method of the declared family was recorded")
        if (self.rows["method"] == DENSE).all():
            raise MissingRecords("no pruned cell has a finished and trained baseline of its seed")
        return self.primary

    @property
    def has_parts(self) -> bool:
        """True if the records name the parts of the methods."""
        return bool(self.parts[list(PARTS)].notna().any(axis=None))

    def scopes(self) -> dict[str, pd.DataFrame]:
        """Return the settings with noisy labels, then those with clean ones, as frames of SETTING.

        Where the records do not say which are noisy, all of them as one scope.
        """
        return label_scopes(self.rows)

    def settings_with(self, labels: str) -> pd.DataFrame:
        """Return the settings with such labels, NOISY or CLEAN, as a frame of SETTING.

        Raises:
            MissingRecords: There are none, or none that can be paired; the text says which.
        """
        scopes = self.scopes()
        if labels in scopes:
            return scopes[labels]
        if not self.labels:
            raise MissingRecords(
                f"the records do not say which regimes have {labels} (label_noise)"
            )
        if labels not in self.labels:
            raise MissingRecords(f"no regime has {labels}")
        if late := self.left_out.get(labels):
            raise MissingRecords(
                f"every baseline with {labels} is under-trained ({first_few(late)})"
            )
        raise MissingRecords(f"no cell with {labels} has a finished and trained baseline")

    @cached_property
    def gains(self) -> pd.DataFrame:
        """One row per setting, method and seed; gains in points, positive is better than dense.

        ``gain``: at ``sparsity``, which has the lowest mean validation error over seeds (ties: the
        sparser); ``gain_left_out``: at the sparsity that the other seeds' validation chooses, so
        that no seed takes part in its own choice; ``integrated``: the mean over log₂ of the
        compression ratio (minus the score). A dense control stands at sparsity 0.
        """
        pruned = balanced(self.rows[self.rows["method"] != DENSE])
        by = [*SETTING, "method"]
        chosen = best_on_validation(pd.concat([pruned, self.dense]), by)[[*by, "sparsity"]]
        seeds = pruned[[*by, "seed"]].drop_duplicates()
        found = seeds.merge(chosen, on=by, how="left")
        cells = pruned[[*by, "seed", "sparsity", "difference", "sample_error"]]
        found = found.merge(cells, on=[*by, "seed", "sparsity"], how="left")
        found["gain"] = -found.pop("difference")
        measures = ["difference", "octaves", "choice_error"]
        curves = pruned.pivot(index=[*by, "seed"], columns="sparsity", values=measures)
        empty = pd.Series(dtype=float, index=curves.index)
        integrated, left_out = [empty], [empty]
        for _, rows in curves.groupby(level=by, sort=True):
            integrated.append(pd.Series(-heights(rows, "difference"), rows.index))
            left_out.append(pd.Series(_left_out(rows), rows.index))
        keys = [*by, "seed"]
        made = {"integrated": integrated, "gain_left_out": left_out}
        for name, parts in made.items():
            found = found.join(pd.concat(parts[1:] or parts).rename(name), on=keys)
        return found

    @cached_property
    def chance(self) -> pd.Series:
        """The error of a constant predictor, per row; NaN where it is not known."""
        return chance_errors(self.rows)

    @cached_property
    def _regimes(self) -> set[tuple[str, str]]:
        return set(self.rows[["task", "regime"]].itertuples(index=False, name=None))

    @cached_property
    def shared(self) -> frozenset[tuple[str, str]]:
        """The (task, regime) whose random draws all models share."""
        return shared_draws(self.rows)

    def compare(
        self, values: pd.DataFrame, measure: str, scope: str, against: str, column: str = "value",
        margin: float = 0.0, by: str = "method",
    ) -> list[Comparison]:  # fmt: skip
        """Return ``compare_each`` of values that stem from these cells.

        Values over several regimes stand under a name that is no regime's: they share the draws
        of those regimes.
        """
        there = set(values[["task", "regime"]].itertuples(index=False, name=None))
        shared = {pair for pair in there if pair in self.shared or pair not in self._regimes}
        return compare_each(values, measure, scope, against, column, margin, by, shared)

    def absent_note(self) -> str:
        """Return a sentence about the declared methods that were not recorded; "" without any."""
        return f"Declared but not recorded: {', '.join(self.absent)}." if self.absent else ""

    def left_out_note(self) -> str:
        """Return a sentence about the under-trained baselines left out; "" without any."""
        said = [f"Left out in pairs: {self.why}."] if self.why else []
        late = sorted(setting for settings in self.left_out.values() for setting in settings)
        if late:
            shown = "; ".join(late[:3]) + ("; …" if len(late) > 3 else "")
            said.append(
                f"Left out as under-trained: {shown}; a gain over a dense model that has not"
                " learned its training labels is spurious."
            )
        return " ".join(said)


def _not_trained(cells: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return per row why it takes no part, in words, and whether its baseline is under-trained.

    Where the records say how trainings ended, both sides of a pair must be trained out; a control
    whose rule is to stop is what it is. Where they do not, the baseline's training error decides.
    """
    if not outcomes_recorded(cells):
        late = under_trained(cells)
        return pd.Series("", cells.index, dtype=object).mask(failed_cells(cells), "failed"), late
    stops = (outcomes(cells) == STOPPED) & (cells["method"] != DENSE)
    why = why_not_trained_out(cells).mask(stops & ~failed_cells(cells), "")
    dense = cells.loc[cells["method"] == DENSE, SEEDED].assign(
        of=why[cells["method"] == DENSE].to_numpy()
    )
    found = cells[SEEDED].merge(dense, on=SEEDED, how="left")["of"].fillna("")
    of_dense = pd.Series(found.to_numpy(), cells.index)
    why = why.where((why != "") | (of_dense == ""), "baseline " + of_dense)
    return why, of_dense.isin(["under-trained", "stopped early"])


def pair_cells(cells: pd.DataFrame, analysis: Analysis) -> PairedCells:
    """Check the cells, pair them with their baselines, and find out what methods and regimes are.

    A pair of which one side failed, or was not trained to its end, takes no part; neither do
    published results. Stopped states, where they were recorded, are paired by themselves.

    Args:
        cells: As ``read_cells`` returns them.
        analysis: The declared family, level, and region of practical equivalence.

    Raises:
        PrunebenchError: ``check_cells`` refuses the table.
    """
    check_cells(cells)
    cells = own(cells)
    found = _pair(cells, analysis, *_not_trained(cells))
    after = as_stopped(cells)
    if not (after["method"] == DENSE).any() or failed_cells(after[after["method"] == DENSE]).all():
        return found
    why = pd.Series("", after.index, dtype=object).mask(failed_cells(after), "failed")
    late = pd.Series(False, after.index)
    return replace(found, stopped=_pair(after, analysis, why, late))


def _pair(cells: pd.DataFrame, analysis: Analysis, why: pd.Series, late: pd.Series) -> PairedCells:
    recorded = cells
    cells = cells.assign(why=why, late=late)
    order = [column for column in IDENTITY if column != "family"]
    cells = cells.sort_values(order).reset_index(drop=True)
    cells["sparsity"] = cells["sparsity"].astype("float64").round(10)
    for column in NUMBERS:
        there = cells[column] if column in cells.columns else pd.Series(np.nan, cells.index)
        cells[column] = pd.to_numeric(there, errors="coerce").astype("float64")
    rows = paired_difference(cells)
    rows["sample_error"] = sample_errors(rows)
    rows = rows.drop(columns="reference_error")
    rows["noisy"] = has_noisy_labels(rows)
    parts = _parts(rows)
    late, out = rows.pop("late").astype(bool), rows.pop("why").astype(str)
    pruned = rows["method"] != DENSE
    reasons = out[pruned & (out != "")].value_counts().sort_index()
    left_out = {
        scope: _with_seeds(in_settings(rows[late], settings))
        for scope, settings in label_scopes(rows).items()
        if late.any()
    }
    labels = frozenset(label_scopes(rows)) - {ALL}
    usable = ~late & (out == "") & rows["difference"].notna()
    rows = rows[usable].reset_index(drop=True)
    wanted = analysis.primary or list(parts.index[~parts["control"]])
    known = set(parts.index)
    return PairedCells(
        rows, analysis, parts,
        tuple(sorted(method for method in wanted if method in known)),
        tuple(sorted(method for method in wanted if method not in known)), left_out,
        _counted_reasons(reasons, int(pruned.sum())), recorded, labels,
    )  # fmt: skip


def _with_seeds(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return each setting with its seeds: ``t/r/m seeds 0, 1``."""
    keys = rows[SEEDED].drop_duplicates()
    return tuple(
        f"{'/'.join(map(str, setting))} seed{'s' if len(own) > 1 else ''}"
        f" {', '.join(map(str, sorted(own['seed'])))}"
        for setting, own in keys.groupby(SETTING, sort=True)
    )


def _counted_reasons(reasons: pd.Series, cells: int) -> str:
    if not len(reasons):
        return ""
    said = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    return f"{int(reasons.sum())} of {cells} cells ({said})"


def _parts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the parts of each method but dense, and whether it is a control."""
    pruned = rows[rows["method"] != DENSE].reindex(columns=["method", *COMPOSITION])
    for column in COMPOSITION:
        pruned[column] = pruned[column].astype(object).where(pruned[column].notna(), None)
    parts = pruned.groupby("method", sort=True)[list(COMPOSITION)].first()
    by_parts = (parts["schedule"] == "dense") | (parts["recovery"] == "re-initialization")
    for is_kind in CONTROL_KINDS.values():
        by_parts |= is_kind(parts)
    said = flags(parts["control"]).fillna(by_parts.astype("boolean"))
    # unknown parts are alike: None equals itself, and NaN does not
    return parts.astype(object).where(parts.notna(), None).assign(control=said.astype(bool))


def in_settings(values: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``values`` whose setting is one of ``settings``."""
    return values.merge(settings[SETTING].drop_duplicates(), on=SETTING)


def balanced(rows: pd.DataFrame) -> pd.DataFrame:
    """Drop the sparsities that fewer seeds of their curve reached than others.

    A choice among means needs the same seeds in each.
    """
    by = [*SETTING, "method"]
    seeds = rows.groupby([*by, "sparsity"])["seed"].transform("size")
    most = seeds.groupby([rows[column] for column in by]).transform("max")
    return rows[seeds == most]


def heights(curve: pd.DataFrame, name: str) -> Floats:
    """Return what each seed adds to the mean of a column over log₂ of the achieved compression.

    ``curve``: seeds × (``name``, ``octaves``) × sparsities, of one method in one setting.
    """
    octaves = mean_or_nan(curve["octaves"].to_numpy(float), 0)
    return integrate(curve[name].to_numpy(float), octaves, (-np.inf, np.inf))[0]


def _left_out(curve: pd.DataFrame) -> Floats:
    """Return each seed's gain at the sparsity that the other seeds' validation chooses.

    ``curve``: seeds × (``choice_error``, ``difference``) × sparsities; points with holes take no
    part.
    """
    val = curve["choice_error"].to_numpy(float)
    gains = -curve["difference"].to_numpy(float)
    there = ~np.isnan(val + gains).any(axis=0)
    val, gains = val[:, there], gains[:, there]
    if len(val) < 2 or not there.any():
        return np.full(len(val), np.nan)
    others = ((val.sum(axis=0) - val) / (len(val) - 1)).round(9)
    at = others.shape[1] - 1 - np.argmin(others[:, ::-1], axis=1)  # ties: the sparser
    chosen: Floats = gains[np.arange(len(gains)), at]
    return chosen
