"""Published figures judged by one's own runs, against numbers computed by hand."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebench import cli
from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.published.anchors import (
    INSIDE,
    MEDIAN,
    NOT_RUN,
    OUTSIDE,
    TOO_WIDE,
    Judgement,
    PublishedFigure,
    half_width,
    judge,
    judge_folder,
    read_figures,
)
from prunebench.statistics import check_cells
from prunebench.statistics.cells_table import typed
from prunebench.storage.layout import Layout
from tests.conftest import ROOT

ANCHORS = ROOT / "config" / "anchors"
PLACE = {"task": "t", "regime": "r", "model": "m"}


def cells(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Checked cells; what a row does not say is that of method a, ok, at sparsity 0.9."""
    usual = {**PLACE, "experiment": "e", "method": "a", "family": "weight", "status": "ok"}
    made = pd.DataFrame([{**usual, "sparsity": 0.9, **row} for row in rows])
    found = typed(made.astype("object"), "made up")
    check_cells(found)
    return found


def figure(accuracy: float, **more: object) -> PublishedFigure:
    point = {} if "speedup" in more else {"sparsity": 0.9}
    return PublishedFigure(**{**PLACE, "method": "a", "accuracy": accuracy, "runs": 3, **point,
                              **more})  # fmt: skip


def verdict(own: pd.DataFrame | None, published: PublishedFigure, widest: float = 2) -> Judgement:
    [found] = judge("anchor", [published], own, widest)
    return found


# accuracies 91.5, 92, 92.5: mean 92, s = 0.5; t of 2 degrees of freedom is 4.30265
THREE = [{"seed": 0, "test_error": 0.085}, {"seed": 1, "test_error": 0.08},
         {"seed": 2, "test_error": 0.075}]  # fmt: skip


def test_the_interval_by_hand() -> None:
    found = verdict(cells(THREE), figure(91.0))
    assert (found.own, found.deviation, found.seeds) == pytest.approx((92.0, 0.5, 3))
    half = 4.302653 * 0.5 * math.sqrt(1 / 3 + 1 / 3)
    assert (found.low, found.high) == pytest.approx((92 - half, 92 + half))
    assert half == pytest.approx(1.7566, abs=1e-4)
    assert found.difference == pytest.approx(1.0)
    one_run = verdict(cells(THREE), figure(91.0, runs=1))
    assert one_run.high - 92 == pytest.approx(4.302653 * 0.5 * math.sqrt(1 / 3 + 1))
    median = verdict(cells(THREE), figure(91.0, statistic="median"))
    assert median.high - 92 == pytest.approx(4.302653 * 0.5 * math.sqrt(1 / 3 + MEDIAN / 3))


@pytest.mark.parametrize(
    ("accuracy", "widest", "expected"),
    [
        (90.3, 2.0, INSIDE), (90.2, 2.0, OUTSIDE), (93.7, 2.0, INSIDE), (93.8, 2.0, OUTSIDE),
        (90.3, 1.7, TOO_WIDE), (90.2, 1.7, OUTSIDE), (92.0, 1.76, INSIDE),
    ],
)  # fmt: skip
def test_verdicts(accuracy: float, widest: float, expected: str) -> None:
    assert verdict(cells(THREE), figure(accuracy), widest).verdict == expected


def test_one_seed_has_no_interval_and_none_no_verdict() -> None:
    single = verdict(cells(THREE[:1]), figure(91.5))
    assert (single.verdict, single.seeds) == (TOO_WIDE, 1)
    assert math.isnan(single.low)
    for own in (None, cells([{**THREE[0], "sparsity": 0.5}])):
        absent = verdict(own, figure(91.5))
        assert (absent.verdict, absent.seeds) == (NOT_RUN, 0)
        assert math.isnan(absent.difference)


def test_the_achieved_sparsity_decides_and_failures_are_left_out() -> None:
    own = cells([
        {**THREE[0], "sparsity": 0.5, "sparsity_achieved": 0.9},
        {**THREE[1], "sparsity": 0.9, "sparsity_achieved": 0.8},
        {**THREE[2], "status": "diverged"},
        {**THREE[2], "seed": 3},
        {**THREE[1], "seed": 4, "training_outcome": "failed-to-train"},
        {**THREE[1], "method": "b"},
        {**THREE[1], "regime": "other"},
    ])  # fmt: skip
    found = verdict(own, figure(92.0))
    assert (found.seeds, found.left_out) == (2, 3)
    assert found.own == pytest.approx((91.5 + 92.5) / 2)
    assert found.compression == pytest.approx(10)


def test_a_speedup_is_read_off_between_two_sparsities() -> None:
    """Half-way in octaves between 1.5× and 3×; a seed that does not reach it is left out."""
    curve = [(0.5, 1.5, 0.07), (0.75, 3.0, 0.08), (0.9, 4.0, 0.2)]
    rows = [
        {"seed": seed, "sparsity": sparsity, "theoretical_speedup": times, "test_error": error}
        for seed in (0, 1) for sparsity, times, error in curve
    ]  # fmt: skip
    rows += [{"seed": 2, "sparsity": s, "theoretical_speedup": 1.1 + s, "test_error": 0.1}
             for s, _, _ in curve]  # fmt: skip
    found = verdict(cells(rows), figure(92.5, speedup=1.5 * math.sqrt(2)))
    assert (found.seeds, found.left_out) == (2, 1)
    assert found.own == pytest.approx(92.5)
    assert found.compression == pytest.approx(3.0)  # between 2× and 4×
    assert found.point == "2.12132× MACs"


