"""All checks of a submission, in order: the cheap ones first, the re-run last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from prunebench.pruning import contract
from prunebench.reproduce.submission.check_masks import masks
from prunebench.reproduce.submission.check_table import budgets, columns, grid, measured, provenance
from prunebench.reproduce.submission.findings import BROKEN, PASSED, WARNING, Finding, concluded
from prunebench.reproduce.submission.submission_folder import Submission
from prunebench.reproduce.verify.compare_records import CONFIRMED
from prunebench.reproduce.verify.recompute import rerun
from prunebench.reproduce.verify.stored_experiment import draw
from prunebench.reproduce.verify.verdict_text import environment, summary
from prunebench.storage.coordinates import Coordinates

Check = Callable[[Submission], Iterator[Finding]]
TABLES: tuple[tuple[str, str, Check], ...] = (
    ("columns", "the record's columns are there", columns),
    ("grid", "every cell of config.json is there, with its dense baseline", grid),
    ("provenance", "every row can be traced", provenance),
    ("budget", "every cell trained for as long as its composition says", budgets),
    ("status", "what counts as a constant predictor is said", measured),
)


def check(submission: Submission, data: Path, sample: int, seed: int) -> Iterator[Finding]:
    """Check a submission; ``sample`` cells are computed anew, half of them of its method.

    It runs the submission's Python. With a sample of 0, or where something is broken, nothing is
    computed anew. Raises PrunebenchError where a task's data are not here.
    """
    broken = False
    for finding in _static(submission, data):
        broken |= finding.outcome == BROKEN
        yield finding
    if broken or sample < 1:
        why = "something is broken: mend that first" if broken else "not asked for"
        yield Finding(WARNING, "re-run", "", f"nothing was computed anew: {why}")
        return
    yield from again(submission, data, sample, seed)


def _static(submission: Submission, data: Path) -> Iterator[Finding]:
    for name, said, look in TABLES:
        yield from concluded(name, said, look(submission))
    said = "the masks have the sparsities and weights that the records claim"
    yield from concluded("masks", said, masks(submission, data))
    yield from concluded("contract", f"{submission.form.method} keeps it", _contract(submission))


def _contract(submission: Submission) -> Iterator[Finding]:
    for found in contract.check(submission.method, contract.standard_networks()):
        if found.outcome != contract.PASSED:
            outcome = BROKEN if found.outcome == contract.BROKEN else WARNING
            told = f"{found.check}: {found.outcome} {found.detail}".rstrip()
            yield Finding(outcome, "contract", f"{submission.form.method} on {found.network}", told)


def drawn(submission: Submission, sample: int, seed: int) -> list[Coordinates]:
    """Half of the sample (rounded up) of the submitted method's cells, the rest of the others'."""
    own = [cell for cell in submission.stored.rows if cell.method == submission.form.method]
    rest = [cell for cell in submission.stored.rows if cell not in own and cell.sparsity]
    half = -(-sample // 2) if rest else sample
    chosen = draw(own, half, seed)
    return chosen + (draw(rest, sample - half, seed) if rest and sample > half else [])


def again(submission: Submission, data: Path, sample: int, seed: int) -> Iterator[Finding]:
    """Compute cells anew and say of each what came of it."""
    outcome = rerun(submission.stored, drawn(submission, sample, seed), data)
    for compared in outcome.cells:
        confirmed = compared.verdict in CONFIRMED
        told = f"{compared.verdict}: {compared.reason}".removesuffix(": ")
        yield Finding(PASSED if confirmed else BROKEN, "re-run", str(compared.cell), told)
    for name, there, here in environment(outcome):
        yield Finding(WARNING, "re-run", "environment", f"{name}: {there}, here {here}")
    told = f"{summary(outcome)} (--seed {seed})"
    yield Finding(PASSED if outcome.confirmed else BROKEN, "re-run", "", told)
