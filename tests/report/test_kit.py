"""The kit of a paper: numbers as macros, sources with entries, methods in words."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.evaluation.measures_table import measure_rows
from prunebench.experiment import catalog, registry
from prunebench.experiment.part_kinds import KINDS
from prunebench.report import declared_analysis
from prunebench.report.document.inputs import Material
from prunebench.report.paper import (
    citations,
    cited_papers,
    example_paper,
    macros,
    methods_text,
    write,
)
from prunebench.statistics import SETTING, read_cells
from prunebench.storage.layout import Layout

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "default"
REQUIRED = {
    "article": {"author", "title", "journal", "year"},
    "book": {"author", "title", "publisher", "year"},
    "incollection": {"author", "title", "booktitle", "publisher", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "misc": {"author", "title", "howpublished", "year"},
    "techreport": {"author", "title", "institution", "year"},
}


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    root = tmp_path_factory.mktemp("results") / "default"
    root.mkdir()
    for name in ("cells.csv", "config.json"):
        shutil.copy(REFERENCE / name, root)
    layout = Layout(root)
    experiment, unread = declared_analysis.experiment(layout)
    return Material(read_cells(layout.cells_csv), layout, [], experiment, unread)


@pytest.fixture(scope="module")
def numbers(material: Material) -> dict[str, str]:
    return macros.numbers(material)


def _fields(entry: str) -> tuple[str, str, dict[str, str]]:
    """Kind, key and fields of an entry, read as BibTeX does: braces must match."""
    head = re.match(r"@(\w+)\{(\w+),\n", entry)
    assert head is not None
    depth = 0
    for sign in re.sub(r"\\[{}]", "", entry):
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    lines = entry.splitlines()[1:-1]
    found = [re.fullmatch(r"  (\w+) = \{(.+)\},", line) for line in lines]
    assert all(found), lines
    return head.group(1), head.group(2), {m.group(1): m.group(2) for m in found if m}


@pytest.mark.parametrize("key", citations.entries())
def test_every_entry_is_whole(key: str) -> None:
    kind, own, fields = _fields(citations.entries()[key])
    assert own == key
    assert set(fields) >= REQUIRED[kind]
    surname = fields["author"].split(" and ")[0].split()[-1]
    plain = surname.replace('{\\"o}', "oe").replace("\\", "").lower()
    assert key == f"{plain}{fields['year']}"
    if "eprint" in fields:
        assert re.fullmatch(r"\d{4}\.\d{4,5}", fields["eprint"])
        assert fields["archiveprefix"] == "arXiv"


def test_entries_are_sorted_and_all_are_read() -> None:
    text = citations.SOURCE.read_text(encoding="utf-8")
    assert list(citations.entries()) == sorted(citations.entries())
    assert text.count("\n@") == len(citations.entries()) > 70


def test_every_source_that_the_package_names_has_an_entry() -> None:
    named = {method.name: method.paper for method in catalog.methods()}
    for kind in KINDS.values():
        named |= {
            f"{kind.kind} {spec.name}": spec.summary for spec in registry.builtin(kind).values()
        }
    named |= {name: paper for name, (_, paper) in cited_papers.MEASURES.items()}
    for table in (
        cited_papers.DATA, cited_papers.NOISE, cited_papers.OPTIMIZERS, cited_papers.SCHEDULES,
        cited_papers.NETWORKS, methods_text.STATISTICS,
    ):  # fmt: skip
        named |= table
    lacking = {
        name: key for name, text in named.items() for key in citations.keys(text)
        if key not in citations.entries()
    }  # fmt: skip
    assert lacking == {}
    assert sum(bool(citations.keys(text)) for text in named.values()) > 60


def test_sources_of_measures_are_those_that_the_measures_name() -> None:
    said = {row["column"]: citations.keys(row["source"]) for row in measure_rows()}
    for column, (_, paper) in cited_papers.MEASURES.items():
        assert set(citations.keys(paper)) <= set(said[column]), column
    assert {key for found in said.values() for key in found} <= set(citations.entries())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Set the weights back (Frankle 2019, 2020).", ["frankle2019", "frankle2020"]),
        ("Zhu & Gupta 2018, eq. 1", ["zhu2018"]),
        ("He et al. 2022", ["he2022"]),
        ("Davison and Hinkley 1997, §3.8", ["davison1997"]),
        ("share of zeros, Hu 2016, eq. 1; Hu 2016", ["hu2016"]),
        ("no paper of 2016, at 1024 samples", []),
    ],
)
def test_papers_are_found_in_texts(text: str, found: list[str]) -> None:
    assert citations.keys(text) == found


def test_citations_are_set_for_both_readers() -> None:
    text = f"50 % of a_b{citations.cite(['han2015', 'nobody2099', 'renda2020', 'han2015'])}."
    assert citations.latex(text) == r"50~\% of a\_b~\cite{han2015,renda2020}."
    assert citations.markdown(text) == "50 % of a_b [@han2015; @renda2020]."
    assert citations.cited(text) == ["han2015", "renda2020"]
    assert citations.cite(["nobody2099"]) == ""


def test_numbers_are_those_of_the_cells(material: Material, numbers: dict[str, str]) -> None:
    cells = material.cells
    at = "regime == 'noisy-40' and model == 'seed-cnn'"
    errors = 100 * cells.query(f"{at} and method == 'dense'")["test_error"].to_numpy()
    name = "digits/noisy-40/seed-cnn"
    assert numbers[f"{name}/dense/error"] == f"{errors.mean():.1f}"
    assert numbers[f"{name}/dense/error/std"] == f"{errors.std(ddof=1):.1f}"
    own = cells.query(f"{at} and method == 'imp' and 0.98 < sparsity")["test_error"].to_numpy()
    wanted = f"{(100 * own - errors).mean():+.2f}".replace("-", "−")
    assert numbers[f"{name}/imp/98.44/difference"] == wanted
    assert numbers["cells"] == f"{len(cells):,}"
    assert numbers["seeds"] == "3"
    assert numbers["smallest-p"] == "0.25"
    assert numbers["version/torch"] == cells["torch_version"].iloc[0]
    scores = material.scores.set_index("method")
    assert numbers["apoz/score"] == f"{scores.loc['apoz', 'score']:+.2f}"
    assert numbers["apoz/verdict"] == scores.loc["apoz", "verdict"]


def test_the_best_is_chosen_on_validation(material: Material, numbers: dict[str, str]) -> None:
    cells = material.cells
    judged = cells[~cells["control"].astype(bool)]
    for setting, rows in judged.groupby(SETTING):
        means = rows.groupby(["method", "sparsity"])["val_error"].mean().round(9)
        lowest = means[means == means.min()].reset_index().sort_values("sparsity").iloc[-1]
        name = "/".join(setting)
        assert numbers[f"{name}/best/method"] == lowest["method"]
        chosen = float(numbers[f"{name}/best/sparsity"].removesuffix(" %")) / 100
        assert chosen == pytest.approx(lowest["sparsity"], abs=1e-4)


def test_macros_hold_nothing_that_latex_would_read(numbers: dict[str, str]) -> None:
    text = macros.text({**numbers, "a_b": "50 % of −1 & #"})
    body = text.split("\n\\newcommand{\\pb@set}", 1)[1].splitlines()[1:-1]
    assert len(body) == len(numbers) + 1
    assert r"\pb@set{a_b}{50~\% of \ensuremath{-}1 \& \#}%" in body
    assert all(re.fullmatch(r"\\pb@set\{[A-Za-z0-9._/-]+\}\{.+\}%", line) for line in body)
    assert macros.key("a b", "ü", "x/y", "50%") == "a_b/_/x_y/50_"


def test_two_names_with_one_key_are_refused(material: Material) -> None:
    cells = material.cells
    twin = cells[cells["method"] == "imp"].assign(method="ap oz", test_error=0.5)
    other = cells[cells["method"] == "imp"].assign(method="ap#oz", test_error=0.6)
    table = pd.concat([cells, twin, other], ignore_index=True)
    with pytest.raises(PrunebenchError, match="two names give the key"):
        macros.numbers(Material(table, material.layout, [], material.experiment))


def test_methods_say_what_the_configuration_says(material: Material) -> None:
    assert material.experiment is not None
    said = {p.heading: p.text for p in methods_text.paragraphs(material, material.experiment)}
    assert "500 training, 297 validation and 1,000 test images" in said["Data"]
    assert "noisy-40 (40 % of the training labels wrong, symmetric [@zhang2017])" in said["Data"]
    assert "test_resnet [@wightman2019] (373,370 weights)" in said["Training"]
    assert "16 epochs (fine-tuning: 6) in batches of 100" in said["Training"]
    assert "epochs 34, batch size 50 and learning rate 0.1" in said["Training"]
    assert "3 seeds" in said["Training"]
    for method in material.experiment.methods:
        assert f"{method.name}: " in said["Pruning"]
        assert set(citations.keys(method.paper)) <= set(citations.cited(said["Pruning"]))
    assert "50 %, 75 %, 87.5 %, 93.75 %, 96.88 % and 98.44 %" in said["Pruning"]
    assert "2× to 64× compression" in said["Pruning"]
    assert (
        "Holm's correction over the family; level 0.05 [@fisher1935; @holm1979]."
        in (said["Statistics"])
    )
    assert material.cells["torch_version"].iloc[0] in said["Software"]
    everything = " ".join(said.values())
    assert set(citations.cited(everything)) <= set(citations.entries())
    assert "nan" not in everything.lower().split()


@pytest.mark.parametrize(
    ("regime", "wanted"),
    [
        ({"label_noise": 0.4, "noise": "pair-flip"},
         "40 % of the training labels wrong, pair-flip [@han2018]"),
        ({"train_fraction": 0.1, "augmentation": True},
         "10 % of the training images, random crops and flips"),
        ({"width": 2.0, "train_samples": 1200}, "1,200 training images, 2 times as many channels"),
    ],
)  # fmt: skip
def test_regimes_are_described(regime: dict, wanted: str, material: Material) -> None:
    from prunebench.experiment.settings import Regime

    assert material.experiment is not None
    changed = material.experiment.model_copy(update={"regimes": [Regime(name="r", **regime)]})
    said = methods_text.paragraphs(material, changed)[0].text
    assert f"Regime of training: r ({wanted})." in said


def test_lists_read_well() -> None:
    assert [methods_text.listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_the_example_shows_the_noisiest_setting(material: Material) -> None:
    assert example_paper.setting_of(material.cells) == ("digits", "noisy-40", "seed-cnn")
    silent = material.cells.assign(label_noise=np.nan, train_samples=np.nan)
    assert example_paper.setting_of(silent) == ("digits", "clean", "seed-cnn")


def test_without_its_configuration_there_are_no_methods(material: Material, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"config\.json is not there"):
        write(material.cells, Layout(tmp_path))
    assert list(tmp_path.iterdir()) == []
