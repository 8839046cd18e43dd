"""The hidden Markov model, against all paths through a small one."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from prunebench.tasks.sources.hidden_markov import HiddenMarkov, model, read

from ..conftest import MakeTask


def test_the_forward_algorithm_against_a_sum_over_all_paths() -> None:
    draws = np.random.default_rng(1)
    small = HiddenMarkov(
        draws.dirichlet(np.ones(3)), draws.dirichlet(np.ones(3), 3), draws.dirichlet(np.ones(4), 3)
    )

    def probability(symbols: tuple[int, ...]) -> float:
        total = 0.0
        for path in product(range(3), repeat=len(symbols)):
            share = small.start[path[0]]
            for step, (state, symbol) in enumerate(zip(path, symbols, strict=True)):
                share *= small.show[state, symbol]
                if step + 1 < len(path):
                    share *= small.move[state, path[step + 1]]
            total += share
        return total

    seen = (2, 0, 3, 3)
    predicted = small.next_probabilities(np.array([seen]))[0]
    for step in range(len(seen)):
        before = seen[: step + 1]
        expected = [probability((*before, symbol)) / probability(before) for symbol in range(4)]
        assert predicted[step] == pytest.approx(expected)


def test_sequences_and_what_follows(make_task: MakeTask) -> None:
    raw = read(make_task(source="hidden-markov"), Path("unused"))
    inputs, targets = raw.train.inputs, raw.train.targets
    assert inputs.shape == targets.shape == (4000, 32)
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])
    assert (inputs.min(), inputs.max()) == (1, len(raw.facts["vocabulary"]) - 1)
    again = read(make_task(source="hidden-markov"), Path("unused"))
    assert np.array_equal(again.train.inputs, inputs)
    assert read(make_task(length=5), Path("unused")).train.inputs.shape == (4000, 5)


def test_the_best_error_is_that_of_the_best_guess_and_nobody_else_reaches_it(
    make_task: MakeTask,
) -> None:
    raw = read(make_task(source="hidden-markov"), Path("unused"))
    symbols, following = raw.train.inputs - 1, raw.train.targets - 1
    guessed = model().next_probabilities(symbols).argmax(2)
    # 128,000 tokens: a standard error of 0.14 %
    assert np.mean(guessed != following) == pytest.approx(raw.facts["best_error"], abs=0.006)
    half = 2000
    pairs = np.zeros((12, 12))
    np.add.at(pairs, (symbols[:half], following[:half]), 1)
    by_pairs = np.mean(pairs.argmax(1)[symbols[half:]] != following[half:])
    assert by_pairs > raw.facts["best_error"] + 0.2
    assert 0.5 < raw.facts["best_nll"] < np.log(12)
