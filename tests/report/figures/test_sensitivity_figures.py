"""The map and the curves of layers that are pruned alone: what is drawn, and whether it is read."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from prunebench.report.figures import figures, style
from prunebench.report.figures.figure_context import FigureContext
from prunebench.report.figures.layer_sensitivity import short
from tests.report import made_up

MAP, CURVES = "sensitivity-map-{task}", "sensitivity-curves-{task}"
CELLS = made_up.synthetic(1, broken=False)
TASK = str(CELLS["task"].iloc[0])


def draw(
    stem: str, layers: int, width: float = style.PAGE_WIDTH, sparsities: tuple = (0.5, 0.9)
) -> Figure | None:
    found = made_up.sensitivity(layers, sparsities).assign(task=TASK)
    context = FigureContext.of(CELLS, sensitivity=found)
    return figures()[stem].draw(context.cells[context.cells["task"] == TASK], context, width)


@pytest.mark.parametrize("stem", [MAP, CURVES])
def test_without_a_sensitivity_there_is_no_figure(stem: str) -> None:
    context = FigureContext.of(CELLS)
    assert figures()[stem].draw(context.cells, context) is None


@pytest.mark.parametrize(("layers", "width"), [(3, style.PAGE_WIDTH), (60, style.COLUMN_WIDTH)])
def test_a_map_has_every_layer_and_no_two_names_overlap(layers: int, width: float) -> None:
    drawn = draw(MAP, layers, width)
    assert drawn is not None
    axes = drawn.axes[0]
    drawn.draw_without_rendering()
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels] == [f"conv{n}" for n in range(layers)]
    tops = sorted((box.y0, box.y1) for box in (label.get_window_extent() for label in labels))
    assert all(low[1] <= high[0] + 0.5 for low, high in pairwise(tops))
    # points: the error rises by the sparsity times the place's share
    wanted = np.array([[100 * s * n / layers for s in (0.5, 0.9)] for n in range(layers)])
    [image] = axes.images
    assert np.asarray(image.get_array()) == pytest.approx(wanted)


def test_of_few_layers_each_curve_has_its_name() -> None:
    drawn = draw(CURVES, 3)
    assert drawn is not None
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == [
        "conv0", "conv1", "conv2",
    ]  # fmt: skip
    [axes] = drawn.axes
    assert np.asarray(axes.lines[2].get_xdata()) == pytest.approx([50, 90])
    assert np.asarray(axes.lines[2].get_ydata()) == pytest.approx([2 / 3 * 0.5, 2 / 3 * 0.9])


def test_of_many_layers_the_highest_are_named() -> None:
    drawn = draw(CURVES, 60)
    assert drawn is not None
    assert len(drawn.axes[0].lines) == 60
    said = [text.get_text() for text in drawn.axes[0].texts]
    assert said == ["highest:\nconv59\nconv58\nconv57"]


def test_one_sparsity_makes_no_curve() -> None:
    assert draw(CURVES, 3, sparsities=(0.5,)) is None


def test_a_network_that_diverges_leaves_a_gap() -> None:
    found = made_up.sensitivity(3, (0.5,)).assign(task=TASK)
    found.loc[found["place"] == 1, ["loss", "error"]] = np.nan
    context = FigureContext.of(CELLS, sensitivity=found)
    drawn = figures()[MAP].draw(context.cells[context.cells["task"] == TASK], context)
    assert drawn is not None
    [image] = drawn.axes[0].images
    assert np.ma.getmaskarray(image.get_array()).ravel().tolist() == [False, True, False]


def test_names_fit_an_axis() -> None:
    assert short("layer1.conv2.weight") == "layer1.conv2"
    assert short("a.weight + b.weight + c.weight") == "a +2"
    long = short("encoder.layers.encoder_layer_11.mlp.linear1.weight")
    assert long == "…" + "encoder.layers.encoder_layer_11.mlp.linear1"[-23:]
