"""Findings of the README and of the page on overfitting: sentences around numbers of the records.

Each claim is written for the records that are committed, and says itself what they must show for
it to be true. ``docs/generate.py`` refuses to write a claim that its records no longer bear: the
first screen cannot say what the results do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd

from prunebench.statistics.cells_table import read_cells
from prunebench.statistics.training_outcomes import exact_interval, failed_cells, outcomes
from prunebench.statistics.two_by_two import of_one_setting, two_by_two
from prunebench.storage.records import DENSE, UNDER_TRAINED
from prunebench.text.markup import markdown_rows
from prunebench.text.numbers import interval, number

_RECORDS = Path(__file__).resolve().parents[1] / "results" / "reference"
REFERENCE = _RECORDS / "overfit" / "cells.csv"
# pairs of data and network that were asked the same, by the experiment; the laboratory's own first
PAIRS = {
    "overfit": "digits, seed-cnn",
    "overfit-resnet": "digits, test_resnet",
    "overfit-fashion": "Fashion-MNIST, test_resnet",
    "overfit-speech": "spoken words, test_resnet",
}
CLEAN, NOISY, LESS_NOISY = "clean", "noisy-40", "noisy-20"
SHARES = {NOISY: "40 %", LESS_NOISY: "20 %"}  # of wrong labels
TRAINED, STOPPED = "trained", "stopped"
HIGH = 0.96875  # the sparsity at which lengths of recovery are compared
LONGEST = 10  # times the declared epochs of recovery
DECAYED = "dense-decayed-3x"
SMALL, LONGER_SMALL, LONG = "small-dense", "small-dense-3x", "dense-long"
MARGIN = 0.5  # points of test error that make no difference
# epochs of recovery, of each round where there are several
UNFINISHED = {"magnitude": 12, "magnitude-3x": 36, "magnitude-10x": 120, "imp": 34, "imp-3x": 102}
# in the order of the table, with what a reader calls them
SHOWN = {
    "magnitude": "magnitude, fine-tuned",
    "magnitude-10x": "the same, ten times as long",
    "magnitude-rewind": "magnitude, schedule rewound",
    "magnitude-tickets": "magnitude, weights rewound too",
    "imp": "iterative magnitude",
    "imp-3x": "the same, three times as long",
    "l1-filter": "filters of small norm",
    "l1-filter-10x": "the same, ten times as long",
    "random": "random weights",
    "magnitude-shuffled": "as many of each layer, any",
    "small-dense": "small dense network",
    "small-dense-3x": "the same, three times as long",
    "dense-decayed": "tuned weight decay",
    "dense-decayed-3x": "the same, three times as long",
}


@dataclass(frozen=True)
class Gain:
    """Gain over the dense network in points of test error: positive where it is better."""

    value: float
    low: float  # ends of the 95 % interval over seeds
    high: float
    pairs: int
    at: str  # method and compression

    @classmethod
    def of(cls, row: Mapping[Hashable, Any], state: str) -> Gain:
        """Return the gain in one state of a row of ``two_by_two``."""
        value, low, high = (float(row[f"gain_{state}{end}"]) for end in ("", "_low", "_high"))
        ratio = row["compression_ratio" if state == TRAINED else "stopped_compression_ratio"]
        at = f"{row['method']} at {ratio:.0f}×"
        return cls(value, low, high, int(row[f"{state}_pairs"]), at)

    @property
    def text(self) -> str:
        """Value and interval; a dash where there is no pair."""
        if not self.pairs:
            return "–"
        return f"{number(self.value, 1, sign=True)} {interval(self.low, self.high, 1)}"


class Facts:
    """Numbers of the overfitting laboratory's records.

    Args:
        path: their table.
    """

    def __init__(self, path: Path = REFERENCE) -> None:
        self.cells = read_cells(path)
        self.seeds = int(self.cells["seed"].nunique())

    @cached_property
    def _chosen(self) -> pd.DataFrame:
        """Two by two at the sparsities that validation chooses, by regime and method."""
        found = two_by_two(self.cells)
        return found[of_one_setting(found)].set_index(["regime", "method"], drop=False)

    @cached_property
    def noisy(self) -> list[str]:
        """Regimes with wrong labels, the most first."""
        return [regime for regime in SHARES if (self.cells["regime"] == regime).any()]

    def gain(self, regime: str, method: str, state: str) -> Gain:
        """Return a method's gain, ``trained`` or ``stopped``, where validation chooses.

        Of no pair where the grid has no such method.
        """
        if (regime, method) not in self._chosen.index:
            return Gain(math.nan, math.nan, math.nan, 0, method)
        return Gain.of(self._chosen.loc[(regime, method)].to_dict(), state)

    @cached_property
    def _every(self) -> pd.DataFrame:
        """Two by two at each sparsity of the grid, controls that prune nothing left out."""
        pruned = self.cells[self.cells["sparsity"] > 0]
        methods = sorted(pruned["method"].unique())
        every = [two_by_two(self.cells, methods, s) for s in sorted(pruned["sparsity"].unique())]
        found = pd.concat(every, ignore_index=True)
        return found[of_one_setting(found)]

    def gains(self, regime: str, state: str, small: bool = True) -> list[Gain]:
        """Return the gain of each method at each sparsity of which no pair is left out.

        Args:
            regime: of the records.
            state: ``trained`` or ``stopped``.
            small: whether small dense networks count, too.
        """
        rows = self._every[self._every["regime"] == regime]
        rows = rows[rows[f"{state}_pairs"] == self.seeds]
        if not small:
            rows = rows[~rows["method"].str.startswith(SMALL)]
        return [Gain.of(row, state) for row in rows.to_dict("records")]

    def mean(self, regime: str, method: str, sparsity: float, column: str = "test_error") -> float:
        """Return the mean of a column over the seeds of a cell, in percent."""
        cells = self._at(method, sparsity)
        return float(100 * cells.loc[cells["regime"] == regime, column].mean())

    def dense(self, regime: str, column: str = "test_error") -> float:
        """Return the mean of a column over a regime's dense networks, in percent."""
        return self.mean(regime, DENSE, 0.0, column)

    def ratio(self, method: str, sparsity: float) -> float:
        """Return the compression that a method achieved, of all weights."""
        return float(self._at(method, sparsity)["compression_ratio"].mean())

    def lowest(self, regime: str, tried: bool = False) -> tuple[str, float]:
        """Return method and sparsity of the pruned cell with the lowest mean test error.

        Args:
            regime: of the records.
            tried: whether only those count that were trained ten times as long, too.
        """
        rows = self.cells[(self.cells["regime"] == regime) & (self.cells["sparsity"] > 0)]
        rows = rows[~rows["method"].str.startswith(SMALL)]
        if tried:
            rows = rows[(rows["method"] + "-10x").isin(rows["method"])]
        means = rows.groupby(["method", "sparsity"])["test_error"].mean()
        method, sparsity = means.idxmin()
        return str(method), float(sparsity)

    def never_memorize(self, regime: str) -> list[tuple[str, float]]:
        """Return method and sparsity of what misses 1 % training error ten times as long."""
        rows = self.cells[(self.cells["regime"] == regime) & (self.cells["sparsity"] > 0)]
        rows = rows[rows["recovery_length"].astype(float) == LONGEST]
        means = rows.groupby(["method", "sparsity"])["train_error"].mean()
        return [(str(method), float(at)) for method, at in means[means > 0.01].index]

    def _at(self, method: str, sparsity: float) -> pd.DataFrame:
        near = (self.cells["sparsity"] - sparsity).abs() < 1e-9
        return self.cells[near & (self.cells["method"] == method)]


