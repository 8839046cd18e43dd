"""Judge what is left of the gain when dense and pruned are stopped by the same rule."""

from __future__ import annotations

import pandas as pd

from prunebench.statistics.estimate import HIGHER
from prunebench.statistics.hypotheses import phrases
from prunebench.statistics.hypotheses.comparisons import judge_family
from prunebench.statistics.hypotheses.judgements import Judgement, hypothesis, verdict_of
from prunebench.statistics.hypotheses.paired_cells import MissingRecords, PairedCells, in_settings
from prunebench.statistics.two_by_two import INTERACTION, STOPPED, TRAINED, seed_values

GAINS = {TRAINED: "gain, both trained to the end", STOPPED: "gain, both stopped on validation"}
LOST = "gain trained minus gain stopped"


@hypothesis(
    11, "interaction", "Some of the gain is left when both sides are stopped on validation.",
    "two-by-two",
)  # fmt: skip
def interaction(table: PairedCells) -> Judgement:
    """Estimate the gain trained and stopped, each at its own sparsity, and their difference."""
    family, alpha, margin = table.family, table.analysis.alpha, table.analysis.equivalence
    if table.stopped is None:
        raise MissingRecords("no states stopped on validation were recorded (stopped_test_error)")
    scope, settings = next(iter(table.stopped.scopes().items()))
    values = in_settings(seed_values(table.recorded, family), settings)
    items = {
        name: judge_family(
            table.compare(_with_error(values, name), words, scope, "dense", f"gain_{name}", margin),
            alpha,
        )
        for name, words in GAINS.items()
    }
    stopped = items[STOPPED]
    if not stopped:
        raise MissingRecords("no method of the family and dense were both stopped on validation")
    both = _with_error(values, INTERACTION)
    lost = judge_family(table.compare(both, LOST, scope, "", INTERACTION, margin), alpha)
    left = sum(item.decision == HIGHER for item in stopped)
    sentence = (
        f"With {scope} the gain, both sides stopped on validation, exceeds 0 for"
        f" {phrases.of(left, len(stopped))} ({phrases.seeds(stopped)}):"
        f" {phrases.by_decision(stopped, alpha)}."
        f" Trained to the end: {phrases.by_decision(items[TRAINED], alpha) or 'not measured'}."
        f" What stopping takes from the gain: {phrases.by_decision(lost, alpha) or 'not measured'}."
    )
    verdict = verdict_of([item.decision for item in stopped])
    return Judgement(verdict, sentence, [*stopped, *items[TRAINED], *lost])


def _with_error(values: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the values with the error of the test samples of one of them, for equivalence."""
    return values.assign(sample_error=values[f"sample_error_{name}"])
