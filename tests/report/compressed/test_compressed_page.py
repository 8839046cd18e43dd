"""compress.html: what it says is what it was given."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prunebench.report.compressed.compressed_page import Outcome, document, write
from prunebench.report.compressed.trade_off import draw
from prunebench.report.figures import style
from tests.messages import unsaid
from tests.report.figures.layout import faults


def outcome(**changes: Any) -> Outcome:
    shared = {"task": "t", "regime": "clean", "model": "net", "seed": 0, "status": "ok"}
    dense = {**shared, "method": "dense", "sparsity": 0.0, "val_error": 0.05, "train_epochs": 4.0,
             "train_seconds": 40.0, "prune_seconds": np.nan, "control": True}  # fmt: skip
    rows = [
        {**dense, "method": method, "control": control, "sparsity": sparsity, "val_error": error,
         "train_epochs": 6.0, "train_seconds": 55.0, "prune_seconds": 1.0,
         "kept_weights": 1 - sparsity, "kept_macs": (1 - sparsity) ** 2, "kept_latency": np.nan,
         "candidate": not control, "search_evaluations": 0}
        for method, control, sparsity, error in (
            ("<fpgm>", False, 0.3, 0.06), ("<fpgm>", False, 0.5, 0.08), ("random", True, 0.5, 0.2),
        )
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    given: dict[str, Any] = {
        "title": "net on t, compressed", "summary": "weights 10 → 5",
        "before_after": {"weights": ("10", "5", "50 %")}, "reasons": ["it was best"],
        "cells": pd.concat([pd.DataFrame([dense]), table]), "tried": table, "chosen": 1,
        "unit": "macs", "share": 0.3, "files": {"model.pt2": "the network"},
        "loader": "import torch\n\nnetwork = 1", "notes": ["one training"],
        "again": "prunebench compress --budget macs=0.3",
    }  # fmt: skip
    return Outcome(**{**given, **changes})


def test_the_page_stands_alone_and_holds_all_that_was_tried(tmp_path: Path) -> None:
    page, figure = write(outcome(), tmp_path)
    text = page.read_text()
    for said in ("net on t, compressed", "weights 10 → 5", "it was best", "one training",
                 "&lt;fpgm&gt;", "prunebench compress --budget", "network = 1"):  # fmt: skip
        assert said in text
    assert "<fpgm>" not in text
    assert "data:image/png;base64," in text
    assert "http" not in text.replace("http-equiv", "")
    assert figure.stat().st_size > 10_000


def test_the_cost_counts_the_dense_network_once() -> None:
    [section] = [s for s in document(outcome()).sections if s.anchor == "tried"]
    # 4 epochs and 40 s of dense, 2 epochs and 15 s of each of three
    assert unsaid(str(section.blocks[0]), "3 networks", "10 epochs", "85 s") == []


@pytest.mark.parametrize(
    ("epochs", "said"), [(40.269667, "121 epochs"), (2.52, "7.6 epochs"), (500.2, "1,501 epochs")]
)
def test_parts_of_epochs_that_searches_take_are_rounded(epochs: float, said: str) -> None:
    cells = outcome().cells
    cells["train_epochs"] = np.where(cells["method"] == "dense", 0.0, epochs)  # of three others
    [section] = [s for s in document(outcome(cells=cells)).sections if s.anchor == "tried"]
    assert f": {said} of training" in str(section.blocks[0])


def test_the_taken_one_is_marked_and_controls_are_named() -> None:
    [section] = [s for s in document(outcome()).sections if s.anchor == "tried"]
    rows = section.blocks[1].rows  # type: ignore[union-attr]
    assert [str(row[1]) for row in rows] == ["", "taken", "control"]
    assert [str(row[3]) for row in rows] == ["49 %", "25 %", "25 %"]  # MACs


@pytest.mark.parametrize("share", [None, 0.3])
def test_the_curve_shows_every_network(share: float | None) -> None:
    given = outcome()
    figure = draw(given.tried, "kept_macs", "MACs", dense_error=0.05, chosen=1, share=share)
    [axes] = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["<fpgm>"].get_xdata().tolist() == pytest.approx([25, 49])
    assert lines["<fpgm>"].get_ydata().tolist() == pytest.approx([8, 6])
    assert list(lines["taken"].get_xdata()) == pytest.approx([25])
    assert lines["dense"].get_ydata()[0] == pytest.approx(5)
    assert sum(text.get_text() == "budget" for text in axes.texts) == (share is not None)
    # all of it, the legend too, in the width of a telephone
    assert faults(figure) == []
    assert figure.get_figwidth() == style.COLUMN_WIDTH


def test_errors_have_the_name_of_their_kind(tmp_path: Path) -> None:
    given = outcome()
    given = dataclasses.replace(given, cells=given.cells.assign(kind="regression"))
    page, _ = write(given, tmp_path)
    assert "validation unexplained variance" in page.read_text()


def test_a_search_that_found_nothing_to_take_has_its_page(tmp_path: Path) -> None:
    nothing = outcome(
        chosen=None, before_after={}, loader="", files={"search/": "the experiment"},
        reasons=["l1-filter: nothing is shown"],
    )  # fmt: skip
    page, _ = write(nothing, tmp_path)
    text = page.read_text()
    for said in ("Why no network was taken", "l1-filter: nothing is shown", "one training",
                 "&lt;fpgm&gt;", "the experiment"):  # fmt: skip
        assert said in text
    assert "taken one is circled" not in text
    first, *_ = document(nothing).sections
    assert first.anchor == "chosen"
    figure = draw(nothing.tried, "kept_macs", "MACs", dense_error=0.05, chosen=None, share=None)
    assert "taken" not in {line.get_label() for line in figure.axes[0].lines}
