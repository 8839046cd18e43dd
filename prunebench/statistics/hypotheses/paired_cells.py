"""The cells as the hypotheses need them: paired, with what each method and regime is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.statistics.best_methods import best_on_validation
from prunebench.statistics.bootstrap import Floats
from prunebench.statistics.cell_grid import SETTING, area
from prunebench.statistics.cells_table import check_cells
from prunebench.statistics.counted_cells import paired_difference, under_trained
from prunebench.statistics.published_results import own
from prunebench.storage.records import COMPOSITION, COST, DENSE, IDENTITY, QUALITY

SEEDED = [*SETTING, "seed"]
PARTS = tuple(column for column in COMPOSITION if column != "control")
NUMBERS = ("label_noise", "train_samples", *QUALITY, *COST)
NOISY, CLEAN, ALL = "noisy labels", "clean labels", "all settings"
YES = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}

# what a control is made of; a method is recognized by its parts, never by its name
Made = Callable[[pd.DataFrame], pd.Series]


def _dense(recovery: str) -> Made:
    return lambda made: (made["schedule"] == "dense") & (made["recovery"] == recovery)


def _small(made: pd.DataFrame) -> pd.Series:
    start = (made["pattern"] == "filter") & (made["schedule"] == "at-initialization")
    return start & (made["criterion"] == "random") & (made["recovery"] == "re-initialization")


def _random(made: pd.DataFrame) -> pd.Series:
    # a dynamic schedule starts at random and then chooses by its own rule
    own = made["schedule"].isin(["dense", "dynamic"]) | (made["recovery"] == "re-initialization")
    return (made["criterion"] == "random") & ~own


def _shuffled(made: pd.DataFrame) -> pd.Series:
    return made["allocation"] == "shuffled"


KINDS: dict[str, Made] = {
    "dense-long": _dense("learning-rate-rewinding"),
    "early-stopping": _dense("early-stopping"),
    "tuned-weight-decay": _dense("tuned-weight-decay"),
    "small-dense": _small,
    "random": _random,
    "shuffled": _shuffled,
}


class Lacking(Exception):
    """The records do not hold what a hypothesis needs; the text says what, in part of a sentence.

    ``beside``: evidence of what could be looked at nevertheless.
    """

    def __init__(self, reason: str, beside: pd.DataFrame | None = None) -> None:
        super().__init__(reason)
        self.beside = beside


@dataclass(frozen=True)
class Table:
    """Counted cells of seeds with a usable baseline, sorted, with ``difference`` and ``noisy``.

    ``difference`` is in points of test error against the dense baseline of the same seed.
    """

    rows: pd.DataFrame
    analysis: Analysis
    made: pd.DataFrame  # parts of each method, and ``control``; the index is the method
    primary: tuple[str, ...]  # the declared family, as far as it was recorded
    absent: tuple[str, ...]  # declared, not recorded
    left_out: tuple[str, ...]  # settings with under-trained baselines, and their seeds

    @property
    def dense(self) -> pd.DataFrame:
        """The baselines' own rows."""
        return self.rows[self.rows["method"] == DENSE]

    def of(self, methods: list[str] | tuple[str, ...]) -> pd.DataFrame:
        """The rows of ``methods``."""
        return self.rows[self.rows["method"].isin(methods)]

    def kind(self, name: str) -> list[str]:
        """The controls of a kind, e.g. ``dense-long``, by their parts; empty where none is."""
        return sorted(self.made.index[KINDS[name](self.made)])

    @property
    def family(self) -> tuple[str, ...]:
        """The declared methods; raises Lacking where there are none, or nobody says which."""
        said = self.made["control"].any() or self.composed
        if not (self.analysis.primary or said):
            raise Lacking(
                "the records do not say which methods are controls (columns control, criterion,"
                " schedule, … are empty), and analysis.primary declares no methods"
            )
        if not self.primary:
            raise Lacking("no method of the declared family was recorded")
        if (self.rows["method"] == DENSE).all():
            raise Lacking("no pruned cell has a finished and trained baseline of its seed")
        return self.primary

    @property
    def composed(self) -> bool:
        """Whether the records say what the methods are made of."""
        return bool(self.made[list(PARTS)].notna().any(axis=None))

    def scopes(self) -> dict[str, pd.DataFrame]:
        """The settings, with noisy and with clean labels; as one where the records do not say.

        Noisy ones come first. Values: frames of the columns SETTING.
        """
        settings = self.rows[[*SETTING, "noisy"]].drop_duplicates()
        if settings["noisy"].isna().all():
            return {ALL: settings[SETTING]}
        noisy = settings["noisy"] == True  # noqa: E712 - a column of objects, with None
        found = {NOISY: settings.loc[noisy, SETTING], CLEAN: settings.loc[~noisy, SETTING]}
        return {name: frame for name, frame in found.items() if len(frame)}

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
        cells = pruned[[*by, "seed", "sparsity", "difference"]]
        found = found.merge(cells, on=[*by, "seed", "sparsity"], how="left")
        found["gain"] = -found.pop("difference")
        curves = pruned.pivot(index=[*by, "seed"], columns="sparsity")
        octaves = -np.log2(1 - curves["difference"].columns.to_numpy(float))
        integrated = pd.Series(-area(curves["difference"].to_numpy(float), octaves), curves.index)
        parts = [
            pd.Series(_left_out(rows, octaves), rows.index)
            for _, rows in curves.groupby(level=by, sort=True)
        ]
        left_out = pd.concat(parts) if parts else pd.Series(dtype=float, index=curves.index)
        keys = [*by, "seed"]
        return found.join(integrated.rename("integrated"), on=keys).join(
            left_out.rename("gain_left_out"), on=keys
        )

    def absent_note(self) -> str:
        """What of the declared family was not recorded."""
        return f"Declared but not recorded: {', '.join(self.absent)}." if self.absent else ""

    def left_out_note(self) -> str:
        """Which baselines had not learned the labels they were trained on."""
        if not self.left_out:
            return ""
        shown = "; ".join(self.left_out[:3]) + ("; …" if len(self.left_out) > 3 else "")
        return (
            f"Left out as under-trained: {shown}; a gain over a dense model that has not learned"
            " its training labels is spurious."
        )


