"""Findings of the checks of a submission, and how they are printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PASSED, WARNING, BROKEN = "passed", "warning", "broken"
NOT_RUN = "not run"  # it needs code that nobody said to trust
_MOST = 5  # results of a check with one outcome that are printed


@dataclass(frozen=True)
class SubmissionFinding:
    """One finding of one check.

    Attributes:
        outcome: PASSED, WARNING (a reader should know it), BROKEN (it must be mended) or NOT_RUN.
        check: name of the check.
        where: file, row or method that the result is about; empty: the whole submission.
        message: what was found.
    """

    outcome: str
    check: str
    where: str
    message: str

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{self.outcome:7}  {self.check:10}  {where}{self.message}"


def concluded(
    check: str, said: str, found: Iterable[SubmissionFinding]
) -> Iterator[SubmissionFinding]:
    """Yield the results of a check, and at the end that it passed, if it ran and all is whole.

    Args:
        check: name of the check.
        said: what it means that the check passed.
        found: what the check found.
    """
    passed = True
    for result in found:
        passed &= result.outcome not in (BROKEN, NOT_RUN)
        yield result
    if passed:
        yield SubmissionFinding(PASSED, check, "", said)


def shown(results: list[SubmissionFinding]) -> list[str]:
    """Return a line for each result; of a check's many alike the first five, and their number."""
    lines, counts = [], dict[tuple[str, str], int]()
    for result in results:
        kind = result.outcome, result.check
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= _MOST:
            lines.append(str(result))
    for (outcome, check), count in counts.items():
        if count > _MOST:
            lines.append(f"{outcome:7}  {check:10}  and {count - _MOST} more; --json has all")
    return lines
