"""What panels show: means, bands, control lines, lost cells, phases; and that all is legible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from prunebench.report import figures
from prunebench.report.figures.figure_context import FigureContext
from tests.report.made_up import synthetic


def drawn(stem: str, cells: pd.DataFrame) -> Figure:
    figure = figures.draw(stem, cells)
    assert figure is not None
    return figure


def in_context(stem: str, context: FigureContext) -> Figure:
    figure = figures.figures()[stem].draw(context.cells, context)
    assert figure is not None
    return figure


def bands(figure: Figure) -> list[np.ndarray]:
    found = [c for axes in figure.axes for c in axes.collections if isinstance(c, PolyCollection)]
    return [path.vertices for each in found for path in each.get_paths()]


def test_panels_show_means_controls_and_lost_cells(cells: pd.DataFrame) -> None:
    figure = drawn(figures.ERROR, cells)
    assert [axes.get_title() for axes in figure.axes] == [
        f"{regime} · {model}"
        for model in ("seed-cnn", "test_resnet")
        for regime in ("clean", "noisy-40")
    ]
    axes = figure.axes[0]
    lines = [line for line in axes.lines if len(np.atleast_1d(line.get_xdata())) == 6]
    assert len(lines) == 7
    one = cells.query("regime == 'clean' and model == 'seed-cnn' and method == 'imp'")
    wanted = 100 * one.groupby("sparsity")["test_error"].mean().to_numpy()
    assert any(np.allclose(np.asarray(line.get_ydata(), float), wanted) for line in lines)
    dense = cells.query("regime == 'clean' and model == 'seed-cnn' and method == 'dense'")
    levels = [line.get_ydata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert np.allclose(levels, 100 * dense["test_error"].mean())
    (circles,) = [line for line in axes.lines if line.get_markersize() == 9]
    assert len(np.atleast_1d(circles.get_xdata())) == 3  # snip, apoz, magnitude at the end
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["dense", "random"]
    assert len(names) == 8
    assert "circled: some seeds failed" in figure.legends[0].get_title().get_text()


@pytest.mark.parametrize("regimes", [["noisy-40"], ["clean", "noisy-40"], [*"abcde"]])
def test_nothing_is_cut_off_or_hidden(cells: pd.DataFrame, regimes: list[str]) -> None:
    noisy = cells[cells["regime"] == "noisy-40"]
    table = pd.concat([noisy.assign(regime=name) for name in regimes])
    table = table.replace({"method": {"imp": "iterative-magnitude-rewinding"}})
    figure = drawn(figures.ERROR, table)
    figure.draw_without_rendering()
    legend, page = figure.legends[0].get_window_extent(), figure.bbox
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert figure._suptitle.get_window_extent().width <= page.width
    for box in (legend, *boxes):
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1 + 1
    for i, box in enumerate(boxes):
        assert not box.overlaps(legend)
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("stem", ["error-compression-{task}", "memorized-recovered-{task}"])
def test_bands_stay_within_what_a_share_can_be(stem: str, context: FigureContext) -> None:
    found = bands(in_context(stem, context))
    assert found
    for vertices in found:
        assert vertices[:, 1].min() >= 0
        assert vertices[:, 1].max() <= 100


def test_one_seed_has_no_band() -> None:
    figure = drawn(figures.ERROR, synthetic(seeds=1))
    assert bands(figure) == []
    assert figure.legends[0].get_title().get_text().startswith("one seed, no band")


def _planted(errors: list[float]) -> pd.DataFrame:
    """One setting, dense at 0.3, and one method with ``errors`` at 2×, 4×, 8× …"""
    table = synthetic(broken=False)
    table = table.query("regime == 'noisy-40' and model == 'seed-cnn'")
    table = table[table["method"].isin(["dense", "imp"])].copy()
    octaves = (-np.log2(1 - table["sparsity"])).round().astype(int)
    table["test_error"] = [([0.3, *errors])[k] + 0.0005 * s
                           for k, s in zip(octaves, table["seed"], strict=True)]  # fmt: skip
    return table.assign(val_error=table["test_error"], train_error=0.0)


def test_planted_phases_are_named_where_they_are() -> None:
    table = _planted([0.33, 0.4, 0.25, 0.1, 0.4, 0.8])
    figure = drawn(figures.ERROR, table)
    (axes,) = figure.axes
    ratios = table.groupby("sparsity")["compression_ratio"].mean()
    found = {text.get_text(): text.get_position()[0] for text in axes.texts}
    wanted = {"critical": 0.75, "sweet": 0.9375, "collapsed": 0.96875}
    assert found == pytest.approx({name: ratios[at] for name, at in wanted.items()})
    said = figure.legends[0].get_title().get_text().replace("\n", " ")
    assert "He et al. 2022) of noisy-40: imp" in said
    assert "critical: the error peaks above the dense network's" in said


def test_no_phase_is_named_where_none_is_shown() -> None:
    (axes,) = drawn(figures.ERROR, _planted([0.3] * 6)).axes
    assert list(axes.texts) == []


def test_the_forest_sets_controls_apart_and_shades_the_region(context: FigureContext) -> None:
    axes = in_context(figures.FOREST, context).axes[0]
    heights = {text.get_text(): at for text, at in zip(axes.get_yticklabels(), axes.get_yticks(),
                                                       strict=True)}  # fmt: skip
    assert set(heights) == {*context.candidates, *context.controls}
    assert (
        min(heights[m] for m in context.candidates) >= max(heights[m] for m in context.controls) + 2
    )
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_width()) == (-0.5, 1.0)


def test_the_heatmap_holds_the_gain_that_validation_chose(context: FigureContext) -> None:
    figure = in_context("gain-noise-size", context)
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert list(panels) == context.shown
    for method, axes in panels.items():
        for row, regime in enumerate(("clean", "noisy-40")):
            gain = -context.scores["digits", regime, "all"].loc[method, "chosen"]
            shown = axes.texts[row].get_text().replace("−", "-")
            assert float(shown) == pytest.approx(gain, abs=0.051)


def test_the_criterion_is_compared_with_its_own_controls(context: FigureContext) -> None:
    figure = in_context("criterion", context)
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    assert names == {"magnitude against random", "magnitude against snip"}
    names = {text.get_text() for text in
             in_context("recovery", context).legends[0].get_texts()}  # fmt: skip
    assert names == {"fine-tuning: magnitude", "weight-rewinding: imp"}
