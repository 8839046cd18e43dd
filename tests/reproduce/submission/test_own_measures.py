"""Measures of one's own go with a submission, and their columns are known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.reproduce.submission.check_table import columns
from prunebench.reproduce.submission.pack import plugins
from prunebench.reproduce.submission.plugins import localized, renamed
from prunebench.storage.records import COLUMNS
from tests.conftest import ROOT

GIVEN: dict[str, Any] = {
    **read_yaml(ROOT / "config" / "smoke.yaml"),
    "report": {"measures": ["parts/mine.py:sureness"], "figures": ["other.py:draw"],
               "highlight": ["magnitude"]},
}  # fmt: skip
MEASURE = "def sureness(outputs, targets):\n    return float(outputs.max(1).mean())\n"


def test_the_file_of_a_measure_is_packed_and_that_of_a_figure_is_not() -> None:
    assert plugins(GIVEN) == [Path("parts/mine.py")]
    with pytest.raises(PrunebenchError, match="is in a Python module"):
        plugins({**GIVEN, "report": {"measures": ["package.mine:sureness"]}})


def test_what_a_measure_fills_is_a_known_column(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MEASURE)
    given = renamed(GIVEN, lambda name: localized(name, tmp_path))
    experiment = config.parse(given)
    assert list(experiment.own_columns) == ["sureness"]
    table = pd.DataFrame(columns=[*COLUMNS, "sureness", "guess"])
    stored = SimpleNamespace(raw=table, experiment=experiment)
    found = list(columns(SimpleNamespace(stored=stored)))  # type: ignore[arg-type]
    assert [finding.message for finding in found] == ["column guess is unknown"]


def test_a_measure_whose_file_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"has no mine[.]py: put the file there"):
        renamed(GIVEN, lambda name: localized(name, tmp_path))