def test_the_interval_covers_as_often_as_it_says() -> None:
    """The mean of three further runs lies inside in 95 of 100 cases, whatever their spread."""
    generator = np.random.default_rng(0)
    own = generator.normal(90, 0.7, (4000, 5))
    theirs = generator.normal(90, 0.7, (4000, 3)).mean(axis=1)
    half = np.array([half_width(spread, 5, 3) for spread in own.std(axis=1, ddof=1)])
    assert np.mean(np.abs(own.mean(axis=1) - theirs) <= half) == pytest.approx(0.95, abs=0.01)


def test_a_median_of_three_varies_more_than_a_mean() -> None:
    drawn = np.random.default_rng(1).normal(size=(400_000, 3))
    ratio = np.median(drawn, axis=1).var() / drawn.mean(axis=1).var()
    assert ratio == pytest.approx(MEDIAN, abs=0.02)


HEADER = "task,regime,model,method,sparsity,speedup,accuracy,statistic,runs,note\n"
ROW = "cifar10,augmented,resnet20,one-shot-tuning,0.488,,91.54,median,3,\n"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (ROW.replace("one-shot-tuning", "one-shot-tunin"), "line 2: method one-shot-tunin is not"),
        (ROW.replace("resnet20", "resnet56"), "model resnet56 is not in the configuration"),
        (ROW.replace("0.488,", "0.488,2"), "sparsity and speedup: give one of the two"),
        (ROW.replace("0.488", ""), "sparsity and speedup: give one of the two"),
        (ROW.replace("91.54", "0.9154"), "accuracy: input should be greater than 1"),
        (ROW.replace("median,3", "mode,3"), "statistic: input should be 'mean' or 'median'"),
        (ROW.replace("median,3", "median,"), "runs: field required"),
    ],
)
def test_a_figure_that_cannot_be_right_is_refused(tmp_path: Path, row: str, says: str) -> None:
    path = tmp_path / "x.published.csv"
    path.write_text(HEADER + row)
    with pytest.raises(PrunebenchError, match=says):
        read_figures(path, config.load(ANCHORS / "renda-2020.yaml"))


# METHODS.md of the field, or the authors' released numbers: method -> accuracies in their order
EXPECTED = {
    "renda-2020": {
        "dense": [91.71], "iterative-rewinding": [92.29, 91.89, 91.01],
        "one-shot-tuning": [91.54, 90.67, 88.51], "one-shot-reinit": [90.48, 88.49, 86.88],
    },
    "tanaka-2020": {
        "dense": [93.48], "random-untrained": [91.15, 79.14],
        "magnitude-untrained": [93.12, 89.80], "snip": [92.26, 89.15], "grasp": [91.84, 87.49],
        "synflow": [93.26, 90.08],
    },
    "fang-2023": {
        "dense": [93.53], "group-l1": [92.93], "network-slimming": [93.29], "group-norm": [93.46],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_the_anchors_that_ship(name: str) -> None:
    path = ANCHORS / f"{name}.yaml"
    experiment = config.load(path)
    assert experiment.experiment == name
    assert len(experiment.seeds) >= 5  # three give intervals that hold nearly everything
    figures = read_figures(path.with_suffix(".published.csv"), experiment)
    found: dict[str, list[float]] = {}
    for each in figures:
        found.setdefault(each.method, []).append(each.accuracy)
        grid = [0.0, *experiment.sparsities]
        if each.sparsity is not None:
            assert min(abs(each.sparsity - s) for s in grid) < 1e-3, each
    assert found == EXPECTED[name]
    for method in experiment.methods:  # controls of length 1: the authors' own trainings
        assert method.name in found


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:  # type: ignore[no-untyped-def]
    folder, results = tmp_path / "anchors", tmp_path / "results"
    folder.mkdir()
    (folder / "x.yaml").write_text((ANCHORS / "renda-2020.yaml").read_text())
    (folder / "x.published.csv").write_text(HEADER + ROW)

    def call(*more: str) -> tuple[int, str, str]:
        given = ("anchors", folder, "--results", results, "--output", results / "anchors", *more)
        monkeypatch.setattr(sys, "argv", ["prunebench", *map(str, given)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), *capsys.readouterr()

    status, out, _ = call()
    assert (status, "not run" in out) == (0, True)
    place = {"task": "cifar10", "regime": "augmented", "model": "resnet20"}
    rows = [{**row, **place, "method": "one-shot-tuning", "sparsity": 0.488} for row in THREE]
    layout = Layout(results / "renda-2020")
    layout.root.mkdir()
    cells(rows).to_csv(layout.cells_csv, index=False)
    status, out, _ = call("--json")
    # 4.30265 · 0.5 · √(1/3 + 1.35/3) is 1.9 points; 0.5 is the region of practical equivalence
    assert (status, json.loads(out)[0]["verdict"]) == (0, TOO_WIDE)
    (folder / "x.published.csv").write_text(HEADER + ROW.replace("91.54", "94"))
    assert call()[0] == 1
    saved = pd.read_csv(results / "anchors" / "anchors.csv")
    assert saved["verdict"].tolist() == [OUTSIDE]
    assert saved["difference"].tolist() == pytest.approx([-2.0])
    said = (results / "anchors" / "anchors.md").read_text()
    shown = [cell.strip() for cell in said.splitlines()[-1].split("|")]
    assert shown[4:9] == ["94.00", "92.00 ± 0.50", "90.10 to 93.90", "−2.00", OUTSIDE]
    assert shown[10].startswith("2.0× weights")
    assert shown[11] == "median of 3"


def test_a_folder_without_anchors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="holds no configuration of an anchor"):
        judge_folder(tmp_path, tmp_path)
    (tmp_path / "x.yaml").write_text((ANCHORS / "renda-2020.yaml").read_text())
    with pytest.raises(PrunebenchError, match=r"x\.published\.csv: No such file"):
        judge_folder(tmp_path, tmp_path)
