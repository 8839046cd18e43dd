from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from prunebench.experiment.settings import Analysis
from prunebench.report import terminal_summary
from prunebench.report.document import compose, markdown
from prunebench.report.leaderboard import ranking
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics import score
from prunebench.storage.layout import Layout
from tests.messages import unsaid


def test_the_terminal_says_who_leads_what_failed_and_where_to_look(
    cells: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # in a checkout that was used there is a store of MLflow's
    text = terminal_summary.text(cells, Layout(Path("results/trial")))
    lines = text.splitlines()
    assert lines[0] == "prunebench: trial: 516 cells, 3 seeds"
    leader = score(cells).iloc[0]
    row = next(line for line in lines if line.split()[:1] == ["1"])
    assert row.split()[1:3] == [leader["method"], f"−{abs(leader['score']):.2f}"]
    assert "noisy-40: imp at 96.88 % sparsity, −16." in text
    assert "2 collapsed, 1 diverged, 1 failed" in text
    for place in (
        "results/trial/cells.csv", "results/trial/tables/", "results/trial/figures/",
        "results/trial/leaderboard.html",
    ):  # fmt: skip
        assert place in text
    assert "mlflow" not in text  # nothing was exported
    assert max(map(len, lines)) <= 160
    assert text.endswith("\n")


def test_mlflow_is_named_where_there_is_something_to_look_at(
    cells: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "mlflow.db").touch()
    text = terminal_summary.text(cells, Layout(tmp_path / "trial"))
    assert "mlflow ui --backend-store-uri sqlite:///" in text


def test_dense_and_random_are_always_shown(cells: pd.DataFrame) -> None:
    imp = cells[cells["method"] == "imp"]
    copies = [imp.assign(method=f"imp{i}") for i in range(10)]
    lines = terminal_summary.text(pd.concat([cells, *copies]), Layout(Path("r"))).splitlines()
    shown = [line.split()[1] for line in lines if line.strip()[:1].isdigit()]
    assert {"dense", "random"} <= set(shown)
    assert any("more in the leaderboard" in line for line in lines)


def test_no_network_at_chance_is_called_the_best(cells: pd.DataFrame) -> None:
    nothing = cells.assign(classes=10, train_error=0.95)
    text = terminal_summary.text(nothing, Layout(Path("r")))
    assert "  noisy-40: none: no pruned network is better than chance" in text
    document = markdown(compose(ReportInputs.of(nothing, Layout(Path("r")))))
    assert "none is better than chance" in document
    board = ranking.boards(nothing, Analysis(), [ranking.EVERYTHING])[ranking.EVERYTHING]
    assert all(row["best_cell"] is None for row in board)


def test_trainings_that_did_not_finish_leave_nothing_to_choose(cells: pd.DataFrame) -> None:
    late = cells.assign(training_outcome="under-trained")
    text = terminal_summary.text(late, Layout(Path("r")))
    assert unsaid(text, "no choice", "half of the trainings or more did not finish") == []
    without = terminal_summary.text(late.drop(columns=["val_error"]), Layout(Path("r")))
    assert "no validation errors recorded" in without
