"""Convert the units in which papers give errors and sparsities to those of the record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

ERROR, SPARSITY = "test_error", "sparsity"  # the columns of the record that have units
PERPLEXITY = "perplexity"
DIGITS = 12  # 1 − 0.9 is to be 0.1
# nobody measures a sparsity nearer to 1, and 1/(1 − sparsity) would lose its digits
LARGEST_RATIO = 1e9
LARGEST_PERPLEXITY = 1e12  # 1 − 1/perplexity would be 1
# of units whose numbers are no share of errors: what stands in place of the error
METRICS = {"bleu": "1 − BLEU", "f1-percent": "1 − F1", PERPLEXITY: "1 − 1/perplexity"}


@dataclass(frozen=True)
class Unit:
    """A unit of a number: its column, its range, and its conversion to a share."""

    name: str
    column: str  # ERROR or SPARSITY
    low: float
    high: float
    share: Callable[[float], float]
    range: str  # in words
    other: str  # the question to ask of a number outside the range
    # what the record's error is, where it is not the share of errors of any kind of task
    metric: str = ""

    def convert(self, number: float) -> float:
        """Return the record's value, an error in [0, 1] or a sparsity in [0, 1).

        Raises:
            ValueError: The number lies outside; the message is the end of a sentence about it.
        """
        if not self.low <= number <= self.high:
            raise ValueError(f"is no {self.name}, which lies in {self.range}; {self.other}")
        value = round(self.share(number), DIGITS)
        if self.column == SPARSITY and value > 1 - 1 / LARGEST_RATIO:
            raise ValueError(f"is no {self.name}: nothing would be left of the network")
        return value


def _unit(
    name: str, column: str, high: float, share: Callable[[float], float], low: float = 0.0
) -> Unit:
    percent = name.endswith("-percent")
    other = name.removesuffix("-percent").removesuffix("-share")
    ask = f"is it {_article(other)}-{'share' if percent else 'percent'}?"
    if name in METRICS:
        ask = "is it a share?" if high == 100 else "is it a loss in nat?"
    if column == SPARSITY and not percent:
        ask = "is it a percentage, or a compression-ratio?"
    if name == "compression-ratio":
        ask = "is it a density, or a sparsity?"
    words = f"[{low:g}, {high:g}]" if high < LARGEST_RATIO else "[1, ∞)"
    return Unit(name, column, low, high, share, words, ask, METRICS.get(name, ""))


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


UNITS = {
    unit.name: unit
    for unit in (
        _unit("error-share", ERROR, 1, lambda x: x),
        _unit("error-percent", ERROR, 100, lambda x: x / 100),
        _unit("accuracy-share", ERROR, 1, lambda x: 1 - x),
        _unit("accuracy-percent", ERROR, 100, lambda x: (100 - x) / 100),
        _unit("bleu", ERROR, 100, lambda x: (100 - x) / 100),
        _unit("f1-percent", ERROR, 100, lambda x: (100 - x) / 100),
        # the inverse is the geometric mean of the probabilities of the right tokens
        _unit(PERPLEXITY, ERROR, LARGEST_PERPLEXITY, lambda x: 1 - 1 / x, low=1),
        _unit("sparsity-share", SPARSITY, 1, lambda x: x),
        _unit("sparsity-percent", SPARSITY, 100, lambda x: x / 100),
        _unit("density-share", SPARSITY, 1, lambda x: 1 - x),
        _unit("density-percent", SPARSITY, 100, lambda x: (100 - x) / 100),
        _unit("compression-ratio", SPARSITY, LARGEST_RATIO, lambda x: 1 - 1 / x, low=1),
        _unit("compression-log10", SPARSITY, 9, lambda x: 1 - 10**-x),
    )
}
USUAL = {ERROR: "error-share", SPARSITY: "sparsity-share"}
# words in the name of a column -> the units it must have
_SAYS = {
    ERROR: (
        ("error", r"err"), ("accuracy", r"acc"), ("bleu", r"bleu"), ("f1", r"\bf1\b"),
        ("perplexity", r"perplex|\bppl\b"),
    ),
    SPARSITY: (
        ("sparsity", r"spars|pruned|removed"), ("density", r"densit|remain|kept"),
        ("compression", r"compress"),
    ),
}  # fmt: skip


def contradiction(header: str, unit: Unit) -> str:
    """Return the word in a column's name that contradicts its unit, such as ``accuracy``, or "".

    A table of accuracies read as errors looks as good as any other; its header gives it away.
    """
    said = [word for word, found in _SAYS[unit.column] if re.search(found, header.casefold())]
    if said and not any(unit.name.startswith(word) for word in said):
        return said[0]
    percent = "%" in header or "percent" in header.casefold()
    return "per cent" if percent and unit.name.endswith("-share") else ""


def too_small(numbers: list[float], unit: Unit) -> bool:
    """Return whether numbers in a unit of per cent are shares: none above 1, not all 0.

    Only where so small a percentage is implausible: an error below 1 % is not.
    """
    doubtful = unit.name in ("accuracy-percent", "sparsity-percent", "f1-percent", "bleu")
    return doubtful and bool(numbers) and 0 < max(numbers) <= 1


def upside_down(dense: float, sparsest: float) -> bool:
    """Return whether errors look like accuracies: high when dense, and lower at most sparsity."""
    return dense > 0.5 and sparsest < dense
