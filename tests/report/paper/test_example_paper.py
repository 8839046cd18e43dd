"""The example paper, set by a real LaTeX: two pages, nothing undefined, fonts embedded."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunebench.cli import app

ROOT = Path(__file__).parents[3]
TOOLS = ("pdflatex", "bibtex", "pdffonts", "pdfinfo")
OVERFULL = 3.0  # points that a line may stick out


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    return done.stdout.decode(errors="replace")


def made(experiment: str, folder: Path) -> Path:
    """A copy of a reference experiment with its tables and its kit; the folder of the paper."""
    root = folder / experiment
    root.mkdir()
    for name in ("cells.csv", "config.json"):
        shutil.copy(ROOT / "results" / "reference" / experiment / name, root)
    for command in ("tables", "kit"):
        result = CliRunner().invoke(app, [command, str(root)])
        assert result.exit_code == 0, result.output
    return root / "paper"


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="no pdflatex, bibtex or poppler")
@pytest.mark.parametrize("experiment", ["default", "overfit"])
def test_the_example_is_a_paper_of_two_pages(experiment: str, tmp_path: Path) -> None:
    paper = made(experiment, tmp_path)
    latex = ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper")
    for command in (latex, ("bibtex", "paper"), latex, latex):
        run(*command, folder=paper)
    log = (paper / "paper.log").read_text(errors="replace")
    assert "undefined" not in log
    assert "prunebench Error" not in log
    wide = [float(found) for found in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(wide, default=0) <= OVERFULL
    assert "Warning--" not in (paper / "paper.blg").read_text(errors="replace")
    assert re.search(r"^Pages: +2$", run("pdfinfo", "paper.pdf", folder=paper), re.MULTILINE)
    fonts = run("pdffonts", "paper.pdf", folder=paper).splitlines()[2:]
    assert len(fonts) > 4
    # from behind: object, generation, unicode, subset, embedded
    assert {line.split()[-5] for line in fonts} == {"yes"}
    assert not any("Type 3" in line for line in fonts)
    cited = set(re.findall(r"\\bibitem\{(\w+)\}", (paper / "paper.bbl").read_text()))
    assert {"han2015", "frankle2019", "holm1979"} <= cited


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_an_unknown_number_stops_latex(tmp_path: Path) -> None:
    from prunebench.report.paper import macros

    (tmp_path / "macros.tex").write_text(macros.text({"a-1/b": "−1 %"}))
    title = r"\section{\pb{%s} and in a formula $\pb{a-1/b}$}"
    source = rf"\documentclass{{article}}\input{{macros}}\begin{{document}}{title}\end{{document}}"
    command = ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex")
    (tmp_path / "x.tex").write_text(source % "a-1/b")
    run(*command, folder=tmp_path)
    (tmp_path / "x.tex").write_text(source % "a-1/c")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode != 0
    assert b"There is no number `a-1/c'" in done.stdout