T = TypeVar("T")
Pairs = dict[str, Facts]


@dataclass(frozen=True)
class Claim(Generic[T]):
    """A sentence, what the records must show for it to be true, and whether README says it."""

    holds: Callable[[T], bool]
    text: Callable[[T], str]
    first: bool = True


def _percent(value: float) -> str:
    return f"{number(value, 1)} %"


def _best(gains: list[Gain]) -> Gain:
    return max(gains, key=lambda gain: gain.value)


def _clean(facts: Facts) -> str:
    gains = facts.gains(CLEAN, TRAINED, small=False)
    best = _best(gains)
    return (
        "**Clean labels: pruning gains nothing that the dense network does not gain otherwise.** It"
        f" has {_percent(facts.dense(CLEAN))} test error. The largest of {len(gains)} gains of"
        f" pruned networks (methods × compressions) is {best.text} points ({best.at}); the dense"
        " network trained as long as the longest method gains"
        f" {facts.gain(CLEAN, LONG, TRAINED).text},"
        f" with tuned weight decay {facts.gain(CLEAN, DECAYED, TRAINED).text}."
    )


def _noisy(facts: Facts) -> str:
    gains = facts.gains(NOISY, TRAINED, small=False)
    best = _best(gains)
    return (
        "**40 % wrong labels, trained to the end: no pruned network is better.** The dense network"
        f" memorizes them all and has {_percent(facts.dense(NOISY))} test error. Of the"
        f" {len(gains)} pruned networks that memorized them in every seed the"
        f" largest gain is {best.text} points ({best.at}). The more is removed the worse it gets:"
        f" with the schedule rewound {_percent(facts.mean(NOISY, 'magnitude-rewind', 0.5))} at"
        f" {facts.ratio('magnitude-rewind', 0.5):.0f}×,"
        f" {_percent(facts.mean(NOISY, 'magnitude-rewind', HIGH))} at"
        f" {facts.ratio('magnitude-rewind', HIGH):.0f}×."
    )


