"""Facts that all figures of an experiment share: line styles, scores, phases, order of regimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from prunebench.experiment.settings import PARTS, Analysis
from prunebench.report.figures import style
from prunebench.statistics import RANDOM, bands, score_subsets
from prunebench.statistics.cells_table import flags
from prunebench.statistics.counted_cells import paired_difference
from prunebench.statistics.hypotheses import phases
from prunebench.statistics.hypotheses.paired_cells import (
    CONTROL_KINDS,
    PairedCells,
    pair_cells,
)
from prunebench.statistics.published_results import origin, own
from prunebench.statistics.recovery_lengths import all_lengths, longest
from prunebench.storage.records import ALL, COLUMNS, COST, DENSE, QUALITY, SIZE
from prunebench.text.numbers import plural

EMPHASISED = 8  # methods in colour; the rest are thin and grey
NAMED = 3  # methods beside highlighted ones that are named; more are a group
CONTROLS = 4  # control curves with a look of their own
PUBLISHED = 6  # curves of others with a look of their own
EVERYTHING = (ALL, ALL, ALL)
NUMBERS = ("recovery_length", "label_noise", "train_samples", "width", *SIZE, *QUALITY, *COST)


@dataclass(frozen=True)
class FigureContext:
    """A whole table of cells, the settings by which it is judged, and facts derived from both."""

    cells: pd.DataFrame  # as given to ``of``, with all columns, ``difference`` and ``gain``
    analysis: Analysis
    baseline: str = DENSE
    layers: pd.DataFrame | None = None  # layers.csv
    sensitivity: pd.DataFrame | None = None  # sensitivity.csv
    highlight: tuple[str, ...] = ()  # methods in colour and on top, where the others are grey

    @classmethod
    def of(
        cls, cells: pd.DataFrame, analysis: Analysis | None = None, baseline: str = DENSE,
        layers: pd.DataFrame | None = None, sensitivity: pd.DataFrame | None = None,
        highlight: Sequence[str] = (),
    ) -> FigureContext:  # fmt: skip
        """Return the context of a table of cells.

        Missing columns are added, and ``difference`` and ``gain`` (= −difference), in points.

        Args:
            cells: the records.
            analysis: how the records are judged; None means the defaults.
            baseline: the method that the others are compared with.
            layers: the rows of layers.csv, for the figure of layers.
            sensitivity: the rows of sensitivity.csv, for its figures.
            highlight: the methods that stand out, at every length of their recovery; none: all
                are alike.
        """
        extra = [c for c in cells.columns if c not in COLUMNS]
        order = [*COLUMNS, *extra]
        cells = cells.reindex(columns=order).reset_index(drop=True)
        # at once: column by column pandas keeps a block for each
        numbers = cells[[*NUMBERS]].apply(pd.to_numeric, errors="coerce").astype("float64")
        cells = pd.concat([cells.drop(columns=[*NUMBERS]), numbers], axis=1)[order].copy()
        # the records themselves stay as they are: who counts them leaves out what failed
        cells["difference"] = paired_difference(cells, baseline)["difference"]
        cells["gain"] = -cells["difference"]
        stands_out = tuple(all_lengths(cells, highlight))
        judged = analysis or Analysis()
        return cls(cells.copy(), judged, baseline, layers, sensitivity, stands_out)

    @cached_property
    def scores(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """Return the tables of ``score_subsets``, with the method as their index."""
        judged = self.analysis
        primary = [m for m in judged.primary if m in set(self.cells["method"])]
        found = score_subsets(
            self.cells, self.baseline, alpha=judged.alpha, primary=primary or None,
            equivalence=judged.equivalence,
        )  # fmt: skip
        return {key: table.set_index("method") for key, table in found.items()}

    @cached_property
    def phases(self) -> pd.DataFrame:
        """Return the phases that the statistics show, for every setting and method."""
        return phases(self.cells, self.analysis.equivalence)

    @cached_property
    def table(self) -> PairedCells:
        """Return the cells as the hypotheses see them."""
        return pair_cells(self.cells, self.analysis)

    @cached_property
    def own(self) -> pd.DataFrame:
        """Return the cells that were run here."""
        return own(self.cells)

    @cached_property
    def published(self) -> list[str]:
        """Return the names of published methods, without their dense networks."""
        theirs = self.cells.loc[origin(self.cells) != "", "method"]
        return sorted(set(theirs) - set(self.levels))

    @cached_property
    def parts(self) -> pd.DataFrame:
        """Return the parts of each method (the index); empty where the records do not name them."""
        return self.cells.groupby("method", sort=True)[list(PARTS)].first()

    @cached_property
    def levels(self) -> list[str]:
        """Return the methods drawn as horizontal lines: the baseline first, published ones last."""
        highest = self.cells.groupby("method")["sparsity"].max()
        mine = set(self.own["method"])
        still = highest.index[highest == 0]
        return sorted(still, key=lambda name: (name != self.baseline, name not in mine, name))

    @cached_property
    def controls(self) -> list[str]:
        """Return all controls but the baseline.

        Where the records do not name controls, these are random pruning and the levels.
        """
        said = flags(self.own["control"])
        named = set(self.own.loc[said.fillna(False), "method"])
        if said.isna().all():
            named = {RANDOM, *self.levels} & set(self.own["method"])
        return sorted(named - {self.baseline})

    @cached_property
    def candidates(self) -> list[str]:
        """Return the methods to be judged: neither controls nor the baseline."""
        return sorted(set(self.own["method"]) - {self.baseline, *self.controls})

    @cached_property
    def shown(self) -> list[str]:
        """Return the methods drawn in colour, by name: declared ones, then the best scores.

        Where methods are highlighted, these alone: others are grey.
        """
        return [name for name in self.longest_forms if name in self.highlight] or self._leading

    @cached_property
    def longest_forms(self) -> list[str]:
        """Return the candidates at their longest recovery, by name."""
        return [name for name in self.candidates if name not in self.other_lengths]

    @cached_property
    def _leading(self) -> list[str]:
        if len(self.longest_forms) <= EMPHASISED:
            return self.longest_forms
        declared = longest(self.own, self.analysis.primary)
        ranked = [*declared, *self.scores[EVERYTHING].index]
        found = [m for m in dict.fromkeys(ranked) if m in self.longest_forms]
        return sorted(found[:EMPHASISED])

    @cached_property
    def few(self) -> list[str]:
        """Return the methods of a figure that has room for few: highlighted ones come first."""
        if not self.highlight:
            return self.shown
        return list(dict.fromkeys([*self.shown, *self._leading]))[:EMPHASISED]

    @cached_property
    def few_styles(self) -> dict[str, style.LineStyle]:
        """Return the looks of ``few``, each its own: highlighted ones in colour, others grey."""
        return style.line_styles(self.shown, beside=[m for m in self.few if m not in self.shown])

    @cached_property
    def beside(self) -> list[str]:
        """Return the methods that highlighted ones are seen beside by name, where they are few."""
        if not self.highlight:
            return []
        hidden = {*self.shown, *self.other_lengths}
        rest = [name for name in self.candidates if name not in hidden]
        return rest if len(rest) <= NAMED else []

    @cached_property
    def other_lengths(self) -> frozenset[str]:
        """Return the methods that have a longer form, which figures over compression show."""
        return frozenset(set(self.own["method"]) - set(longest(self.own)))

    def look(self, method: str) -> style.LineStyle:
        """Return a method's look: of a shorter form, that of its longest, hollow."""
        for name in [method, *longest(self.own, [method])]:
            if name in self.styles:
                found = self.styles[name]
                return found if name == method else replace(found, fill="white", width=1.0)
        return style.PLAIN

    @cached_property
    def control_curves(self) -> list[str]:
        """Return the controls that have a curve: random, small dense and shuffled ones first."""
        made = [CONTROL_KINDS[kind](self.parts) for kind in ("random", "small-dense", "shuffled")]

        def place(name: str) -> tuple[bool, int, str]:
            kinds = [i for i, kind in enumerate(made) if bool(kind.get(name, False))]
            return name != RANDOM, min(kinds, default=len(made)), name

        return sorted(set(self.controls) - set(self.levels) - self.other_lengths, key=place)

    @cached_property
    def styles(self) -> dict[str, style.LineStyle]:
        """Return the line styles in the legend's order; other methods are drawn thin and grey."""
        named = [m for m in self.control_curves if m in self.control_curves[:CONTROLS]]
        hidden = self.other_lengths.union(self.candidates)
        levels = [m for m in self.levels if m not in hidden]
        published = self.published[:PUBLISHED]
        return style.line_styles(self.shown, named, levels, published, self.beside)

    @cached_property
    def regimes(self) -> list[str]:
        """Return the regimes by label noise, then by training samples (most first), then name."""
        means = self.cells.groupby("regime", sort=True)[["label_noise", "train_samples"]].mean()
        means = means.round(9).fillna({"label_noise": 0.0, "train_samples": 0.0})
        keys = {str(name): (row.iloc[0], -row.iloc[1], name) for name, row in means.iterrows()}
        return sorted(keys, key=lambda name: keys[name])

    def settings(self, rows: pd.DataFrame) -> list[tuple[str, str]]:
        """Return the pairs of regime and model in ``rows``: by model, then as ``regimes``."""
        there = set(rows[["regime", "model"]].itertuples(index=False, name=None))
        models = sorted({model for _, model in there})
        return [(r, m) for m in models for r in self.regimes if (r, m) in there]


def not_drawn(count: int) -> str:
    """Return the note of a figure that leaves ``count`` methods out; "" where it leaves none."""
    return f"not drawn: {plural(count, 'other method')}" if count else ""


def points(cells: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return ``bands`` of the columns and of both ratios."""
    ratios = ["compression_ratio", "theoretical_speedup"]
    return bands(cells, list(dict.fromkeys([*columns, *ratios])))


def measured(cells: pd.DataFrame, column: str) -> bool:
    """Return whether a pruned network has a value in ``column``."""
    return bool(cells.loc[cells["sparsity"] > 0, column].notna().any())
