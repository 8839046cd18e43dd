"""report.html and report.md from made-up records: the same words, escaped, complete, alone."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from prunebench import cli
from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.reachable_p import units_needed
from prunebench.experiment.settings import PARTS, Analysis
from prunebench.report import declared_analysis, reader_warnings, terminal_summary
from prunebench.report import document as paper
from prunebench.report.document import (
    figure_blocks,
    protocol_section,
    provenance_section,
    sanity_section,
    setup_section,
    to_html,
)
from prunebench.report.document.elements import Document, FigureBlock, Section
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics import smallest_p
from prunebench.statistics.hypotheses import Finding
from prunebench.storage.files import write_json
from prunebench.storage.layout import Layout
from prunebench.storage.provenance import experiment_origin
from tests.report.shown_tables import of_html, of_markdown

HOSTILE = "</table><script>alert(1)</script>|<img src=x onerror=alert(2)>&'\"[a](http://b.c)"


def composed(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with what their methods and regimes are made of."""
    table = cells.copy()
    names = set(table["method"]) - {"dense"}
    methods = {name: config.method(name) for name in names}
    for part in PARTS:
        table[part] = [
            getattr(methods[m], part).name if m in methods else None for m in table["method"]
        ]
    table["control"] = [m not in methods or methods[m].control for m in table["method"]]
    table["label_noise"] = table["regime"].map({"clean": 0.0, "noisy-40": 0.4})
    return table


def settings(**changes: object) -> dict:
    """A resolved configuration of the made-up grid."""
    given = {
        "experiment": "trial", "tasks": ["digits"], "regimes": ["clean", "noisy-40"],
        "models": ["test_resnet", "seed-cnn"], "seeds": [0, 1, 2],
        "methods": ["random", "magnitude", {"name": "imp", "schedule": {"name": "iterative",
                    "rate": 0.3}}, "snip", "l1-filter", "apoz", "wanda"],
        "sparsities": [0.5, 0.9], "analysis": {"equivalence": 1.5, "alpha": 0.1},
    }  # fmt: skip
    return config.parse(given | changes).model_dump(mode="json")


def picture(path: Path, size: tuple[int, int] = (40, 30), noise: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3)) if noise else None
    shown = np.full((size[1], size[0], 3), 255) if values is None else values
    Image.fromarray(shown.astype("uint8")).save(path)


def finding(number: int, figure: str, verdict: str = "shown", sentence: str = "So.") -> Finding:
    evidence = pd.DataFrame(
        {"method": ["imp"], "value": [-1.234], "low": [-2.0], "high": [np.nan], "p": [0.25],
         "seeds": [3], "note": [""]}
    )  # fmt: skip
    return Finding(number, "n", f"Claim {number}.", verdict, sentence, evidence, figure)


def said_in(inputs: ReportInputs, *sections: Callable[[ReportInputs], Section]) -> str:
    """Some sections as Markdown, which spares the hypotheses."""
    return paper.markdown(Document("", "", [section(inputs) for section in sections]))


@pytest.fixture(scope="module")
def table(cells: pd.DataFrame) -> pd.DataFrame:
    return composed(cells)


@pytest.fixture(scope="module")
def half(table: pd.DataFrame) -> pd.DataFrame:
    """One model of two: what is judged in half the time."""
    return table[table["model"] == "seed-cnn"].reset_index(drop=True)


