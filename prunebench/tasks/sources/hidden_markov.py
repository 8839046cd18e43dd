"""Sequences of a seeded hidden Markov model (embedded): a language model with a known best error.

Each of 36 hidden states is followed by one of two others in 95 % of the steps, and shows one of 12
symbols in 90 %; three states share each symbol, so that what came before tells them apart. What
can be predicted at best of the next symbol, knowing all before it in its sequence and the model
itself, is computed with the forward algorithm and given as facts: ``best_error`` and ``best_nll``
(nats), means over all tokens. Small, and with room to overfit: for trying and for tests, not for a
paper. The same version of numpy gives the same sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.tasks.raw import Raw, Split

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

STATES, SYMBOLS = 36, 12
FOLLOWED = (0.8, 0.15)  # shares of the steps to a state's two followers; the rest to any
SHOWN = 0.9  # share of the steps in which a state shows its own symbol
SEQUENCES, LENGTH = 4000, 32
SEED = 20_240_917
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HiddenMarkov:
    """The first state's, the next state's and the symbol's probabilities."""

    start: Floats  # [S]
    move: Floats  # [S, S], rows sum to 1
    show: Floats  # [S, V], rows sum to 1

    def sample(self, count: int, length: int, draws: np.random.Generator) -> NDArray[np.int64]:
        """Return symbols [count, length], numbered from 0."""
        symbols = np.empty((count, length), np.int64)
        state = _choose(np.tile(self.start, (count, 1)), draws)
        for step in range(length):
            symbols[:, step] = _choose(self.show[state], draws)
            state = _choose(self.move[state], draws)
        return symbols

    def next_probabilities(self, symbols: NDArray[np.int64]) -> Floats:
        """Return P(next symbol | all symbols so far) as [N, L, V], by the forward algorithm.

        Args:
            symbols: [N, L], numbered from 0; position t is predicted from the symbols 0 … t.
        """
        belief = np.tile(self.start, (len(symbols), 1))  # of the state, before its symbol is seen
        predicted = np.empty((*symbols.shape, self.show.shape[1]))
        for step in range(symbols.shape[1]):
            belief = belief * self.show[:, symbols[:, step]].T
            belief = (belief / belief.sum(1, keepdims=True)) @ self.move
            predicted[:, step] = belief @ self.show
        return predicted


def model() -> HiddenMarkov:
    """Return the model that the task is drawn from."""
    draws = np.random.default_rng(SEED)
    move = np.full((STATES, STATES), (1 - sum(FOLLOWED)) / STATES)
    for share in FOLLOWED:
        move[np.arange(STATES), draws.permutation(STATES)] += share
    show = np.full((STATES, SYMBOLS), (1 - SHOWN) / SYMBOLS)
    show[np.arange(STATES), np.arange(STATES) % SYMBOLS] += SHOWN
    return HiddenMarkov(np.full(STATES, 1 / STATES), move, show)


def read(task: Task, folder: Path) -> Raw:
    """Return all sequences as one training split: symbols, and the ones that follow them.

    ``length`` may ask for sequences of another length. Read no file.
    """
    length = task.length or LENGTH
    chain = model()
    symbols = chain.sample(SEQUENCES, length + 1, np.random.default_rng(SEED + 1))
    predicted = chain.next_probabilities(symbols[:, :-1])
    of_next = np.take_along_axis(predicted, symbols[:, 1:, None], 2)
    facts: dict[str, Any] = {
        "vocabulary": ("", *(_name(symbol) for symbol in range(SYMBOLS))),
        "best_error": float(1 - predicted.max(2).mean()),
        "best_nll": float(-np.log(of_next).mean()),
    }
    tokens = (symbols + 1).astype(np.int32)  # 0 pads
    return Raw(Split(tokens[:, :-1].copy(), tokens[:, 1:].copy()), facts=facts, item="sequence")


def _name(symbol: int) -> str:
    return chr(ord("a") + symbol)


def _choose(probabilities: Floats, draws: np.random.Generator) -> NDArray[np.int64]:
    """Return one choice [N] of each row of probabilities [N, K]."""
    steps = probabilities.cumsum(1)
    return (draws.random((len(steps), 1)) * steps[:, -1:] >= steps).sum(1)
