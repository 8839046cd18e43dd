"""``import`` and ``compare`` as a user calls them, through to the pages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from prunebench import cli
from prunebench.experiment.settings import Analysis
from prunebench.report import document as paper
from prunebench.report import figures, leaderboard, reader_warnings
from prunebench.report.leaderboard import ranking
from prunebench.report.leaderboard.columns import METHOD, texts
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.tables import paper_tables
from prunebench.statistics.published_results import read_all
from prunebench.storage.layout import Layout
from tests.published.conftest import PAPER, REPLICATED, Save, mine

FLAGS = (
    "--column", "method=Algorithm", "--column", "sparsity=Compression",
    "--column", "test_error=Top-1 acc. (%)", "--set", "task=t", "--set", "regime=r",
    "--set", "model=m", "--unit", "accuracy-percent", "--unit", "compression-ratio",
    "--dense", "Full",
)  # fmt: skip


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """Run the command line; exit status, output, errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["prunebench", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), *capsys.readouterr()

    return run


def test_import_by_flags_and_by_file(call, save: Save, layout: Layout, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, out, err = call("import", save(PAPER), "--as", "T 1", "--into", layout.root, *FLAGS)
    assert (status, len(out.splitlines())) == (0, 1)
    assert out.startswith(f"{layout.published / 't-1.csv'}: written, 4 cells;")
    assert "note: " in err
    (tmp_path / "map.yaml").write_text(
        "columns: {method: Algorithm, sparsity: Compression, test_error: Top-1 acc. (%)}\n"
        "constants: {task: t, regime: r, model: m}\ndense: Full\n"
        "units: [accuracy-percent, compression-ratio]\n"
    )
    status, out, _ = call("import", save(PAPER), "--as", "T 1", "--into", layout.root, "--mapping",
                          tmp_path / "map.yaml", "--json")  # fmt: skip
    assert (status, json.loads(out)["outcome"]) == (0, "unchanged")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("theirs.csv", "--as", "T"), "results/default is no experiment"),
        (("none.csv", "--as", "T", "--into", "results/e"), "none.csv: No such file"),
        (("theirs.csv", "--as", "=T", "--into", "results/e"), "the name '=T' begins as a formula"),
        (("theirs.csv", "--as", "T", "--into", "results/e"), "lacks task, regime, model, method"),
        (("theirs.csv", "--as", "T", "--into", "results/e", "--mapping", "m"), "m: no such file"),
    ],
)
def test_a_refusal_is_one_line(  # type: ignore[no-untyped-def]
    call, save: Save, layout: Layout, monkeypatch, arguments: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(save(PAPER).parent)
    status, out, err = call("import", *arguments)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("error: ")
    assert says in err


def test_compare_ends_with_what_it_found(call, layout: Layout, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    other = tmp_path / "b.csv"
    mine().assign(test_error=mine()["test_error"] + 0.004).to_csv(other, index=False)
    assert call("compare", layout.root, layout.root)[0] == 0
    status, out, err = call("compare", layout.root, other)
    assert (status, err) == (1, "")
    assert "they differ bit by bit: 0 better, 21 worse" in out
    assert call("compare", layout.root, other, "--tolerance", "0.5")[0] == 0
    status, out, _ = call("compare", layout.root, other, "--json")
    assert (status, json.loads(out)["counts"]["worse"]) == (1, 21)
    for arguments in ((layout.root, tmp_path / "none"), (layout.root, other, "--tolerance", "-1")):
        status, out, err = call("compare", *arguments)
        assert (status, out, len(err.splitlines())) == (2, "", 1)


def test_published_rows_reach_every_page(  # type: ignore[no-untyped-def]
    call, save: Save, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("import", save(PAPER), "--as", "T 1", "--into", layout.root, *FLAGS)
    far = REPLICATED.replace("t,r,m", "imagenet,r,resnet50")
    call("import", save(far), "--as", "Far", "--into", layout.root)
    cells = read_all(layout)
    rows = {row["method"]: row for row in ranking.boards(cells, Analysis())[ranking.EVERYTHING]}
    assert rows["SynFlow (T 1)"]["rank"] is None
    # 0.5, 1 and 6 points at 1, 3.32 and 5 octaves: (1.5 · 2.32 + 7 · 1.68) / 2 / 4
    assert rows["SynFlow (T 1)"]["score"] == 1.9
    assert "published, not re-run" in texts(rows["RigL (Far)"], [METHOD])[0]
    leaderboard.write(cells, layout)
    page, said = (layout.leaderboard(kind).read_text() for kind in ("html", "md"))
    for shown in (page, said):
        assert "SynFlow (T 1) (published, not re-run)" in shown
        assert "Published, not re-run, and not ranked: Far, T 1." in shown
    paper_tables.write(cells, layout.tables, Analysis())
    table = (layout.tables / "generalization.md").read_text()
    assert "(T 1): published, not re-run, compared with its own dense" in table
    assert "bootstrap interval over seeds; " in (layout.tables / "scores.md").read_text()
    tidy = pd.read_csv(layout.tables / "generalization.csv")
    assert tidy.loc[tidy["method"] == "RigL (Far)", "published"].eq("Far").all()
    monkeypatch.setattr(figures, "KINDS", ("png",))  # half of the time
    figures.write(cells, layout.figures)
    assert (layout.figures / "error-compression-imagenet.png").is_file()
    assert not (layout.figures / "train-test-gap-imagenet.png").exists()
    paper.write(cells, layout)
    report = layout.report("md").read_text()
    assert "Published results, not re-run" in report
    assert "RigL (Far)" in report


def test_the_report_says_of_ones_own_what_it_said_before(  # type: ignore[no-untyped-def]
    call, save: Save, layout: Layout
) -> None:
    def words() -> str:
        inputs = ReportInputs.of(read_all(layout), layout)
        document = paper.compose(inputs)
        kept = [section for section in document.sections if section.anchor != "scores"]
        return repr(kept)

    def minded() -> list[str]:
        cells = read_all(layout)
        return reader_warnings.of_leaderboard(
            cells, ranking.boards(cells, Analysis())[ranking.EVERYTHING]
        )

    # enough seeds in one's own experiment, too few in theirs
    seeds = [mine().assign(seed=mine()["seed"] + 3 * i) for i in range(3)]
    pd.concat(seeds).to_csv(layout.cells_csv, index=False)
    before, warned = words(), minded()
    call("import", save(REPLICATED), "--as", "T 1", "--into", layout.root)
    assert words() == before
    assert minded()[:-1] == warned


def test_remake_writes_what_reads_another_after_it(  # type: ignore[no-untyped-def]
    call, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunebench.cli import page_commands

    made: list[str] = []
    for name in ("paper", "report", "tables", "leaderboard", "figures"):
        monkeypatch.setattr(page_commands, name, lambda _, name=name, **flags: made.append(name))
    status, _, err = call("remake", layout.root)
    # pages show the figures, the paper's files name the tables
    assert (status, made) == (0, ["tables", "figures", "leaderboard", "report", "paper"])
    assert err.splitlines() == [
        f"[{place}/{len(made)}] writing {name}" for place, name in enumerate(made, start=1)
    ]
    # a table that was written over is told, before pages repeat it
    layout.provenance.write_text('{"cells_sha256": "0", "config_sha256": "0"}')
    layout.config.touch()
    assert "cells.csv, changed since or someone else's" in call("remake", layout.root)[2]
