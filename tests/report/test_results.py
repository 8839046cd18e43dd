"""The results of an experiment in Python: the same as in its files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import prunebench
from prunebench.errors import PrunebenchError
from prunebench.report.results import load
from prunebench.storage.layout import Layout
from tests.conftest import ROOT

REFERENCE = ROOT / "results" / "reference"


def test_the_python_face_shows_what_it_has() -> None:
    assert set(prunebench.__all__) <= set(dir(prunebench))
    for name in ("compress", "load", "prune", "run", "shrink"):
        assert callable(getattr(prunebench, name))


def test_cells_and_leaderboard_are_those_of_the_files() -> None:
    results = load(REFERENCE / "default")
    table = pd.read_csv(REFERENCE / "default" / "cells.csv")
    pd.testing.assert_series_equal(results.cells["test_error"], table["test_error"])
    board = results.leaderboard()
    stored = pd.read_csv(REFERENCE / "default" / "leaderboard.csv")
    assert board["method"].tolist() == stored["method"].tolist()
    assert board["score"].tolist() == pytest.approx(stored["score"].tolist(), nan_ok=True)
    assert repr(results).endswith(f"{len(table)} cells")


def test_a_figure_by_its_name() -> None:
    results = load(REFERENCE / "compression")
    assert {"error-compression", "forest"} <= set(results.plots)
    figure = results.plot("error-compression")
    assert figure.axes
    assert any("error" in axes.get_ylabel() for axes in figure.axes)


def test_only_figures_that_these_results_can_draw_are_named() -> None:
    results = load(REFERENCE / "compression")
    with pytest.raises(PrunebenchError, match="lack what it shows"):
        results.plot("two-by-two")
    assert "two-by-two" not in results.plots


def test_histories_have_a_row_for_each_epoch_of_a_cell(tmp_path: Path) -> None:
    shutil.copytree(REFERENCE / "compression", tmp_path / "one")
    results = load(tmp_path / "one")
    assert results.histories.empty
    row = results.cells.iloc[0]
    place = (row["task"], row["regime"], row["model"], int(row["seed"]), row["method"])
    folder = Layout(tmp_path / "one").cell(*place[:4], place[4], float(row["sparsity"]))
    folder.mkdir(parents=True)
    epochs = [{"epoch": n, "train_loss": 1 / n, "val_error": 0.5} for n in (1, 2)]
    (folder / "history.json").write_text(json.dumps(epochs), encoding="utf-8")
    found = load(tmp_path / "one").histories
    assert found["train_loss"].tolist() == [1.0, 0.5]
    assert set(found["method"]) == {row["method"]}
    assert set(found["seed"]) == {int(row["seed"])}


def test_a_figure_of_one_of_several_tasks(tmp_path: Path) -> None:
    shutil.copytree(REFERENCE / "compression", tmp_path / "two")
    table = pd.read_csv(tmp_path / "two" / "cells.csv")
    both = pd.concat([table, table.assign(task="other")])
    both.to_csv(tmp_path / "two" / "cells.csv", index=False)
    results = load(tmp_path / "two")
    with pytest.raises(PrunebenchError, match="figure 'error-compression': give task=; known: "):
        results.plot("error-compression")
    with pytest.raises(PrunebenchError, match="no task 'others'; did you mean 'other'"):
        results.plot("error-compression", task="others")
    assert results.plot("error-compression", task="other").axes


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"cells\.csv"):
        load(tmp_path)
    results = load(REFERENCE / "compression")
    with pytest.raises(PrunebenchError, match="no figure 'forst'; did you mean 'forest'"):
        results.plot("forst")
