"""Methods in words, from the configuration; the example's setting; what the kit refuses."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.report.paper import (
    citations,
    example_paper,
    methods_text,
    write,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.storage.layout import Layout
from tests.messages import unsaid


def test_methods_say_what_the_configuration_says(inputs: ReportInputs) -> None:
    assert inputs.experiment is not None
    said = {p.heading: p.text for p in methods_text.paragraphs(inputs, inputs.experiment)}
    assert "200 training, 297 validation and 1,300 test samples" in said["Data"]
    assert unsaid(said["Data"], "noisy-40 (40 %", "wrong, symmetric [@zhang2017])") == []
    assert "34 epochs (fine-tuning: 12) in batches of 50" in said["Training"]
    assert "8 seeds" in said["Training"]
    for method in inputs.experiment.methods:
        assert re.search(rf"\b{method.name}( \[@[^]]+\])?: ", said["Pruning"])
        assert set(citations.keys(method.paper)) <= set(citations.cited(said["Pruning"]))
    assert "50 %, 75 %, 89 % and 95 %" in said["Pruning"]
    pruned = inputs.cells[inputs.cells["sparsity"] > 0]["compression_ratio"]
    ends = f"{pruned.min():.3g}× to {pruned.max():.3g}×"
    assert f"95 %; all weights over those kept came to {ends}." in said["Pruning"]
    assert unsaid(said["Statistics"], "Holm's", "level 0.05 [@fisher1935; @holm1979]") == []
    assert inputs.cells["torch_version"].iloc[0] in said["Software"]
    everything = " ".join(said.values())
    assert set(citations.cited(everything)) <= set(citations.entries())
    assert "nan" not in everything.lower().split()


def test_measures_are_those_of_the_kind(inputs: ReportInputs) -> None:
    assert "Brier score" in methods_text.measures(inputs).text
    values = inputs.cells.assign(kind="regression", test_rmse=1.0)
    said = methods_text.measures(replace(inputs, cells=values)).text
    assert "Brier score" not in said
    assert "root mean squared error [@hyndman2006]" in said


def test_a_paper_stands_behind_the_part_it_is_of(inputs: ReportInputs, tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    code.write_text("def score(view):\n    return view.weights\n")
    mine = config.method({"name": "mine", "criterion": f"{code}:score", "recovery": "fine-tuning"})
    said = methods_text._method(mine, inputs.composition)
    assert said.startswith(f"mine: {code}:score, weight, ")
    assert said.endswith(", fine-tuning [@han2015]")
    assert "[@" not in said.removesuffix("[@han2015]")
    lee = config.method("snip").model_copy(update={"name": "elsewhere"})
    said = methods_text._method(lee, inputs.composition)
    assert said.startswith("elsewhere [@lee2019]: snip [@lee2019], ")


@pytest.mark.parametrize(
    ("regime", "wanted"),
    [
        ({"label_noise": 0.4, "noise": "pair-flip"},
         "40 % of the training labels wrong, pair-flip [@han2018]"),
        ({"train_fraction": 0.1, "augmentation": True},
         "10 % of the training samples, random crops and flips"),
        ({"width": 2.0, "train_samples": 1200}, "1,200 training samples, 2 times as many channels"),
    ],
)  # fmt: skip
def test_regimes_are_described(regime: dict, wanted: str, inputs: ReportInputs) -> None:
    from prunebench.experiment.settings import Regime

    assert inputs.experiment is not None
    changed = inputs.experiment.model_copy(update={"regimes": [Regime(name="r", **regime)]})
    said = methods_text.paragraphs(inputs, changed)[0].text
    assert f"Regime of training: r ({wanted})." in said


def test_the_example_shows_the_noisiest_setting(inputs: ReportInputs) -> None:
    assert example_paper.setting_of(inputs.cells) == ("digits", "noisy-40", "seed-cnn")
    silent = inputs.cells.assign(label_noise=np.nan, train_samples=np.nan)
    assert example_paper.setting_of(silent) == ("digits", "clean", "seed-cnn")


def test_without_its_configuration_there_are_no_methods(
    inputs: ReportInputs, tmp_path: Path
) -> None:
    with pytest.raises(PrunebenchError, match=r"config\.json is not there"):
        write(inputs.cells, Layout(tmp_path))
    assert list(tmp_path.iterdir()) == []