def _length(facts: Facts) -> str:
    said = [
        f"{_percent(facts.mean(NOISY, method, HIGH))} test error after {epochs} epochs (training"
        f" error {_percent(facts.mean(NOISY, method, HIGH, 'train_error'))})"
        for method, epochs in UNFINISHED.items()
    ]
    return (
        "**What looks like a gain is training that has not finished.** Magnitude pruning at"
        f" {facts.ratio('magnitude', HIGH):.0f}×: {said[0]}, {said[1]}, {said[2]}; iteratively,"
        f" {said[3]}, {said[4]}. Earlier versions of this page called such a number a gain."
    )


def _stopped(facts: Facts) -> str:
    best = _best(facts.gains(NOISY, STOPPED, small=False))
    dense = facts.dense(NOISY, "stopped_test_error")
    return (
        "**Early stopping does what pruning seemed to do.** Stopped on validation labels as wrong"
        f" as those of training, the dense network has {_percent(dense)}."
        " Of the pruned networks stopped by the same rule none is better: the largest gain is"
        f" {best.text} points ({best.at}). Those that go on from trained weights are worse: these"
        " have memorized already."
    )


def _lowest(facts: Facts) -> str:
    lowest, tried = facts.lowest(NOISY), facts.lowest(NOISY, tried=True)
    longer = _longer(tried)
    never = ", ".join(
        f"{_percent(facts.mean(NOISY, name, at))} ({name} at {facts.ratio(name, at):.0f}×)"
        for name, at in facts.never_memorize(NOISY)
    )
    return (
        "**The lowest error of a pruned network is of one that has not finished, and no lower than"
        " early stopping's.** Of any pruned network at the end of its training it is"
        f" {_with_training_error(facts, lowest)}, of those that were tried ten times as long"
        f" {_with_training_error(facts, tried)}. Ten times as long the latter has"
        f" {_with_training_error(facts, longer)}. What does not memorize even then is worse than"
        f" the dense network, too: {never}."
    )


