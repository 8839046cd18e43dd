"""Define a hypothesis, the finding about it, and the decorator by which a file registers one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from prunebench.statistics.estimate import EQUIVALENT, HIGHER, LOWER, UNRESOLVED
from prunebench.statistics.hypotheses.comparisons import Comparison, evidence_table
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells

SHOWN, OPPOSITE, UNTESTED = "shown", "opposite shown", "not tested"
VERDICTS = (SHOWN, OPPOSITE, EQUIVALENT, UNRESOLVED, UNTESTED)


@dataclass(frozen=True)
class Judgement:
    """The result of a hypothesis' function."""

    verdict: str
    sentence: str
    evidence: Sequence[Comparison]


@dataclass(frozen=True)
class Finding:
    """One hypothesis with its verdict; ``evidence`` has the columns EVIDENCE."""

    number: int
    name: str
    claim: str
    verdict: str  # one of VERDICTS
    sentence: str
    evidence: pd.DataFrame
    figure: str  # stem of the figure that shows it


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis of the protocol and the function that judges it."""

    number: int
    name: str
    claim: str
    figure: str
    judge: Callable[[PairedCells], Judgement]
    noisy: bool = True  # whether it looks at regimes with noisy labels

    def find(self, table: PairedCells) -> Finding:
        """Judge the hypothesis; records that are missing make it untested, and the sentence why."""
        notes = [table.absent_note()]
        try:
            found = self.judge(table)
            notes.append(table.left_out_note() if self.noisy else "")
        except MissingRecords as missing:
            found = Judgement(UNTESTED, f"Not tested: {missing}.", missing.beside)
        sentence = " ".join([found.sentence, *(note for note in notes if note)])
        return Finding(
            self.number, self.name, self.claim, found.verdict, sentence,
            evidence_table(found.evidence), self.figure,
        )  # fmt: skip


def verdict_for_all(
    hold: Sequence[bool], same: Sequence[bool] = (), opposite: Sequence[bool] = ()
) -> str:
    """Return the verdict over methods: what is true of every one of them, else unresolved.

    A claim about pruning that holds for some of the declared methods is not shown; the sentence
    says for which it does.

    Args:
        hold: For each method whether the claim is shown.
        same: For each method whether it was found equivalent.
        opposite: For each method whether the opposite of the claim is shown.
    """
    for verdict, each in ((SHOWN, hold), (EQUIVALENT, same), (OPPOSITE, opposite)):
        if each and all(each):
            return verdict
    return UNRESOLVED


def verdict_of(decisions: Sequence[str]) -> str:
    """Return the verdict of a claim that a number is above 0, from the decision of each method."""
    return verdict_for_all(
        [each == HIGHER for each in decisions], [each == EQUIVALENT for each in decisions],
        [each == LOWER for each in decisions],
    )  # fmt: skip


def hypothesis(
    number: int, name: str, claim: str, figure: str, noisy: bool = True
) -> Callable[[Callable[[PairedCells], Judgement]], Hypothesis]:
    """Register the decorated function as the judge of a hypothesis.

    It raises MissingRecords where the cells do not hold what it needs.

    Args:
        number: Its place in the protocol.
        name: A short name for links.
        claim: The claim, as a sentence.
        figure: The stem of the figure that shows it.
        noisy: Whether it looks at regimes with noisy labels.
    """

    def register(judge: Callable[[PairedCells], Judgement]) -> Hypothesis:
        return Hypothesis(number, name, claim, figure, judge, noisy)

    return register
