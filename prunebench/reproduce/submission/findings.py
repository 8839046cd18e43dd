"""What a check of a submission found: a line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PASSED, WARNING, BROKEN = "passed", "warning", "broken"
_MOST = 5  # findings of a kind that are shown to people


@dataclass(frozen=True)
class Finding:
    """One of them."""

    outcome: str  # PASSED, WARNING (a reader should know), BROKEN (must be mended)
    check: str
    where: str
    message: str

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{self.outcome:7}  {self.check:10}  {where}{self.message}"


def concluded(check: str, said: str, found: Iterable[Finding]) -> Iterator[Finding]:
    """What a check found; where nothing is broken, a line that it passed and on what."""
    broken = False
    for finding in found:
        broken |= finding.outcome == BROKEN
        yield finding
    if not broken:
        yield Finding(PASSED, check, "", said)


def shown(findings: list[Finding]) -> list[str]:
    """Lines for people: of many of a kind the first, and how many there are more."""
    lines, counts = [], dict[tuple[str, str], int]()
    for finding in findings:
        kind = finding.outcome, finding.check
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= _MOST:
            lines.append(str(finding))
    for (outcome, check), count in counts.items():
        if count > _MOST:
            lines.append(f"{outcome:7}  {check:10}  and {count - _MOST} more; --json has all")
    return lines
