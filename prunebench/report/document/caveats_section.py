"""What a reader must know before believing a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prunebench.report.document import protocol_section, provenance_section
from prunebench.report.document.inputs import Material
from prunebench.statistics import smallest_p, under_trained
from prunebench.storage.records import OK


def warnings(material: Material) -> list[str]:
    """Sentences, the gravest first; empty where there is nothing to mind."""
    sources: tuple[Callable[[Material], Iterator[str]], ...] = (
        _settings, _seeds, _gates, _lost, _origin,
    )  # fmt: skip
    return [sentence for source in sources for sentence in source(material)]


def _settings(material: Material) -> Iterator[str]:
    analysis = material.analysis
    if material.experiment is None:
        yield (
            f"The run's own settings are not known ({material.unread}): the region of practical"
            f" equivalence, ±{analysis.equivalence:g} points, and the level of significance,"
            f" {analysis.alpha:g}, are defaults and were not declared for it."
        )
    if material.table.absent:
        yield f"Declared as candidates but not recorded: {', '.join(material.table.absent)}."


def _seeds(material: Material) -> Iterator[str]:
    size = max(1, int(material.scores["primary"].sum()))
    if smallest_p(material.seeds) * size > material.analysis.alpha:
        yield protocol_section.power(material)
    if material.seeds == 1:
        yield "With a single seed there are no intervals: nothing is known of the spread."


def _gates(material: Material) -> Iterator[str]:
    late = material.cells[under_trained(material.cells)]
    if len(late):
        where = sorted(set(late["regime"] + " · " + late["model"]))
        yield (
            f"{len(late)} cells are under-trained ({', '.join(where)}): their dense baseline was"
            " not trained to interpolation, so gains there may be spurious. The hypotheses leave"
            " them out; the scores do not."
        )


def _lost(material: Material) -> Iterator[str]:
    counts = material.cells.loc[material.cells["status"] != OK, "status"].value_counts()
    if len(counts):
        said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        yield (
            f"Of {len(material.cells)} cells, {said}: they count against their method"
            " (unmeasured ones as a constant predictor)."
        )
    scores = material.scores
    holes = scores.loc[~scores["complete"], "method"]
    if len(holes):
        yield f"Not ranked, since cells are missing: {', '.join(map(str, holes))}."


def _origin(material: Material) -> Iterator[str]:
    if names := provenance_section.differing(material.cells):
        yield f"Not all records were made alike: {', '.join(names)} differ between them."
    if count := provenance_section.dirty(material.cells):
        yield (
            f"{count} of {len(material.cells)} cells were computed in a checkout that differed"
            " from its commit: the commit alone does not repeat them."
        )
