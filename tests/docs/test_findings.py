"""Findings: what the first screen says is borne by the records, or is not written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from docs.findings import CLEAN, HIGH, LESS_NOISY, NOISY, PAIRS, Facts, findings, recorded

RECORDS = Path(__file__).parents[2] / "results" / "reference"
OWN, *OTHERS = PAIRS


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    """The records at three sparsities: those that the claims name."""
    every = pd.read_csv(RECORDS / OWN / "cells.csv")
    return every[every["sparsity"].isin([0.0, 0.5, HIGH, 0.9921875])]


def test_a_gain_is_that_of_the_seeds_written_out(cells: pd.DataFrame, tmp_path: Path) -> None:
    cells.to_csv(tmp_path / "cells.csv")
    facts = Facts(tmp_path / "cells.csv")
    rows = cells[(cells["regime"] == NOISY) & (cells["training_outcome"] == "trained-out")]
    errors = rows.set_index(["method", "sparsity", "seed"])["test_error"].sort_index()
    sparsity = 0.5
    own = errors.loc["imp", sparsity]
    wanted = np.mean([100 * (errors["dense", 0.0, seed] - own[seed]) for seed in own.index])
    assert len(own) == 8
    [found] = [gain for gain in facts.gains(NOISY, "trained") if gain.at == "imp at 2×"]
    assert found.value == pytest.approx(wanted)
    assert found.pairs == 8
    assert facts.dense(CLEAN) == pytest.approx(
        100 * cells[(cells["regime"] == CLEAN) & (cells["method"] == "dense")]["test_error"].mean()
    )


@pytest.mark.parametrize(
    ("method", "column", "words"),
    [
        # a pruned network that is better at its end, one that is better stopped, one that is
        # better than both without having learned its labels, one that stays better when trained
        # ten times as long, a decay that does
        ("imp", "test_error", "no pruned network is better"),
        ("imp", "stopped_test_error", "Early stopping"),
        ("l1-filter", "test_error", "The lowest error"),
        ("l1-filter-10x", "test_error", "no pruned network is better"),
        ("dense-decayed-3x", "test_error", "Weight decay"),
    ],
)
def test_what_the_records_do_not_say_is_not_written(
    cells: pd.DataFrame, tmp_path: Path, method: str, column: str, words: str
) -> None:
    better = (cells["regime"] == NOISY) & (cells["method"] == method)
    better &= cells["sparsity"] == {"imp": 0.5, "dense-decayed-3x": 0.0}.get(method, HIGH)
    assert better.sum() == 8
    cells.assign(**{column: cells[column].mask(better, 0.01)}).to_csv(tmp_path / "cells.csv")
    with pytest.raises(ValueError, match=words):
        findings(recorded() | {PAIRS[OWN]: Facts(tmp_path / "cells.csv")})


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(
    ("method", "regime", "column", "value", "words"),
    [
        # better than training longer, better at its end, better stopped, a dense network that did
        # not memorize
        ("magnitude-rewind", CLEAN, "test_error", 0.001, "clean labels"),
        ("magnitude-rewind", NOISY, "test_error", 0.01, "40 % wrong labels"),
        ("magnitude-rewind", NOISY, "stopped_test_error", 0.01, "40 % wrong labels"),
        ("dense", NOISY, "train_error", 0.2, "40 % wrong labels"),
    ],
)
def test_what_another_pair_does_not_say_is_not_written(
    tmp_path: Path, name: str, method: str, regime: str, column: str, value: float, words: str
) -> None:
    every = pd.read_csv(RECORDS / name / "cells.csv")
    lowest = every.loc[every["method"] == "magnitude-rewind", "sparsity"].min()
    cells = every[every["sparsity"].isin([0.0, lowest])]
    changed = (cells["regime"] == regime) & (cells["method"] == method)
    assert changed.sum() == cells["seed"].nunique()
    cells.assign(**{column: cells[column].mask(changed, value)}).to_csv(tmp_path / "cells.csv")
    with pytest.raises(ValueError, match=f"Other data and networks, {words}"):
        findings(recorded() | {PAIRS[name]: Facts(tmp_path / "cells.csv")})


@pytest.mark.parametrize("name", list(PAIRS)[:2])
def test_fewer_wrong_labels_must_say_the_same(tmp_path: Path, name: str) -> None:
    cells = pd.read_csv(RECORDS / name / "cells.csv")
    changed = (cells["regime"] == LESS_NOISY) & (cells["method"] == "imp")
    changed &= cells["sparsity"] == 0.5
    assert changed.sum() == 8
    cells.assign(test_error=cells["test_error"].mask(changed, 0.01)).to_csv(tmp_path / "cells.csv")
    with pytest.raises(ValueError, match="20 % wrong labels"):
        findings(recorded() | {PAIRS[name]: Facts(tmp_path / "cells.csv")})


@pytest.mark.parametrize(
    ("method", "worth"),
    # the gain lasts when the small network is trained longer; there is none to speak of
    [("small-dense-3x", 0.01), ("small-dense", 0.99)],
)
def test_the_gain_of_small_networks_must_be_there_and_must_not_last(
    tmp_path: Path, method: str, worth: float
) -> None:
    forged = {}
    for name, called in PAIRS.items():
        cells = pd.read_csv(RECORDS / name / "cells.csv")
        errors = cells["stopped_test_error"].mask(cells["method"] == method, worth)
        cells.assign(stopped_test_error=errors).to_csv(tmp_path / f"{name}.csv")
        forged[called] = Facts(tmp_path / f"{name}.csv")
    with pytest.raises(ValueError, match="40 % wrong labels: nearly"):
        findings(forged)


def test_the_first_screen_says_what_the_page_says() -> None:
    """In the same words and numbers, of all pairs; less two refutations and a table."""
    pairs = recorded()
    short, whole = (findings(pairs, every).splitlines() for every in (False, True))
    assert set(short) < set(whole)
    first = [line.split("|")[1] for line in short if line.startswith("|")]
    assert all(any(called in cell for cell in first) for called in PAIRS.values())