def _with_training_error(facts: Facts, cell: tuple[str, float]) -> str:
    method, sparsity = cell
    return (
        f"{_percent(facts.mean(NOISY, method, sparsity))} ({method} at"
        f" {facts.ratio(method, sparsity):.0f}×, training error"
        f" {_percent(facts.mean(NOISY, method, sparsity, 'train_error'))})"
    )


def _decayed(facts: Facts) -> str:
    said = [
        f"{_percent(facts.mean(NOISY, method, 0.0))} after {epochs} epochs (training error"
        f" {_percent(facts.mean(NOISY, method, 0.0, 'train_error'))})"
        for method, epochs in (("dense-decayed", 34), ("dense-decayed-3x", 102))
    ]
    return (
        "**Weight decay gains in the same way.** Tuned on validation it leaves the dense network"
        f" with {said[0]}, and with {said[1]}."
    )


def _left_out(facts: Facts) -> str:
    failed = int(failed_cells(facts.cells).sum())
    low, high = (100 * end for end in exact_interval(failed, len(facts.cells)))
    ends = interval(low, high, 1, sign=False)
    late = int((outcomes(facts.cells) == UNDER_TRAINED).sum())
    return (
        f"{late} of {len(facts.cells)} trainings had not come to their end and are left out of what"
        f" is said of *trained*; {failed} failed ({number(100 * failed / len(facts.cells), 1)} %"
        f" {ends})."
    )


def _others_clean(pairs: Pairs) -> str:
    said = [
        f"{called} {best.text} ({best.at}; trained as long the dense one"
        f" {facts.gain(CLEAN, LONG, TRAINED).text})"
        for called, facts in _others(pairs).items()
        for best in [_best(facts.gains(CLEAN, TRAINED, small=False))]
    ]
    return (
        "**Other data and networks, clean labels: the same.** The largest gains of pruned networks:"
        f" {', '.join(said)}."
    )


def _others_noisy(pairs: Pairs) -> str:
    others = _others(pairs)
    above = [
        f"{called} {gain.text} points ({gain.at}; the dense one with tuned weight decay"
        f" {facts.gain(NOISY, DECAYED, TRAINED).text})"
        for called, facts in others.items()
        for gain in _above_longer(facts, NOISY)
    ]
    all_of = sum(len(facts.gains(NOISY, TRAINED, small=False)) for facts in others.values())
    return (
        "**Other data and networks, 40 % wrong labels: nearly the same.** At the end of training"
        f" {len(above)} of {all_of} pruned networks has a gain above 0, interval included, that the"
        f" dense one trained as long has not: {'; '.join(above)}. Stopped, none is better than the"
        " dense one stopped, also where stopping does not help."
    )


def _less_noisy(pairs: Pairs) -> str:
    asked = [name for name, facts in pairs.items() if LESS_NOISY in facts.noisy]
    return (
        f"**20 % wrong labels ({'; '.join(asked)}): the same.** At the end of training no pruned"
        " network is shown to gain more than the dense one trained as long; stopped, none is better"
        " than the dense one stopped."
    )


def _others(pairs: Pairs) -> Pairs:
    """Return all pairs but the laboratory's own, the first."""
    return dict(list(pairs.items())[1:])


def _longer(cell: tuple[str, float]) -> tuple[str, float]:
    """Return the cell of a method and sparsity that was trained ten times as long."""
    method, sparsity = cell
    return f"{method}-10x", sparsity


def _above_longer(facts: Facts, regime: str) -> list[Gain]:
    """Return the gains of pruned networks above 0 and above that of the dense one trained longer.

    Not corrected for their number: of forty such intervals two exclude 0 by chance.
    """
    longer = facts.gain(regime, LONG, TRAINED).value + MARGIN
    gains = facts.gains(regime, TRAINED, small=False)
    return [gain for gain in gains if gain.low > 0 and gain.value > longer]


def _only_as_longer(facts: Facts, regime: str) -> bool:
    """Whether every pruned network that gains does so as the dense one trained as long does."""
    return bool(facts.gains(regime, TRAINED, small=False)) and not _above_longer(facts, regime)


