"""The inputs of a report: the records, their settings, and what the statistics say of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from prunebench.experiment import registry
from prunebench.experiment.part_kinds import KINDS
from prunebench.experiment.settings import PARTS, Analysis, Experiment, Part
from prunebench.report import declared_analysis, figures
from prunebench.report.tables import training_tables
from prunebench.statistics import score
from prunebench.statistics.hypotheses import Finding, findings
from prunebench.statistics.hypotheses.paired_cells import PairedCells, pair_cells
from prunebench.statistics.label_scopes import independent_units
from prunebench.statistics.published_results import COLUMN, own
from prunebench.statistics.two_by_two import of_one_setting, two_by_two
from prunebench.storage.layout import Layout
from prunebench.storage.records import COMPOSITION, DENSE
from prunebench.text.numbers import value_text
from prunebench.text.private import without_paths


@dataclass(frozen=True)
class ReportInputs:
    """One experiment, read and judged; published results are kept apart."""

    cells: pd.DataFrame  # that were run here
    layout: Layout
    findings: list[Finding]
    experiment: Experiment | None  # the resolved configuration, where it can be read
    unread: str = ""  # why it cannot
    every: pd.DataFrame | None = None  # the cells and what others published, where there is any

    @classmethod
    def of(cls, cells: pd.DataFrame, layout: Layout) -> ReportInputs:
        """Return the records, judged by the settings beside them or by the defaults."""
        experiment, unread = declared_analysis.experiment(layout)
        analysis = Analysis() if experiment is None else experiment.analysis
        mine = own(cells)
        every = cells if len(mine) < len(cells) else None
        return cls(mine, layout, findings(mine, analysis), experiment, unread, every)

    @property
    def analysis(self) -> Analysis:
        """Return how the records are judged; the defaults where no configuration declares it."""
        return Analysis() if self.experiment is None else self.experiment.analysis

    @cached_property
    def table(self) -> PairedCells:
        """Return the cells as the hypotheses see them, with controls and the declared family."""
        return pair_cells(self.cells, self.analysis)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Return the scores of every method."""
        return score(
            self.cells, alpha=self.analysis.alpha, equivalence=self.analysis.equivalence,
            # what was declared and never recorded is a warning of the report
            primary=[name for name in self.analysis.primary if name in self.methods] or None,
        )  # fmt: skip

    @cached_property
    def two_by_two(self) -> pd.DataFrame:
        """Return the compared methods and their longest forms beside dense, trained and stopped."""
        return training_tables.both_lengths(self.cells, self.analysis)

    @cached_property
    def trained_longer(self) -> pd.DataFrame:
        """Return two by two of the dense network trained as long as the longest method."""
        controls = self.table.controls_of_kind("dense-long")
        found = two_by_two(self.cells, controls) if controls else pd.DataFrame()
        return found if found.empty else found[of_one_setting(found)]

    @cached_property
    def published(self) -> pd.DataFrame:
        """Return the scores of published results."""
        judged = self.analysis
        if self.every is None:
            return self.scores.iloc[:0]
        found = score(self.every, alpha=judged.alpha, equivalence=judged.equivalence)
        return found[found[COLUMN].notna()]

    @cached_property
    def methods(self) -> list[str]:
        """Return the names of all recorded methods but dense."""
        return sorted(set(self.cells["method"]) - {DENSE})

    @cached_property
    def composition(self) -> pd.DataFrame:
        """Return family, control and parts of each method (the index), as texts; missing is None.

        With a configuration, a part also names the parameters that differ from its defaults.
        """
        found = self.cells.groupby("method").first().reindex(columns=["family", *COMPOSITION])
        found = found.astype(object).where(found.notna(), None).loc[self.methods]
        found["control"] = [bool(self.table.parts["control"].get(name)) for name in found.index]
        for method in [] if self.experiment is None else self.experiment.methods:
            if method.name in found.index:
                for kind in PARTS:
                    found.loc[method.name, kind] = _part(kind, getattr(method, kind))
        return found

    @cached_property
    def captions(self) -> dict[str, str]:
        """Return the caption of each figure, by the stem of its file."""
        report = None if self.experiment is None else self.experiment.report
        own, highlight = (report.figures, report.highlight) if report else ([], [])
        every = self.cells if self.every is None else self.every
        return figures.captions(every, own, highlight)

    @cached_property
    def compression(self) -> tuple[float, float] | None:
        """Return the smallest and the largest compression that pruning achieved, if recorded."""
        pruned = self.cells[self.cells["sparsity"] > 0]
        found = pruned.reindex(columns=["compression_ratio"])["compression_ratio"].dropna()
        return (float(found.min()), float(found.max())) if len(found) else None

    @cached_property
    def units(self) -> int:
        """Return the number of independent units that a test over all settings stands on."""
        return independent_units(self.cells)

    @cached_property
    def seeds(self) -> int:
        """Return the number of seeds of the setting that has the fewest."""
        return int(self.cells.groupby(["task", "regime", "model"])["seed"].nunique().min())


def _part(kind: str, part: Part) -> str:
    """Return a part's name, with the parameters that differ from its defaults."""
    usual = registry.find(KINDS[kind], part.name).parameters
    own = [
        f"{key} {value_text(value)}"
        for key, value in part.parameters.items()
        if usual.get(key) != value
    ]
    return without_paths(f"{part.name} ({', '.join(own)})" if own else part.name)
