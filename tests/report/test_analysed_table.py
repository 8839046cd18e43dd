"""``analyse`` from end to end: a file in, words, files and JSON out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from prunebench import cli
from prunebench.report import analysed_table, figures
from prunebench.statistics import read_cells, score
from tests.messages import unsaid
from tests.statistics.conftest import table


def ask(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["analyse", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def path(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("analyse") / "cells.csv"
    cells.to_csv(found, index=False)
    return found


def test_the_terminal_shows_every_method_and_what_it_stands_on(path: Path) -> None:
    text = ask(str(path))
    about, table = text.split("\n\n")
    assert "1 task, 2 regimes, 2 models, 3 seeds." in about
    assert "Interval of 95 % over seeds, on these tasks." in about
    assert "Holm over 7 methods" in about
    assert "failed, diverged or collapsed" in about
    lines = table.splitlines()
    assert lines[0].split("  ")[0] == "method"
    scores = score(read_cells(path))
    assert [line.split()[0] for line in lines[1:]] == scores["method"].tolist()
    assert sum("cannot be significant with 3 seeds" in line for line in lines) == 7


def test_programs_get_every_column(path: Path) -> None:
    found = json.loads(ask(str(path), "--primary", "imp, snip", "--json", "--equivalence", "2"))
    assert (found["baseline"], found["reference"], found["equivalence"]) == ("dense", "random", 2)
    scores = score(read_cells(path), primary=["imp", "snip"], equivalence=2)
    assert [row["method"] for row in found["scores"]] == scores["method"].tolist()
    assert {row["method"] for row in found["scores"] if row["primary"]} == {"imp", "snip"}
    assert set(found["scores"][0]) == set(scores.columns)
    dense = next(row for row in found["scores"] if row["method"] == "dense")
    assert dense["low"] is None
    assert "exploratory: " in found["caption"]


def test_the_files(path: Path, tmp_path: Path) -> None:
    ask(str(path), "--output", str(tmp_path / "made"), "--baseline", "magnitude")
    made = tmp_path / "made"
    names = {"scores.csv", "scores.md", "scores.png", "scores.pdf"}
    assert {file.name for file in made.iterdir()} == names
    again = pd.read_csv(made / "scores.csv")
    wanted = score(read_cells(path), baseline="magnitude")
    pd.testing.assert_frame_equal(
        again[["method", "score", "low", "high"]], wanted[["method", "score", "low", "high"]]
    )
    shown = (made / "scores.md").read_text()
    assert shown.startswith("## Scores against magnitude\n")
    assert len([line for line in shown.splitlines() if line.startswith("| ")]) == len(wanted) + 2


def test_a_published_table_with_one_seed(tmp_path: Path) -> None:
    lines = ["method,sparsity,test_error", "dense,0,0.05", "lamp,0.5,0.049", "lamp,0.9,0.06"]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    result = CliRunner().invoke(cli.app, ["analyse", str(tmp_path / "p.csv")])
    assert result.exit_code == 0
    assert "No interval: one seed" in result.stdout
    assert "against random" not in result.stdout
    assert result.stderr.count("note: ") == 7
    assert "no column seed" in result.stderr


def test_accuracies_given_as_errors_are_refused_or_read_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["method,sparsity,test_error", "dense,0,0.95", "lamp,0.5,0.951", "lamp,0.9,0.94"]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    monkeypatch.setattr(sys, "argv", ["prunebench", "analyse", str(tmp_path / "p.csv")])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out, err.count("\n")) == (2, "", 1)
    assert unsaid(err, "95%", "94%", "--unit accuracy-share") == []
    right = [lines[0], "dense,0,0.05", "lamp,0.5,0.049", "lamp,0.9,0.06"]
    (tmp_path / "right.csv").write_text("\n".join(right))
    scores = [
        {row["method"]: row["score"] for row in json.loads(ask(*given, "--json"))["scores"]}
        for given in (
            (str(tmp_path / "right.csv"),),
            (str(tmp_path / "p.csv"), "--unit", "accuracy-share"),
            (str(tmp_path / "p.csv"), "--unit", "error-share"),
        )
    ]
    assert scores[0] == pytest.approx(scores[1])
    assert scores[2]["lamp"] == pytest.approx(-scores[0]["lamp"])


@pytest.mark.parametrize("methods", [["lamp"], ["lamp", "snip"], ["m" * 64]])
@pytest.mark.parametrize("regimes", [["clean"], ["clean", "noisy-40"]])
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_forest_of_a_tiny_table_has_room_for_its_panels(
    methods: list[str], regimes: list[str], seeds: int
) -> None:
    """Where a panel has none, or its axis no length, matplotlib warns: here an error."""
    points = {
        "dense": {(seed, 0.0): 0.05 + seed / 100 for seed in range(seeds)},
        **{
            name: {(seed, s): 0.05 + seed / (100 - i) for seed in range(seeds) for s in (0.5, 0.9)}
            for i, name in enumerate(methods)
        },
    }
    cells = pd.concat([table(points).assign(regime=regime) for regime in regimes])
    drawn = figures.draw_forest(cells)
    drawn.draw_without_rendering()
    for axes in drawn.axes:
        box = axes.get_window_extent()
        assert min(box.width, box.height) / drawn.dpi > 0.2  # inches: a row of its own height


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--unit", "accuracy-percent"), "unknown unit 'accuracy-percent'; did you mean"),
        (("--baseline", "dens"), "no cells of the baseline 'dens'; did you mean 'dense'?"),
        (("--equivalence", "0"), "equivalence must be above 0 points, found 0"),
        (("--reference", "randm"), "no method 'randm'; did you mean 'random'?"),
        (("--primary", "imp,snap"), "primary: no method 'snap'; did you mean 'snip'?"),
    ],
)
def test_a_wrong_name_is_one_line(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["prunebench", "analyse", str(path), *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    assert err.startswith(f"error: {says}")
    assert err.count("\n") == 1


def test_nothing_to_compare(cells: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="nothing to compare: every row is 'dense'"):
        analysed_table.analyse(cells[cells["method"] == "dense"], "dense", "random", [], 0.5)
