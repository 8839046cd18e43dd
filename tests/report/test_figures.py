from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebench.report import figures, style
from prunebench.statistics import bands

CURVES = ("error-compression", "gap-compression", "memorized-compression", "error-speedup")


@pytest.fixture(scope="module")
def folder(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("figures")
    names = {path.name for path in figures.write(cells, made)}
    wanted = {*(f"{curve}-digits" for curve in CURVES), figures.FOREST}
    assert names == {f"{name}.{kind}" for name in wanted for kind in ("png", "pdf")}
    assert names == {path.name for path in made.iterdir()}
    return made


def test_fonts_are_embedded_as_truetype(folder: Path) -> None:
    for path in folder.glob("*.pdf"):
        content = path.read_bytes()
        assert b"/FontFile2" in content
        assert b"/Subtype /Type3" not in content
        assert b"CreationDate" not in content


def test_same_records_same_bits(cells: pd.DataFrame, folder: Path, tmp_path: Path) -> None:
    again = figures.save(figures.draw_forest(cells), tmp_path, figures.FOREST)
    for path in again:
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_panels_show_means_controls_and_lost_cells(cells: pd.DataFrame) -> None:
    curve = figures.CURVES[0]
    points = bands(cells, [curve.measure, curve.ratio])
    figure = figures.draw_curves(points, curve)
    assert [axes.get_title() for axes in figure.axes] == [
        f"{regime} · {model}"
        for model in ("seed-cnn", "test_resnet")
        for regime in ("clean", "noisy-40")
    ]
    axes = figure.axes[0]
    lines = [line for line in axes.lines if len(np.atleast_1d(line.get_xdata())) == 6]
    assert len(lines) == 7
    means = cells.query("regime == 'clean' and model == 'seed-cnn' and method == 'imp'")
    wanted = 100 * means.groupby("sparsity")["test_error"].mean().to_numpy()
    assert any(np.allclose(np.asarray(line.get_ydata(), float), wanted) for line in lines)
    (circles,) = [line for line in axes.lines if line.get_markersize() == 9]
    assert len(np.atleast_1d(circles.get_xdata())) == 3  # snip, apoz, magnitude at the end
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["dense", "random"]
    assert len(names) == 8
    assert "circled: some seeds failed" in figure.legends[0].get_title().get_text()


@pytest.mark.parametrize("regimes", [["noisy-40"], ["clean", "noisy-40"], ["a", "b", "c"]])
def test_nothing_is_cut_off_or_hidden(cells: pd.DataFrame, regimes: list[str]) -> None:
    noisy = cells[cells["regime"] == "noisy-40"]
    table = pd.concat([noisy.assign(regime=name) for name in regimes])
    table = table.replace({"method": {"imp": "iterative-magnitude-rewinding"}})
    curve = figures.CURVES[0]
    figure = figures.draw_curves(bands(table, [curve.measure, curve.ratio]), curve)
    figure.draw_without_rendering()
    legend, page = figure.legends[0].get_window_extent(), figure.bbox
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert figure._suptitle.get_window_extent().width <= page.width
    for box in (legend, *boxes):
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
    for i, box in enumerate(boxes):
        assert not box.overlaps(legend)
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_one_regime_one_model(cells: pd.DataFrame, tmp_path: Path, seeds: int) -> None:
    few = cells.query("seed < @seeds and regime == 'noisy-40' and model == 'seed-cnn'")
    assert len(figures.write(few, tmp_path)) == 2 * (len(CURVES) + 1)


def test_a_baseline_alone_can_be_drawn(cells: pd.DataFrame, tmp_path: Path) -> None:
    assert figures.write(cells.query("method == 'dense'"), tmp_path)


def test_every_method_has_its_own_look() -> None:
    looks = style.looks([f"m{i}" for i in range(40)])
    assert len({(look.colour, look.marker, look.dashes) for look in looks.values()}) == 40


def test_the_module_costs_no_seaborn_until_it_draws() -> None:
    code = (
        "import sys, prunebench.report.figures, prunebench.report.leaderboard;"
        "sys.exit(bool({'seaborn', 'matplotlib', 'torch', 'jinja2'} & set(sys.modules)))"
    )
    root = Path(figures.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
