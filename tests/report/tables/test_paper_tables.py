"""The tables of a paper: numbers of the cells, marks that a test backs, LaTeX that compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebench.experiment.settings import Analysis
from prunebench.report.tables import paper_tables
from prunebench.statistics import counted
from prunebench.storage.records import COLUMNS
from prunebench.text import markup


@pytest.fixture(scope="module")
def folder(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tables")
    names = {path.name for path in paper_tables.write(cells, made, Analysis())}
    assert names == {path.name for path in made.iterdir()}
    return made


def test_tidy_values_are_those_of_the_cells(cells: pd.DataFrame, folder: Path) -> None:
    tidy = pd.read_csv(folder / "generalization.csv")
    assert len(tidy) == 2 * 2 * (7 * 6 + 1)
    point = "regime == 'clean' and model == 'seed-cnn' and method == 'snip' and sparsity > 0.98"
    row = tidy.query(point).iloc[0]
    three = counted(cells).query(point)
    assert row["test_error_mean"] == pytest.approx(three["test_error"].mean())
    assert row["test_error_std"] == pytest.approx(three["test_error"].std())
    assert (row["cells"], row["failed"], row["generalization_gap_n"]) == (3, 1, 2)
    dense = cells.query("regime == 'clean' and model == 'seed-cnn' and method == 'dense'")
    wanted = 100 * (three["test_error"].to_numpy() - dense["test_error"].to_numpy())
    assert row["difference_mean"] == pytest.approx(np.nanmean(wanted))


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
    paper_tables.write(few, tmp_path, Analysis())
    text = (tmp_path / "generalization.md").read_text()
    assert "over 1 seed," in text
    assert "± " not in text.replace("mean ± standard", "")
    assert "nan" not in text + (tmp_path / "compression.md").read_text()


def planted(gaps: dict[str, float], seeds: int, spread: float = 0.0) -> pd.DataFrame:
    """One setting at two sparsities: each method's error is 0.3 + its gap, shifted by the seed."""
    rows = [
        {
            "experiment": "trial", "task": "digits", "regime": "clean", "model": "seed-cnn",
            "method": method, "family": "dense" if method == "dense" else "weight",
            "seed": seed, "sparsity": sparsity, "status": "ok", "classes": 10,
            "test_error": 0.3 + gap + 0.01 * seed + spread * (-1) ** (seed + len(method)),
            "val_error": 0.3 + gap,
        }
        for method, gap in {"dense": 0.0, **gaps}.items()
        for seed in range(seeds)
        for sparsity in ((0.0,) if method == "dense" else (0.5, 0.75))
    ]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def written(cells: pd.DataFrame, folder: Path) -> tuple[str, str]:
    paper_tables.write(cells, folder, Analysis())
    name = "test_error-digits-clean-seed-cnn.tex"
    return (folder / "generalization.md").read_text(), (folder / name).read_text()


def test_measures_of_a_kind_have_a_table_where_they_are_recorded(
    cells: pd.DataFrame, tmp_path: Path
) -> None:
    paper_tables.write(cells, tmp_path / "classes", Analysis())
    tidy = pd.read_csv(tmp_path / "classes" / "generalization.csv")
    assert not [name for name in tidy if "perplexity" in name]
    # a perplexity that tells every row apart, and is its own mean over the seeds
    spoken = cells.assign(kind="language-model", test_perplexity=2 + 3 * cells["sparsity"])
    paper_tables.write(spoken, tmp_path, Analysis())
    text = (tmp_path / "generalization.md").read_text()
    table = text[text.index("## Test perplexity:") :]
    dense, pruned = (re.search(rf"\| {name} .*", table)[0] for name in ("dense", "imp"))
    assert "2.00 ± 0.00" in dense
    assert "3.50 ± 0.00" in pruned


def test_the_best_is_bold_where_every_other_is_shown_to_be_worse(tmp_path: Path) -> None:
    markdown, latex = written(planted({"a": -0.1, "bb": 0.1, "ccc": 0.2}, 8, 0.001), tmp_path)
    lines = [line for line in latex.splitlines() if line.startswith("a & ")]
    assert [line.count(r"\textbf{23.5} $\pm$ 2.") for line in lines] == [2]
    assert latex.count(r"\textbf") == 2
    assert r"\rlap" not in latex
    assert "bold: the lowest of its column" in latex
    assert "over 8 seeds" in latex
    assert markdown.count("| **23.5** ± 2.") == 2


def test_what_cannot_be_told_from_the_best_is_a_tie(tmp_path: Path) -> None:
    # the two change places with every seed; the third is always worse
    markdown, latex = written(planted({"a": -0.1, "bb": -0.0999, "ccc": 0.2}, 8, 0.01), tmp_path)
    lines = {line.split(" & ")[0]: line for line in latex.splitlines() if " & " in line}
    assert r"\textbf" not in latex
    assert lines["a"].count(r"\rlap{$^{\dagger}$}") == lines["bb"].count(r"\rlap") == 2
    assert r"\rlap" not in lines["ccc"]
    assert "bold:" not in latex.partition("tabular")[0]
    assert markdown.count(" † |") == 2 * 2 * 2  # methods, sparsities, error and difference


def test_with_few_seeds_nothing_is_marked_and_the_caption_says_why(tmp_path: Path) -> None:
    for seeds, why in ((3, "with 3 seeds"), (6, "with 6 seeds and 2 comparisons")):
        markdown, latex = written(planted({"a": -0.1, "b": 0.1, "c": 0.2}, seeds), tmp_path)
        assert r"\textbf" not in latex
        assert "†" not in markdown
        assert f"no number is bold: differences cannot be significant {why}" in latex


def test_each_table_stands_by_itself_with_a_label(folder: Path) -> None:
    whole = (folder / "generalization.tex").read_text()
    for measure in ("test_error", "difference", "generalization_gap", "memorized"):
        alone = folder / f"{measure}-digits-noisy-40-seed-cnn.tex"
        text = alone.read_text().removeprefix(markup.LATEX_HEAD)
        assert text in whole
        assert rf"\label{{tab:{alone.stem}}}" in text
    assert not (folder / "memorized-digits-clean-seed-cnn.tex").exists()
    assert (folder / "compression-digits-clean-seed-cnn.tex").is_file()


def test_scores_are_shown_with_their_intervals(cells: pd.DataFrame, folder: Path) -> None:
    scores = pd.read_csv(folder / "scores.csv").set_index("method")
    text = (folder / "scores.md").read_text()
    wanted = f"{scores.loc['imp', 'score']:+.2f}".replace("-", "−")
    assert any(line.startswith("| imp ") and wanted in line for line in text.splitlines())
    assert "| dense " not in text
    assert r"\begin{table}" in (folder / "scores.tex").read_text()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_the_tables_compile(folder: Path, tmp_path: Path) -> None:
    paper = tmp_path / "paper.tex"
    names = ("generalization", "compression", "scores")
    inputs = "\n".join(rf"\input{{{folder}/{n}}}\clearpage" for n in names)
    paper.write_text(
        r"\documentclass{article}\usepackage{booktabs,graphicx,longtable}\usepackage[a4paper,margin=1cm]"
        rf"{{geometry}}\begin{{document}}{inputs}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", paper.name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert "Overfull" not in paper.with_suffix(".log").read_text(errors="replace")