def _only_as_decayed(facts: Facts, regime: str) -> bool:
    """Whether what gains more than training longer is not above what weight decay gains."""
    return all(
        gain.low <= facts.gain(regime, DECAYED, TRAINED).value
        for gain in _above_longer(facts, regime)
    )


def _small_gain(facts: Facts, regime: str, method: str = SMALL) -> Gain:
    """Return the gain of a small dense network, both stopped.

    Of the size that validation chooses: the best on test data would be chosen among several.
    """
    return facts.gain(regime, method, STOPPED)


def _none_stopped(facts: Facts, regime: str) -> bool:
    """Whether no pruned network is better where both are stopped, and the dense one memorizes."""
    gains = facts.gains(regime, STOPPED, small=False)
    return _none_above(gains) and facts.dense(regime, "train_error") <= 1


def _none_above(gains: list[Gain]) -> bool:
    return bool(gains) and all(gain.low <= 0 for gain in gains)


CLAIMS = (
    Claim[Facts](
        lambda f: (
            _only_as_longer(f, CLEAN)
            and _best(f.gains(CLEAN, TRAINED, small=False)).value
            <= f.gain(CLEAN, DECAYED, TRAINED).value
        ),
        _clean,
    ),
    Claim[Facts](
        lambda f: (
            _none_above(f.gains(NOISY, TRAINED, small=False))
            and f.mean(NOISY, "magnitude-rewind", HIGH) > f.dense(NOISY) + MARGIN
            and f.dense(NOISY, "train_error") <= 1
        ),
        _noisy,
    ),
    Claim[Facts](
        lambda f: all(
            f.mean(NOISY, short, HIGH) < f.dense(NOISY) - MARGIN
            and f.mean(NOISY, long, HIGH) > f.dense(NOISY) + MARGIN
            and f.mean(NOISY, short, HIGH, "train_error") > 1
            and f.mean(NOISY, long, HIGH, "train_error") <= 1
            for short, long in (("magnitude", "magnitude-10x"), ("imp", "imp-3x"))
        ),
        _length,
    ),
    Claim[Facts](
        lambda f: (
            _none_above(f.gains(NOISY, STOPPED, small=False))
            and f.dense(NOISY, "stopped_test_error") < f.dense(NOISY) - MARGIN
            and f.gain(NOISY, "magnitude", STOPPED).high < 0
            and f.gain(NOISY, "magnitude-rewind", STOPPED).high < 0
        ),
        _stopped,
    ),
    Claim[Facts](
        lambda f: (
            f.mean(NOISY, *f.lowest(NOISY)) > f.dense(NOISY, "stopped_test_error") + MARGIN
            and f.mean(NOISY, *f.lowest(NOISY), "train_error") > 1
            and f.mean(NOISY, *_longer(f.lowest(NOISY, tried=True)), "train_error") <= 1
            and f.mean(NOISY, *_longer(f.lowest(NOISY, tried=True))) > f.dense(NOISY) + MARGIN
            and all(f.mean(NOISY, *at) > f.dense(NOISY) for at in f.never_memorize(NOISY))
        ),
        _lowest,
        first=False,
    ),
    Claim[Facts](
        lambda f: (
            f.mean(NOISY, "dense-decayed", 0.0) < f.dense(NOISY) - MARGIN
            and f.mean(NOISY, "dense-decayed", 0.0, "train_error") > 1
            and f.mean(NOISY, "dense-decayed-3x", 0.0, "train_error") <= 1
            and f.gain(NOISY, "dense-decayed-3x", TRAINED).low <= 0
        ),
        _decayed,
        first=False,
    ),
)

