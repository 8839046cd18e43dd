"""All checks of a submission, in order: cheap ones first; last, cells are computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from prunebench.experiment import foreign_code
from prunebench.pruning import contract
from prunebench.reproduce.submission.check_masks import masks
from prunebench.reproduce.submission.check_table import (
    budgets,
    columns,
    grid,
    provenance,
    shares,
    statuses,
)
from prunebench.reproduce.submission.submission_findings import (
    BROKEN,
    NOT_RUN,
    PASSED,
    WARNING,
    SubmissionFinding,
    concluded,
)
from prunebench.reproduce.submission.submission_folder import Submission
from prunebench.reproduce.verify.compare_records import CONFIRMED, Compared
from prunebench.reproduce.verify.compare_records import NOT_RUN as UNRUN
from prunebench.reproduce.verify.recompute import needs, rerun, say_trusted
from prunebench.reproduce.verify.stored_experiment import draw
from prunebench.reproduce.verify.verdict_text import environment, summary
from prunebench.runner.checked_method import check_contract
from prunebench.runner.own_process import Unfinished
from prunebench.storage.coordinates import Coordinates

# what a verdict on a cell is among the findings; any other is BROKEN
_OUTCOMES = {**dict.fromkeys(CONFIRMED, PASSED), UNRUN: NOT_RUN}
Check = Callable[[Submission], Iterator[SubmissionFinding]]
TABLES: tuple[tuple[str, str, Check], ...] = (
    ("columns", "all columns of a record are there", columns),
    ("grid", "every cell of config.json is there, with its dense baseline", grid),
    ("provenance", "every row can be traced to its code, data and machine", provenance),
    ("shares", "every error that is a share of samples is of a whole number of them", shares),
    ("budget", "every cell trained for as many epochs as its method's parts ask for", budgets),
    ("status", "failed and diverged cells are named: they leave every comparison", statuses),
)


def check(
    submission: Submission, data: Path, sample: int, seed: int, trust_code: bool = False
) -> Iterator[SubmissionFinding]:
    """Run all checks of a submission and yield their results.

    If something is broken, no cell is computed again. Python of the submission runs only where it
    is trusted, and in processes of its own; what needs it otherwise is NOT_RUN.

    Args:
        submission: the submission.
        data: folder of downloaded and prepared data.
        sample: number of cells to compute again, half of them of the submitted method; 0: none.
        seed: seed of the draw of these cells.
        trust_code: whether to run Python that does not ship.

    Raises:
        PrunebenchError: the data of a task are not there.
    """
    broken = False
    for result in _static(submission, data, trust_code):
        broken |= result.outcome == BROKEN
        yield result
    if broken:
        why = "something is broken: repair that first"
        yield SubmissionFinding(WARNING, "re-run", "", f"no cell was computed again: {why}")
        return
    if sample < 1:
        why = f"--sample {sample} asks for none, so nothing vouches for the numbers"
        yield SubmissionFinding(NOT_RUN, "re-run", "", f"no cell was computed again: {why}")
        return
    yield from recomputed(submission, data, sample, seed, trust_code)


def _static(submission: Submission, data: Path, trust_code: bool) -> Iterator[SubmissionFinding]:
    for name, said, look in TABLES:
        yield from concluded(name, said, look(submission))
    said = "the masks have the sparsities and numbers of weights that the records claim"
    yield from concluded("masks", said, masks(submission, data, trust_code))
    said = f"{submission.form.method} keeps the contract of a method"
    yield from concluded("contract", said, _contract(submission, trust_code))


def _contract(submission: Submission, trust_code: bool) -> Iterator[SubmissionFinding]:
    name, files = submission.form.method, foreign_code.of_method(submission.method)
    if files and not trust_code:
        yield SubmissionFinding(NOT_RUN, "contract", name, needs(files))
        return
    say_trusted(files)
    try:
        results = check_contract(submission.method)
    except Unfinished as error:
        yield SubmissionFinding(BROKEN, "contract", name, str(error))
        return
    for found in results:
        if found.outcome != contract.PASSED:
            outcome = BROKEN if found.outcome == contract.BROKEN else WARNING
            told = f"{found.check}: {found.outcome} {found.detail}".rstrip()
            yield SubmissionFinding(outcome, "contract", f"{name} on {found.network}", told)


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
    submission: Submission, data: Path, sample: int, seed: int, trust_code: bool = False
) -> Iterator[SubmissionFinding]:
    """Compute some cells again and yield a result for each, and one for all.

    Args: as of ``check``.

    Raises:
        PrunebenchError: the data of a task are not there, or a baseline cannot be computed here.
    """
    outcome = rerun(submission.stored, drawn(submission, sample, seed), data, trust_code)
    outcome = replace(outcome, cells=tuple(_named_alike(submission, c) for c in outcome.cells))
    for compared in outcome.cells:
        told = f"{compared.verdict}: {compared.reason}".removesuffix(": ")
        yield SubmissionFinding(
            _OUTCOMES.get(compared.verdict, BROKEN), "re-run", str(compared.cell), told
        )
    for name, there, here in environment(outcome):
        yield SubmissionFinding(WARNING, "re-run", "environment", f"{name}: {there}, here {here}")
    told = f"{summary(outcome)} (--seed {seed})"
    found = {_OUTCOMES.get(compared.verdict, BROKEN) for compared in outcome.cells}
    worst = next(each for each in (BROKEN, NOT_RUN, PASSED) if each in found)
    yield SubmissionFinding(worst, "re-run", "", told)


def _named_alike(submission: Submission, compared: Compared) -> Compared:
    """Return a cell's verdict without the hash of settings where the place of a file changed it.

    ``provenance`` has compared that hash with config.json, under the names that the author used.
    """
    methods = {method.name: method for method in submission.stored.experiment.methods}
    method = methods.get(compared.cell.method)
    if method is None or submission.as_written(method.settings()) == method.settings():
        return compared
    kept = tuple(item for item in compared.environment if item[0] != "config_hash")
    return replace(compared, environment=kept)
