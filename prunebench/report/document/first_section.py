"""The first screen: the answer in three sentences, and the picture that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prunebench.report import reader_warnings
from prunebench.report.document import figure_blocks, two_by_two_section
from prunebench.report.document.elements import Section, TextBlock
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.tables import training_tables
from prunebench.statistics.estimate import HIGHER, decide_interval
from prunebench.statistics.hypotheses import OPPOSITE, SHOWN, UNRESOLVED, UNTESTED
from prunebench.statistics.training_outcomes import outcomes_recorded
from prunebench.statistics.two_by_two import STOPPED, TRAINED, of_one_setting
from prunebench.storage.records import UNDER_TRAINED
from prunebench.text.numbers import plural, seeds_text

PICTURES = (training_tables.TWO_BY_TWO, "error-compression")  # the first that was drawn
STATES = {
    TRAINED: "At the end of training",
    STOPPED: "Where early stopping would have ended the same trainings",
}
# by how many are shown to gain: none, one, several
_BEST = ("the best has a gain of", "its gain is", "the largest of their gains is")
NOT_KEPT = "What early stopping would have made of the same trainings was not recorded."
COUNTED = {
    SHOWN: "shown", OPPOSITE: "shown to be the other way round", UNRESOLVED: "left open",
    UNTESTED: "not testable with these records",
}  # fmt: skip


def section(inputs: ReportInputs) -> Section:
    """Return the answer with its picture."""
    return Section(
        "The answer", "answer",
        [TextBlock(" ".join(_sentences(inputs))), *figure_blocks.of_stem(inputs, picture(inputs))],
    )  # fmt: skip


def picture(inputs: ReportInputs) -> str:
    """Return the stem of the picture of the first screen; "" where none of them was drawn."""
    return next((stem for stem in PICTURES if figure_blocks.of_stem(inputs, stem)), "")


def _sentences(inputs: ReportInputs) -> Iterator[str]:
    yield _gains(inputs, TRAINED) or _no_pair(inputs)
    yield _gains(inputs, STOPPED) or NOT_KEPT
    counts = Counter(finding.verdict for finding in inputs.findings)
    words = COUNTED | {verdict: verdict for verdict in counts if verdict not in COUNTED}
    said = ", ".join(f"{counts[v]} {word}" for v, word in words.items() if counts[v])
    late = reader_warnings.counts(inputs.cells)[UNDER_TRAINED]
    trained = f"{late} of {len(inputs.cells)} trainings had not come to their end"
    if not outcomes_recorded(inputs.cells):
        trained = "how pruned trainings ended was not recorded"
    over = seeds_text([inputs.seeds])
    yield f"Of {len(inputs.findings)} hypotheses, {over}: {said or 'none judged'}; {trained}."


def _no_pair(inputs: ReportInputs) -> str:
    """Return why no network can be compared at the end of its training."""
    cells = inputs.cells
    if (cells["sparsity"] > 0).any():
        return (
            "At the end of training there is nothing to compare: of every pair of a pruned network"
            " and its dense one, a training failed or had not come to its end."
        )
    return "There is no pruned network to compare with the dense one."


def _gains(inputs: ReportInputs, state: str) -> str:
    """Return a sentence on the pruned networks in one state; "" where none is paired."""
    found, analysis = inputs.two_by_two, inputs.analysis
    if found.empty:
        return ""
    gain = f"gain_{state}"
    rows = found[of_one_setting(found)].dropna(subset=[gain]).to_dict("records")
    if not rows:
        return ""
    shown = [
        row for row in rows
        if decide_interval(
            row[f"{gain}_low"], row[f"{gain}_high"], row[f"{gain}_p"], analysis.equivalence,
            analysis.alpha,
        ) == HIGHER
    ]  # fmt: skip
    # a larger gain that is not shown, or of fewer pairs, would stand there as if it were shown
    fair = two_by_two_section.comparable(shown or rows, state)
    best = max(shown or fair, key=lambda row: float(row[gain]), default=None)
    many = plural(len(rows), "pruned network")
    said = f"{len(shown)} of {many}" if shown else f"none of {many}"
    be, best_words = "are" if len(shown) > 1 else "is", _BEST[min(len(shown), 2)]
    if len(rows) == 1:
        said, be, best_words = "the one pruned network", "is" if shown else "is not", _BEST[1]
    claim = f"{STATES[state]} {said} {be} shown to generalize better than the dense network"
    if best is None:
        return (
            f"{claim}; for want of pairs of seeds no gain has an interval. None is called the best."
        )
    if not shown and len(fair) < len(rows):
        best_words = f"of the {len(fair)} with the most pairs of seeds {best_words}"
    if not shown and len(fair) == 1 < len(rows):
        best_words = "the one with the most pairs of seeds has a gain of"
    return (
        f"{claim}: {best_words}"
        f" {training_tables.corner(best, gain)} points of test error"
        f" ({best['method']}, {two_by_two_section.where(best['scope'], found)})"
        f"{_longer(inputs, str(best['scope']), gain)}."
    )


def _longer(inputs: ReportInputs, scope: str, gain: str) -> str:
    """Return what the dense network gains there by training longer alone; "" where none did."""
    found = inputs.trained_longer
    rows = found if found.empty else found[(found["scope"] == scope) & found[gain].notna()]
    if rows.empty:
        return ""
    best = max(rows.to_dict("records"), key=lambda row: float(row[gain]))
    return (
        "; trained as long as the longest method the dense network itself gains"
        f" {training_tables.corner(best, gain)} there"
    )
