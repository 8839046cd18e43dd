"""Warnings that a reader must know before believing the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prunebench.report import reader_warnings
from prunebench.report.document import protocol_section, provenance_section
from prunebench.report.document.elements import ListBlock, Section
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics import smallest_p


def sections(inputs: ReportInputs) -> list[Section]:
    """Return a section of warnings, the gravest first; [] where there is nothing to warn of."""
    sources: tuple[Callable[[ReportInputs], Iterator[str]], ...] = (
        _settings, _seeds, _cells, _origin,
    )  # fmt: skip
    said = tuple(sentence for source in sources for sentence in source(inputs))
    block = ListBlock(said, warning=True)
    return [Section("Before you believe it", "mind", [block])] if said else []


def _settings(inputs: ReportInputs) -> Iterator[str]:
    analysis = inputs.analysis
    if inputs.experiment is None:
        yield (
            f"The run's own settings are not known ({inputs.unread}): the region of practical"
            f" equivalence, ±{analysis.equivalence:g} points, and the level of significance,"
            f" {analysis.alpha:g}, are defaults that the run did not declare."
        )
    if inputs.table.absent:
        yield f"Declared as candidates but not recorded: {', '.join(inputs.table.absent)}."


def _seeds(inputs: ReportInputs) -> Iterator[str]:
    size = max(1, int(inputs.scores["primary"].sum()))
    if smallest_p(inputs.seeds) * size > inputs.analysis.alpha:
        yield protocol_section.power(inputs)
    if inputs.seeds == 1:
        yield "With a single seed there are no intervals: nothing is known of the spread."


def _cells(inputs: ReportInputs) -> Iterator[str]:
    for sentence in reader_warnings.late(inputs.cells):
        yield f"{sentence} The hypotheses leave them out; the scores do not."
    yield from reader_warnings.lost(inputs.cells)
    scores = inputs.scores
    missing = scores.loc[~scores["complete"], "method"]
    yield from reader_warnings.not_ranked([str(method) for method in missing])


def _origin(inputs: ReportInputs) -> Iterator[str]:
    if names := provenance_section.differing(inputs.cells):
        yield f"Not all records were made alike. They differ in: {', '.join(names)}."
    if count := provenance_section.dirty(inputs.cells):
        yield (
            f"{count} of {len(inputs.cells)} cells were computed in a checkout that differed"
            " from its commit: the commit alone does not repeat them."
        )
