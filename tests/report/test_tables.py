from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebench.report import markup, tables
from prunebench.settings import Analysis
from prunebench.statistics import counted


@pytest.fixture(scope="module")
def folder(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tables")
    names = {path.name for path in tables.write(cells, made, Analysis())}
    assert names == {path.name for path in made.iterdir()}
    return made


def test_tidy_values_are_those_of_the_cells(cells: pd.DataFrame, folder: Path) -> None:
    tidy = pd.read_csv(folder / "generalization.csv")
    assert len(tidy) == 2 * 2 * (7 * 6 + 1)
    point = "regime == 'clean' and model == 'seed-cnn' and method == 'snip' and sparsity > 0.98"
    row = tidy.query(point).iloc[0]
    three = counted(cells).query(point)
    assert row["test_error_mean"] == pytest.approx(three["test_error"].mean())
    assert row["test_error_std"] == pytest.approx(np.std(three["test_error"], ddof=1))
    assert (row["cells"], row["failed"], row["generalization_gap_n"]) == (3, 1, 2)
    dense = cells.query("regime == 'clean' and model == 'seed-cnn' and method == 'dense'")
    wanted = 100 * (three["test_error"].to_numpy() - dense["test_error"].to_numpy())
    assert row["difference_mean"] == pytest.approx(wanted.mean())


def test_markdown_says_what_the_numbers_are(cells: pd.DataFrame, folder: Path) -> None:
    text = (folder / "generalization.md").read_text()
    assert text.count("## Test error (%)") == 4
    assert text.count("memorized") == 2  # noisy regimes only
    assert "mean ± standard deviation over 3 seeds" in text
    assert "3 cells failed, diverged or collapsed" in text
    row = cells.query("regime == 'clean' and model == 'seed-cnn' and method == 'dense'")
    mean, std = 100 * row["test_error"].mean(), 100 * row["test_error"].std()
    assert f"| dense     | {mean:.1f} ± {std:.1f} |" in text
    assert "Speed-up" in (folder / "compression.md").read_text()


def test_one_seed_and_missing_columns_are_shown_as_such(
    cells: pd.DataFrame, tmp_path: Path
) -> None:
    few = cells[cells["seed"] == 0].assign(macs_kept=np.nan, theoretical_speedup=np.nan)
    tables.write(few, tmp_path, Analysis())
    text = (tmp_path / "generalization.md").read_text()
    assert "over 1 seed," in text
    assert "± " not in text.replace("mean ± standard", "")
    assert "nan" not in text + (tmp_path / "compression.md").read_text()


def test_hostile_names_are_escaped() -> None:
    name = r"50%_a&b$x^{y}~\z#|<b>[1]"
    table = markup.Table(name, name, ["method", "x"], [[name, "1"]])
    text = markup.latex(table)
    assert r"50\%\_a\&b\$x\textasciicircum{}\{y\}\textasciitilde{}\textbackslash{}z\#" in text
    line = markup.markdown(table).splitlines()[-1]
    assert line.replace(r"\|", "").count("|") == 3
    assert r"\<b\>" in line
    assert markup.markdown_text("test_resnet _x_ [a](b)") == r"test_resnet \_x\_ [a\](b)"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_the_tables_compile(folder: Path, tmp_path: Path) -> None:
    paper = tmp_path / "paper.tex"
    inputs = "\n".join(rf"\input{{{folder}/{n}}}" for n in ("generalization", "compression"))
    paper.write_text(
        r"\documentclass{article}\usepackage{booktabs,longtable}\usepackage[a4paper,margin=1cm]"
        rf"{{geometry}}\begin{{document}}{inputs}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", paper.name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