OTHER_CLAIMS = (
    Claim[Pairs](
        lambda pairs: all(_only_as_longer(f, CLEAN) for f in _others(pairs).values()),
        _others_clean,
        first=False,
    ),
    Claim[Pairs](
        lambda pairs: (
            any(_above_longer(f, NOISY) for f in _others(pairs).values())
            and all(
                _only_as_decayed(f, NOISY) and _none_stopped(f, NOISY)
                for f in _others(pairs).values()
            )
            # the first screen says below the table that this gain did not last
            and any(_small_gain(f, NOISY).low > 0 for f in pairs.values())
            and all(
                not longer.pairs or longer.low <= 0
                for f in pairs.values()
                for longer in [_small_gain(f, NOISY, LONGER_SMALL)]
            )
        ),
        _others_noisy,
    ),
    Claim[Pairs](
        lambda pairs: all(
            _only_as_longer(f, LESS_NOISY) and _none_stopped(f, LESS_NOISY)
            for f in pairs.values()
            if LESS_NOISY in f.noisy
        ),
        _less_noisy,
    ),
)


def _table(facts: Facts) -> str:
    rows = [
        [
            "dense network: its test error",
            _percent(facts.dense(CLEAN)), _percent(facts.dense(NOISY)),
            _percent(facts.dense(NOISY, "stopped_test_error")),
        ]
    ]  # fmt: skip
    wanted = ((CLEAN, TRAINED), (NOISY, TRAINED), (NOISY, STOPPED))
    for method, called in SHOWN.items():
        rows.append([called, *(facts.gain(regime, method, state).text for regime, state in wanted)])
    header = ["gain in points of test error", "clean, trained", "40 % wrong, trained",
              "40 % wrong, stopped"]  # fmt: skip
    return markdown_rows(header, rows)


def _table_of_pairs(pairs: Pairs) -> str:
    rows = [
        [
            f"{called}, {SHARES[regime]}",
            _percent(facts.dense(regime)), facts.gain(regime, LONG, TRAINED).text,
            _best(facts.gains(regime, TRAINED, small=False)).text,
            _percent(facts.dense(regime, "stopped_test_error")),
            _best(facts.gains(regime, STOPPED, small=False)).text,
            *(_small_gain(facts, regime, method).text for method in (SMALL, LONGER_SMALL)),
        ]
        for called, facts in pairs.items()
        for regime in facts.noisy
    ]  # fmt: skip
    header = ["wrong labels", "dense, trained", "gain: longer", "gain: pruned", "dense, stopped",
              "gain: pruned", "gain: small dense", "the same, 3× longer"]  # fmt: skip
    return markdown_rows(header, rows)


@cache
def recorded() -> Pairs:
    """Return the numbers of every pair of data and network whose records are committed."""
    return {called: Facts(_RECORDS / name / "cells.csv") for name, called in PAIRS.items()}


@cache
def committed(whole: bool = True) -> str:
    """Return the findings of the committed records, ``whole`` or as on the first screen."""
    return findings(recorded(), whole)


def findings(pairs: Pairs, whole: bool = True) -> str:
    """Return the findings as Markdown: a bullet for each claim, and the tables they stand on.

    Args:
        pairs: the numbers of each pair of data and network, by what it is called; the laboratory's
            own first.
        whole: whether to say all of it and to show the table of the laboratory's methods, too.

    Raises:
        ValueError: the records do not bear a claim.
    """
    facts = next(iter(pairs.values()))
    said = [*_said(CLAIMS, facts, whole), _left_out(facts), *_said(OTHER_CLAIMS, pairs, whole)]
    bullets = "\n".join(f"- {text}" for text in said)
    tables = [_table_of_pairs(pairs), *([_table(facts)] if whole else [])]
    return "\n\n".join([bullets, *(table.strip() for table in tables)]) + "\n"


def _said(claims: tuple[Claim[T], ...], of: T, whole: bool) -> list[str]:
    said = []
    for claim in claims:
        if not (whole or claim.first):
            continue
        text = claim.text(of)
        if not claim.holds(of):
            raise ValueError(f"the records do not say this, write it anew: {text}")
        said.append(text)
    return said
