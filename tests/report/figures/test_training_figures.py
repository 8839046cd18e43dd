"""Figures of trainings: what is drawn, what is marked, what stays out where nothing is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from prunebench.experiment.settings import Analysis
from prunebench.report import figures
from prunebench.report.figures import figure_context, style, trained_and_stopped
from prunebench.report.figures.figure_context import FigureContext
from prunebench.statistics.outcome_shares import outcome_shares

STEMS = ("two-by-two-{task}", "error-length-{task}", "training-outcomes-{task}")
DECLARED = Analysis(primary=["magnitude", "imp", "l1-filter"])


@pytest.mark.parametrize("stem", STEMS)
def test_records_of_before_have_no_such_figure(cells: pd.DataFrame, stem: str) -> None:
    assert figures.draw(stem, cells) is None


def test_the_errors_of_both_states_stand_in_one_panel(judged: pd.DataFrame) -> None:
    drawn = figures.draw("two-by-two-{task}", judged, DECLARED)
    assert drawn is not None
    [axes] = drawn.axes
    assert [text.get_text() for text in axes.texts] == ["clean", "noisy-40"]
    names = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert names == ["dense network", "pruned networks"]
    said = drawn.legends[0].get_title().get_text()
    assert "imp, imp-10x, l1-filter, magnitude, magnitude-10x" in said
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    circles = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(circles) == 5 * len(stars) == 20  # five methods, in four groups
    own = judged[(judged["method"] == "dense") & (judged["regime"] == "clean")]
    wanted = 100 * own[["test_error", "stopped_test_error"]].mean()
    found = [float(np.asarray(line.get_ydata())[0]) for line in stars[:2]]
    assert found == pytest.approx(wanted.to_list())


def test_errors_that_lie_close_together_are_not_cut_off_at_the_top(judged: pd.DataFrame) -> None:
    close = judged[judged["regime"] == "clean"].copy()
    for name in ("test_error", "stopped_test_error"):
        close[name] = 0.9 + close[name] / 100
    drawn = figures.draw("two-by-two-{task}", close, DECLARED)
    assert drawn is not None
    [axes] = drawn.axes
    highest = max(float(np.max(line.get_ydata())) for line in axes.lines if line.get_marker() != "")
    low, high = axes.get_ylim()
    assert low == 0
    assert highest + 0.03 * (high - low) < high


@pytest.mark.parametrize("regimes", [["clean"], ["clean", "noisy-40"]])
def test_the_legend_of_outcomes_is_not_cut_off(judged: pd.DataFrame, regimes: list[str]) -> None:
    """Three outcomes in one panel: side by side their names are wider than it."""
    table = judged[judged["regime"].isin(regimes)].reset_index(drop=True)
    ends = ["trained-out", "under-trained", "trained-out"]
    table["training_outcome"] = [ends[i % 3] for i in range(len(table))]
    table["plateau"] = [i % 3 == 2 for i in range(len(table))]
    drawn = figures.draw("training-outcomes-{task}", table, DECLARED)
    assert drawn is not None
    drawn.draw_without_rendering()
    legend, page = drawn.legends[0].get_window_extent(), drawn.bbox
    assert page.x0 <= legend.x0 < legend.x1 <= page.x1
    assert page.y0 <= legend.y0
    assert not any(axes.get_tightbbox().overlaps(legend) for axes in drawn.axes)


def test_a_cost_that_no_network_has_makes_no_panel(judged: pd.DataFrame) -> None:
    priced = judged.assign(bytes_compressed=1000.0 * judged["seed"] + 1000, macs_shrunk=1e6)
    for macs, panels in ((1e6, 2), (0.0, 1)):
        drawn = figures.draw("pareto-{task}", priced.assign(macs_shrunk=macs), DECLARED)
        assert drawn is not None
        per_setting = {axes.get_xlabel() for axes in drawn.axes if axes.get_xlabel()}
        assert len(per_setting) == panels


def test_highlighted_methods_alone_are_in_colour(judged: pd.DataFrame) -> None:
    context = FigureContext.of(judged[judged["regime"] == "clean"], DECLARED, highlight=["imp"])
    assert context.highlight == ("imp", "imp-10x", "imp-3x")
    assert context.shown == ["imp-10x"]
    drawn = figures.figures()["two-by-two-{task}"].draw(context.cells, context)
    assert drawn is not None
    names = [text.get_text() for text in drawn.legends[0].get_texts()]
    # few beside it: each with its name and a marker of its own
    assert names == ["dense network", "imp", "imp-10x", "l1-filter", "magnitude", "magnitude-10x"]
    grey = {
        line.get_marker()
        for line in drawn.axes[0].lines
        if line.get_color() == style.CONTROL_COLOUR
    } - {"None", ""}
    assert len(grey) == 3


def test_a_highlighted_method_is_shown_beside_declared_ones(judged: pd.DataFrame) -> None:
    declared = Analysis(primary=["magnitude"])
    context = FigureContext.of(judged, declared, highlight=["l1-filter"])
    drawn = figures.figures()["two-by-two-{task}"].draw(context.cells, context)
    assert drawn is not None
    names = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert names == ["dense network", "l1-filter", "magnitude", "magnitude-10x"]
    # and one that was not recorded changes nothing
    absent = figures.draw("two-by-two-{task}", judged, declared, highlight=["obs"])
    assert absent is not None
    names = [text.get_text() for text in absent.legends[0].get_texts()]
    assert names == ["dense network", "pruned networks"]


@pytest.mark.parametrize(("least", "named"), [(3, True), (0, False)])
def test_methods_beside_a_highlighted_one_are_named_or_counted(
    judged: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, least: int, named: bool
) -> None:
    monkeypatch.setattr(figure_context, "NAMED", least)
    monkeypatch.setattr(trained_and_stopped, "NAMED", least)
    judged = judged[judged["method"].str.match("dense|imp|l1-filter|magnitude")]
    for stem in ("two-by-two-{task}", "error-length-{task}"):
        drawn = figures.draw(stem, judged, DECLARED, highlight=["imp"])
        assert drawn is not None
        names = [text.get_text() for text in drawn.legends[0].get_texts()]
        assert any(name.startswith("magnitude") for name in names) == named, stem
        assert any(name.endswith(("other method", "other methods")) for name in names) != named, (
            names
        )
    drawn = figures.draw("error-compression-{task}", judged, DECLARED, highlight=["imp"])
    assert drawn is not None
    names = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert any(name.startswith("magnitude") for name in names) == named
    note = drawn.legends[0].get_title().get_text()
    assert ("other method" in note) != named


def test_points_that_were_not_trained_out_are_hollow(judged: pd.DataFrame) -> None:
    drawn = figures.draw("error-length-{task}", judged, DECLARED)
    assert drawn is not None
    noisy = drawn.axes[-1]  # the last row is the noisy regime, its last panel the sparsest
    assert noisy.get_title().startswith("noisy-40, 22")
    own = FigureContext.of(judged, DECLARED).styles["imp-10x"].marker
    marks = [line for line in noisy.lines if line.get_marker() == own]
    hollow = {
        float(x)
        for line in marks
        if line.get_markerfacecolor() == "white"
        for x in np.asarray(line.get_xdata())
    }
    late = judged[
        (judged["base_method"] == "imp") & (judged["regime"] == "noisy-40")
        & (judged["sparsity"] == 0.984375) & (judged["training_outcome"] == "under-trained")
    ]  # fmt: skip
    assert hollow == set(late["recovery_length"]) == {1.0, 3.0}


def test_a_seed_that_failed_is_crossed_and_out_of_the_mean(judged: pd.DataFrame) -> None:
    drawn = figures.draw("error-length-{task}", judged, DECLARED)
    assert drawn is not None
    least = next(axes for axes in drawn.axes if axes.get_title().startswith("noisy-40, 1.94"))
    crosses = [line for line in least.lines if line.get_marker() == "x"]
    assert sorted(float(x) for line in crosses for x in np.asarray(line.get_xdata())) == [1, 10]
    heights = [float(y) for line in least.lines if line.get_marker() != "x"
               for y in np.asarray(line.get_ydata())]  # fmt: skip
    assert max(heights) < 60  # the failed seeds stand at 90


def test_one_length_alone_makes_no_figure_of_lengths(judged: pd.DataFrame) -> None:
    assert figures.draw("error-length-{task}", judged[judged["recovery_length"] == 1]) is None


def test_bars_are_the_shares_of_the_cells(judged: pd.DataFrame) -> None:
    drawn = figures.draw("training-outcomes-{task}", judged)
    assert drawn is not None
    first, axes = drawn.axes
    names = [label.get_text() for label in first.get_yticklabels()]
    assert names[0] == "dense"
    places = [names.index(name) for name in ("magnitude", "magnitude-3x", "magnitude-10x")]
    assert all(b - a == 1 for a, b in pairwise(places))
    found = outcome_shares(judged[judged["regime"] == "noisy-40"]).set_index("method")
    learned = axes.containers[0]
    widths = {name: bar.get_width() for name, bar in zip(names, learned, strict=True)}
    assert widths["imp"] == pytest.approx(100 * found.loc["imp", "learned"] / 18)
    total = sum(container[3].get_width() for container in axes.containers)
    assert total == pytest.approx(100)


def test_curves_over_compression_show_the_longest_recovery(judged: pd.DataFrame) -> None:
    context = FigureContext.of(judged, DECLARED)
    assert {"magnitude-10x", "imp-10x", "l1-filter"} <= set(context.shown)
    assert not {"magnitude", "imp-3x", "random", "dense-long-3x"} & set(context.styles)
    assert context.look("magnitude").colour == context.styles["magnitude-10x"].colour
    assert context.look("magnitude").fill == "white"
    drawn = figures.draw(figures.ERROR, judged, DECLARED)
    assert drawn is not None
    names = {text.get_text() for text in drawn.legends[0].get_texts()}
    assert "magnitude-10x" in names
    assert not {"magnitude", "magnitude-3x"} & names
    assert "thin, without markers" in drawn.legends[0].get_title().get_text()
    own = judged[(judged["method"] == "magnitude-10x") & (judged["regime"] == "noisy-40")]
    thin = 100 * own.groupby("sparsity")["stopped_test_error"].mean()
    lines = [np.asarray(line.get_ydata(), dtype=float) for line in drawn.axes[1].lines]
    assert any(len(y) == len(thin) and np.allclose(y, thin) for y in lines)


def test_the_forest_keeps_what_was_declared(judged: pd.DataFrame) -> None:
    drawn = figures.draw("forest", judged, DECLARED)
    assert drawn is not None
    names = {label.get_text() for label in drawn.axes[0].get_yticklabels()}
    assert {"magnitude", "magnitude-10x", "l1-filter", "random-10x"} <= names
    assert not {"magnitude-3x", "random", "random-3x"} & names


def test_stopped_scores_stand_thin_below_the_trained_ones(judged: pd.DataFrame) -> None:
    context = FigureContext.of(judged, DECLARED)
    drawn = figures.draw("forest", judged, DECLARED)
    assert drawn is not None
    scores = context.scores["all", "all", "all"]
    names = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    heights = dict(zip(names, drawn.axes[0].get_yticks(), strict=True))
    thin = {
        round(float(np.asarray(line.get_xdata())[0]), 9): float(np.asarray(line.get_ydata())[0])
        for line in drawn.axes[0].lines
        if line.get_marker() == "|" and len(np.asarray(line.get_xdata())) == 1
    }
    for name in ("magnitude-10x", "wanda"):
        at = thin[round(float(scores.loc[name, "stopped_score"]), 9)]
        assert heights[name] - 0.5 < at < heights[name]
    old = figures.draw("forest", judged.drop(columns="stopped_test_error"), DECLARED)
    assert old is not None
    assert "thin" not in old.get_supxlabel()


def test_a_control_beyond_the_panel_is_a_number_without_a_stub_of_its_bar(
    judged: pd.DataFrame,
) -> None:
    random = judged["method"].str.startswith("random")
    far = judged.assign(
        test_error=judged["test_error"].mask(random, 0.99),
        stopped_test_error=judged["stopped_test_error"].mask(random, 0.99),
    )
    drawn = figures.draw("forest", far, DECLARED)
    assert drawn is not None
    [axes, *_] = drawn.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    height = dict(zip(names, axes.get_yticks(), strict=True))["random-10x"]
    rows = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
    bars = [y for y in rows if len(y) in (1, 2) and (abs(y - height) < 0.45).all()]
    assert bars == []
    [number] = [text for text in axes.texts if text.get_position()[1] == height]
    assert number.get_text().endswith("›")
    # of what stands within, the whole interval does: also that of the stopped state
    left, right = axes.get_xlim()
    ends = [np.asarray(line.get_xdata(), dtype=float) for line in axes.lines[2:]]
    assert all(((left <= x) & (x <= right)).all() for x in ends if len(x) == 2 and x[0] != x[1])
