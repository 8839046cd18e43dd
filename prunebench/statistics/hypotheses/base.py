"""What a hypothesis is, what is found of it, and how a file registers one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from prunebench.statistics.hypotheses.comparisons import EQUIVALENT, EVIDENCE, evidence
from prunebench.statistics.hypotheses.paired_cells import Lacking, Table

SHOWN, NOT_SHOWN, UNTESTED = "shown", "not shown", "not tested"


@dataclass(frozen=True)
class Judgement:
    """What a hypothesis' function returns."""

    verdict: str
    sentence: str
    evidence: pd.DataFrame


@dataclass(frozen=True)
class Finding:
    """One hypothesis with its verdict; ``evidence`` has the columns EVIDENCE."""

    number: int
    name: str
    claim: str
    verdict: str  # SHOWN, NOT_SHOWN, EQUIVALENT or UNTESTED
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
    judge: Callable[[Table], Judgement]
    noisy: bool = True  # whether it looks at regimes with noisy labels

    def find(self, table: Table) -> Finding:
        """Judge it; what the records lack is a finding as well."""
        notes = [table.absent_note()]
        try:
            found = self.judge(table)
            notes.append(table.left_out_note() if self.noisy else "")
        except Lacking as lacking:
            reason = f"Not tested: {lacking}."
            beside = evidence([]) if lacking.beside is None else lacking.beside
            found = Judgement(UNTESTED, reason, beside)
        sentence = " ".join([found.sentence, *(note for note in notes if note)])
        return Finding(
            self.number, self.name, self.claim, found.verdict, sentence, found.evidence, self.figure
        )


def summed(hold: Sequence[bool], same: Sequence[bool] = ()) -> str:
    """The verdict over methods: shown if it holds for every one, equivalent if all are.

    ``same``: of each method whether it was found equivalent. A claim about pruning that holds for
    some of the declared methods is not shown; the sentence says for which it does.
    """
    if hold and all(hold):
        return SHOWN
    return EQUIVALENT if same and all(same) else NOT_SHOWN


def hypothesis(
    number: int, name: str, claim: str, figure: str, noisy: bool = True
) -> Callable[[Callable[[Table], Judgement]], Hypothesis]:
    """Mark a function of a table as the judge of a hypothesis."""

    def made(judge: Callable[[Table], Judgement]) -> Hypothesis:
        return Hypothesis(number, name, claim, figure, judge, noisy)

    return made


__all__ = [
    "EQUIVALENT", "EVIDENCE", "NOT_SHOWN", "SHOWN", "UNTESTED", "Finding", "Hypothesis",
    "Judgement", "hypothesis", "summed",
]  # fmt: skip