def prepare(cells: pd.DataFrame, analysis: Analysis) -> Table:
    """Check, pair and describe the cells; seeds with an under-trained baseline are left out.

    What others published takes no part. Raises PrunebenchError for a table that ``check_cells``
    refuses.
    """
    check_cells(cells)
    cells = own(cells)
    order = [column for column in IDENTITY if column != "family"]
    cells = cells.sort_values(order).reset_index(drop=True)
    cells["sparsity"] = cells["sparsity"].astype("float64").round(10)
    for column in NUMBERS:
        there = cells[column] if column in cells.columns else pd.Series(np.nan, cells.index)
        cells[column] = pd.to_numeric(there, errors="coerce").astype("float64")
    rows = paired_difference(cells).drop(columns="reference_error")
    rows["noisy"] = _noisy(rows)
    made = _made(rows)
    late = under_trained(cells)
    keys = rows.loc[late, SEEDED].drop_duplicates()
    left_out = tuple(
        f"{'/'.join(map(str, setting))} seed{'s' if len(own) > 1 else ''}"
        f" {', '.join(map(str, sorted(own['seed'])))}"
        for setting, own in keys.groupby(SETTING, sort=True)
    )
    rows = rows[~late & rows["difference"].notna()].reset_index(drop=True)
    wanted = analysis.primary or list(made.index[~made["control"]])
    recorded = set(made.index)
    return Table(
        rows, analysis, made,
        tuple(sorted(method for method in wanted if method in recorded)),
        tuple(sorted(method for method in wanted if method not in recorded)), left_out,
    )  # fmt: skip


def _noisy(rows: pd.DataFrame) -> pd.Series:
    """True, False, or None where no row of the table says anything about labels."""
    regime = [rows["task"], rows["regime"]]
    noise = rows["label_noise"].groupby(regime).transform("max")
    memorized = rows["memorized"].notna().groupby(regime).transform("any")
    if noise.isna().all() and not memorized.any():
        return pd.Series([None] * len(rows), rows.index, dtype=object)
    return (noise > 0).where(noise.notna(), memorized).astype(object)


def _made(rows: pd.DataFrame) -> pd.DataFrame:
    """The parts of each method but dense, and whether it is a control."""
    pruned = rows[rows["method"] != DENSE].reindex(columns=["method", *COMPOSITION])
    for column in COMPOSITION:
        pruned[column] = pruned[column].astype(object).where(pruned[column].notna(), None)
    made = pruned.groupby("method", sort=True)[list(COMPOSITION)].first()
    said = made["control"].map(lambda value: YES.get(str(value).strip().lower()))
    by_parts = made["schedule"] == "dense"
    for kind in KINDS.values():
        by_parts |= kind(made)
    by_parts |= made["recovery"] == "re-initialization"
    known = zip(said, by_parts, strict=True)
    control = [bool(parts if value is None else value) for value, parts in known]
    made["control"] = pd.Series(control, made.index, dtype=bool)  # boolean also where it is empty
    return made


def within(values: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``values`` whose setting is one of ``settings``."""
    return values.merge(settings[SETTING].drop_duplicates(), on=SETTING)


def balanced(rows: pd.DataFrame) -> pd.DataFrame:
    """Without the sparsities that fewer seeds of their curve reached: a choice among means needs
    the same seeds in each."""
    by = [*SETTING, "method"]
    seeds = rows.groupby([*by, "sparsity"])["seed"].transform("size")
    most = seeds.groupby([rows[column] for column in by]).transform("max")
    return rows[seeds == most]


def _left_out(curve: pd.DataFrame, octaves: Floats) -> Floats:
    """Per seed minus the difference at the sparsity that the other seeds' validation chooses.

    ``curve``: seeds × (``val_error``, ``difference``) × sparsities; points with holes take no part.
    """
    val = curve["val_error"].to_numpy(float).reshape(-1, len(octaves))
    gains = -curve["difference"].to_numpy(float).reshape(-1, len(octaves))
    there = ~np.isnan(val + gains).any(axis=0)
    val, gains = val[:, there], gains[:, there]
    if len(val) < 2 or not there.any():
        return np.full(len(val), np.nan)
    others = ((val.sum(axis=0) - val) / (len(val) - 1)).round(9)
    at = others.shape[1] - 1 - np.argmin(others[:, ::-1], axis=1)  # ties: the sparser
    chosen: Floats = gains[np.arange(len(gains)), at]
    return chosen
