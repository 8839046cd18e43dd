"""All checks of a submission, in order: cheap ones first; last, cells are computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from prunebench.pruning import contract
from prunebench.reproduce.submission.check_masks import masks
from prunebench.reproduce.submission.check_table import budgets, columns, grid, provenance, statuses
from prunebench.reproduce.submission.submission_findings import (
    BROKEN,
    PASSED,
    WARNING,
    SubmissionFinding,
    concluded,
)
from prunebench.reproduce.submission.submission_folder import Submission
from prunebench.reproduce.verify.compare_records import CONFIRMED
from prunebench.reproduce.verify.recompute import rerun
from prunebench.reproduce.verify.stored_experiment import draw
from prunebench.reproduce.verify.verdict_text import environment, summary
from prunebench.storage.coordinates import Coordinates

Check = Callable[[Submission], Iterator[SubmissionFinding]]
TABLES: tuple[tuple[str, str, Check], ...] = (
    ("columns", "all columns of a record are there", columns),
    ("grid", "every cell of config.json is there, with its dense baseline", grid),
    ("provenance", "every row can be traced to its code, data and machine", provenance),
    ("budget", "every cell trained for as many epochs as its method's parts ask for", budgets),
    ("status", "failed and diverged cells are named: they leave every comparison", statuses),
)


def check(
    submission: Submission, data: Path, sample: int, seed: int
) -> Iterator[SubmissionFinding]:
    """Run all checks of a submission and yield their results. It runs the submission's Python.

    If something is broken, no cell is computed again.

    Args:
        submission: the submission.
        data: folder of downloaded and prepared data.
        sample: number of cells to compute again, half of them of the submitted method; 0: none.
        seed: seed of the draw of these cells.

    Raises:
        PrunebenchError: the data of a task are not there.
    """
    broken = False
    for result in _static(submission, data):
        broken |= result.outcome == BROKEN
        yield result
    if broken or sample < 1:
        why = "something is broken: repair that first" if broken else "not asked for"
        yield SubmissionFinding(WARNING, "re-run", "", f"no cell was computed again: {why}")
        return
    yield from recomputed(submission, data, sample, seed)


def _static(submission: Submission, data: Path) -> Iterator[SubmissionFinding]:
    for name, said, look in TABLES:
        yield from concluded(name, said, look(submission))
    said = "the masks have the sparsities and numbers of weights that the records claim"
    yield from concluded("masks", said, masks(submission, data))
    said = f"{submission.form.method} keeps the contract of a method"
    yield from concluded("contract", said, _contract(submission))


def _contract(submission: Submission) -> Iterator[SubmissionFinding]:
    for found in contract.check(submission.method, contract.standard_networks()):
        if found.outcome != contract.PASSED:
            outcome = BROKEN if found.outcome == contract.BROKEN else WARNING
            told = f"{found.check}: {found.outcome} {found.detail}".rstrip()
            yield SubmissionFinding(
                outcome, "contract", f"{submission.form.method} on {found.network}", told
            )


def drawn(submission: Submission, sample: int, seed: int) -> list[Coordinates]:
    """Draw cells to compute again: half of them (rounded up) of the submitted method.

    Args:
        submission: the submission.
        sample: number of cells.
        seed: seed of the draw.

    Returns:
        The cells, without their dense baselines.
    """
    own = [cell for cell in submission.stored.rows if cell.method == submission.form.method]
    rest = [cell for cell in submission.stored.rows if cell not in own and cell.sparsity]
    half = -(-sample // 2) if rest else sample
    chosen = draw(own, half, seed)
    return chosen + (draw(rest, sample - half, seed) if rest and sample > half else [])


def recomputed(
    submission: Submission, data: Path, sample: int, seed: int
) -> Iterator[SubmissionFinding]:
    """Compute some cells again and yield a result for each, and one for all.

    Args: as of ``check``.

    Raises:
        PrunebenchError: the data of a task are not there, or a baseline cannot be computed here.
    """
    outcome = rerun(submission.stored, drawn(submission, sample, seed), data)
    for compared in outcome.cells:
        confirmed = compared.verdict in CONFIRMED
        told = f"{compared.verdict}: {compared.reason}".removesuffix(": ")
        yield SubmissionFinding(PASSED if confirmed else BROKEN, "re-run", str(compared.cell), told)
    for name, there, here in environment(outcome):
        yield SubmissionFinding(WARNING, "re-run", "environment", f"{name}: {there}, here {here}")
    told = f"{summary(outcome)} (--seed {seed})"
    yield SubmissionFinding(PASSED if outcome.confirmed else BROKEN, "re-run", "", told)