@pytest.fixture(scope="module")
def layout(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A whole folder with settings and figures, and its report."""
    made = Layout(tmp_path_factory.mktemp("report"))
    write_json(made.config, settings())
    for stem in ("error-compression-digits", "error-speedup-digits", "controls", "extra"):
        picture(made.figures / f"{stem}.png")
    assert paper.write(table, made) == [made.report("html"), made.report("md")]
    return made


def test_page_and_markdown_hold_the_same_tables(layout: Layout) -> None:
    shown = of_html(layout.report("html"))
    assert shown == of_markdown(layout.report("md"))
    assert len(shown) > 100
    verdicts = [row for row in shown if re.match(r"\d+\. ", row[0])]
    assert [int(row[0].partition(".")[0]) for row in verdicts] == list(range(1, 12))


@pytest.mark.parametrize("kind", ["html", "md"])
def test_everything_that_was_asked_for_is_said(layout: Layout, kind: str) -> None:
    text = html.unescape(layout.report(kind).read_text(encoding="utf-8")).replace("\\", "")
    for words in (
        "Report: trial", "Does pruning reduce overfitting", "The answer", "Caveats",
        "iterative (rate 0.3)", "±1.5 points", "level 0.1", "10,000 draws", "Blalock 2020",
        "2 collapsed, 1 diverged, 1 failed", "made up", "With 3 seeds the smallest two-sided p",
        "git checkout 0000000000", f"workflow {layout.config}", "2.9.1", "0, 1, 2", "98.44 %",
    ):  # fmt: skip
        assert words in text, words
    assert not re.search(r"\bnan\b|None|<NA>", text)


def test_figures_stand_once_and_at_their_hypothesis(layout: Layout) -> None:
    page, text = (layout.report(kind).read_text(encoding="utf-8") for kind in ("html", "md"))
    for stem in ("error-compression-digits", "error-speedup-digits", "controls", "extra"):
        assert text.count(f"](figures/{stem}.png)") == 1
    assert page.count("data:image/png;base64,") == 4
    # the picture of the first screen stands above all else
    assert text.index("figures/error-compression-digits.png") < text.index("## The verdicts")
    assert "Its figure is the one at the top." in text
    assert text.index("figures/controls.png") > text.index("### 4. ")
    assert text.index("figures/extra.png") > text.index("## Further figures")


def test_the_page_needs_nothing_from_elsewhere(layout: Layout) -> None:
    page = layout.report("html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    assert len(page) < 3_000_000
    for target in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert target.startswith("data:") or f'id="{target[1:]}"' in page


def test_hostile_texts_stay_texts(half: pd.DataFrame, tmp_path: Path) -> None:
    bad = half.replace({"method": {"imp": HOSTILE}, "regime": {"clean": HOSTILE}})
    bad["message"] = bad["message"].replace("made up", HOSTILE)
    said = [finding(1, HOSTILE, HOSTILE, HOSTILE), finding(2, "forest")]
    document = paper.compose(ReportInputs(bad, Layout(tmp_path), said, None, HOSTILE))
    page, text = paper.html(document, tmp_path), paper.markdown(document)
    assert "<script" not in page
    assert "<img" not in page
    (tmp_path / "a.html").write_text(page)
    (tmp_path / "a.md").write_text(text)
    rows = of_html(tmp_path / "a.html")
    assert rows == of_markdown(tmp_path / "a.md")
    assert any(HOSTILE in row for row in rows)
    assert not re.search(r"(?<!\\)\]\(http", text)
    assert not re.search(r"(?<!\\)<", text)


def test_without_settings_the_defaults_are_named(half: pd.DataFrame, tmp_path: Path) -> None:
    text = paper.markdown(paper.compose(ReportInputs.of(half, Layout(tmp_path))))
    for words in (
        "The run's own settings are not known (config.json is not there)", "±0.5 points",
        "Figures were not drawn", "python -m prunebench workflow CONFIGURATION --cores all",
    ):  # fmt: skip
        assert words in text, words


def test_tasks_without_classes_have_no_column_of_them(half: pd.DataFrame, tmp_path: Path) -> None:
    values = half.assign(kind="regression", classes=np.nan)
    for cells, wanted in ((half.assign(classes=10), True), (values, False)):
        said = said_in(ReportInputs.of(cells, Layout(tmp_path)), setup_section.section)
        assert ("| Classes" in said) is wanted


def test_it_says_what_made_the_records_or_that_nobody_knows(
    half: pd.DataFrame, tmp_path: Path
) -> None:
    made = Layout(tmp_path)

    def text() -> str:
        return said_in(ReportInputs(half, made, [], None), provenance_section.section)

    absent = (
        "Warning: there is no provenance.json: the command, machine, system and packages of these"
    )
    assert absent in text()
    half.to_csv(made.cells_csv, index=False)
    write_json(made.config, settings())
    stored = experiment_origin(made.config, made.cells_csv, [])
    write_json(made.provenance, stored | {"command": "snakemake --cores 7", "diff_hash": "f" * 64})
    found = text()
    assert "Warning: " not in found
    assert "- Command: snakemake --cores 7\n" in found
    assert f"- SHA-256 of what was not committed: {'f' * 64}\n" in found
    assert f"- Machine: {stored['machine']['processor']}, " in found
    write_json(made.provenance, stored | {"cells_sha256": "0" * 64})
    assert "Warning: provenance.json names another cells.csv, changed since" in text()


@pytest.mark.parametrize("content", ["{", '{"experiment": "trial", "tasks": 3}'])
def test_damaged_settings_are_none_and_say_why(tmp_path: Path, content: str) -> None:
    made = Layout(tmp_path)
    made.config.write_text(content)
    experiment, why = declared_analysis.experiment(made)
    assert experiment is None
    assert str(made.config) in why
    assert declared_analysis.analysis(made) == Analysis()


def test_one_seed_supports_nothing_and_says_so(half: pd.DataFrame, tmp_path: Path) -> None:
    one = half[half["seed"] == 0]
    text = paper.markdown(paper.compose(ReportInputs.of(one, Layout(tmp_path))))
    assert "> - With 1 seed the smallest two-sided p is 1," in text
    assert "> - With a single seed there are no intervals" in text
    assert "1 seed cannot show a difference" in text
    assert not re.search(r"\bnan\b", text)


def test_trainings_that_went_wrong_are_counted(half: pd.DataFrame, tmp_path: Path) -> None:
    late = (half["method"] == "dense") & (half["regime"] == "noisy-40") & (half["seed"] == 1)
    bad = half.assign(
        train_error=half["train_error"].mask(late, 0.2),
        commit=["1" * 40, *half["commit"][1:]], dirty=[True, *half["dirty"][1:]],
    )  # fmt: skip
    gone = bad.drop(index=bad.index[(bad["method"] == "imp") & (bad["sparsity"] > 0.98)])
    made = Layout(tmp_path)
    write_json(made.config, settings(analysis={"primary": ["imp", "magnitude", "wanda"]}))
    experiment, _ = declared_analysis.experiment(made)
    inputs = ReportInputs(gone[gone["method"] != "wanda"], made, [], experiment)
    text = said_in(
        inputs, sanity_section.section,
        protocol_section.section, provenance_section.section,
    )  # fmt: skip
    (tmp_path / "text.md").write_text(text)
    text += "\n".join(reader_warnings.of_report(inputs))
    rows = of_markdown(tmp_path / "text.md")
    assert [row[1:3] for row in rows if row[-1] == "under-trained: 1 of 3"] == [
        ["noisy-40", "seed-cnn"]
    ]
    assert ["snip", "36", "1", "0", "0", "1× made up"] in rows
    for words in (
        "Declared as candidates but not recorded: wanda.", "since some are missing: imp",
        "imp (6)",
        "They differ in: Commit.", "cells are under-trained",
        "Several commits made these records", "imp, magnitude (declared before the run)",
    ):  # fmt: skip
        assert words in text, words


def test_a_finding_is_shown_with_its_numbers_and_figure(half: pd.DataFrame, tmp_path: Path) -> None:
    made = Layout(tmp_path)
    picture(made.figures / "forest.png")
    picture(made.figures / "harm-digits.png")
    picture(made.figures / "harm-faces.png")
    said = [finding(1, "forest", "equivalent", "All in. e.g. one. Two."), finding(2, "harm"),
            finding(3, "forest", "not tested"), finding(4, "none")]  # fmt: skip
    text = paper.markdown(paper.compose(ReportInputs(half, made, said, None)))
    assert "Of 4 hypotheses: 2 shown, 1 equivalent, 1 not tested." in text
    assert "**Equivalent.**\n\nAll in.\n\n- e.g. one.\n- Two.\n" in text
    assert text.count("](figures/harm-") == 2
    assert "Its figure is shown at hypothesis 1." in text
    assert "not been drawn" not in text  # what these records lack is no figure that is missing
    assert "not drawn" not in text
    assert re.search(r"\| imp +\| −1.23 +\| +– \| +0.250 \| +3 \|\n", text)


@pytest.mark.parametrize(("wide", "narrow"), [(650, True), (1350, False)])
def test_a_figure_of_one_column_is_not_swiped_on_a_telephone(
    tmp_path: Path, wide: int, narrow: bool
) -> None:
    picture(tmp_path / "a.png", (wide, 30))
    figure = FigureBlock("a.png", "what it shows", "how to read it")
    page = to_html.html(Document("t", "s", [Section("One", "one", [figure])]), tmp_path)
    assert ("<img class=narrow src=" in page) == narrow


def test_figures_are_scaled_to_fit_and_left_out_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        picture(path, (1600, 40), noise=True)
    whole = to_html.embedded(paths)
    assert list(whole) == paths
    monkeypatch.setattr(to_html, "BUDGET", sum(map(len, whole.values())) - 1)
    smaller = to_html.embedded(paths)
    assert list(smaller) == paths
    assert sum(map(len, smaller.values())) <= to_html.BUDGET
    monkeypatch.setattr(to_html, "WIDTHS", to_html.WIDTHS[-1:])
    narrowest = [len(uri) for uri in to_html.embedded(paths).values()]
    monkeypatch.setattr(to_html, "BUDGET", sum(narrowest) - 1)
    assert list(to_html.embedded(paths)) == paths[:2]


def test_a_damaged_figure_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG no picture")
    with pytest.raises(PrunebenchError, match=r"a\.png is damaged"):
        to_html.embedded([tmp_path / "a.png"])


@given(st.integers(1, 60), st.sampled_from([0.01, 0.05, 0.1, 1.0]))
def test_the_fewest_units_are_the_fewest(size: int, alpha: float) -> None:
    wanted = next(n for n in range(1, 99) if smallest_p(n) * size <= alpha * (1 + 1e-12))
    assert units_needed(size, alpha) == wanted


def test_the_command_line_writes_it_and_the_summary_names_it(
    half: pd.DataFrame, tmp_path: Path
) -> None:
    made = Layout(tmp_path)
    half[half["seed"] < 2].to_csv(made.cells_csv, index=False)
    done = CliRunner().invoke(cli.app, ["report", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert made.report("html").exists()
    assert made.report("md").read_text(encoding="utf-8").startswith("# Report: trial\n")
    assert str(made.report("html")) in terminal_summary.text(half, made)


@pytest.mark.parametrize("what", ["the folder", "a file", "a link to a link"])
def test_no_picture_of_elsewhere_is_shown(half: pd.DataFrame, tmp_path: Path, what: str) -> None:
    elsewhere, layout = tmp_path / "home", Layout(tmp_path / "x")
    elsewhere.mkdir()
    layout.root.mkdir()
    Image.new("RGB", (4, 4)).save(elsewhere / "private.png")
    if what == "the folder":
        layout.figures.symlink_to(elsewhere)
    else:
        layout.figures.mkdir()
        near = layout.figures / "private.png"
        if what == "a link to a link":
            near = layout.root / "near.png"
            (layout.figures / "private.png").symlink_to("../near.png")
        near.symlink_to(elsewhere / "private.png")
    with pytest.raises(PrunebenchError, match=r"private\.png leads out of .*: .*remove the link"):
        figure_blocks.not_in(ReportInputs(half, layout, [], None), [])
