"""Names are checked at the door for all they are used in; long lists cost what they are long."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.settings import Task
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.published.read_foreign import read_text_table
from prunebench.report.tables import compression_tables
from prunebench.statistics.cells_table import read_cells
from prunebench.storage.files import read_json
from prunebench.storage.records import LAYER_COLUMNS
from prunebench.tasks import tables
from prunebench.tasks.prepare import prepare
from tests.robustness.test_hostile import SMOKE, refusal

NUMBERS = ("40", "1e5", "nan", "inf", "True", "NA", "null")


@pytest.mark.parametrize("name", NUMBERS)
def test_a_name_that_looks_like_a_number_stays_a_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "layers.csv"
    row: dict[str, Any] = dict.fromkeys(LAYER_COLUMNS, 1)
    row |= dict.fromkeys(("task", "regime", "model", "method", "layer", "place"), name)
    lines = [",".join(row), ",".join(map(str, row.values()))]
    path.write_text("\n".join(lines) + "\n")
    table = compression_tables.read(path, LAYER_COLUMNS)
    assert table is not None
    texts = ["task", "regime", "model", "method", "layer", "place"]
    assert table[texts].to_numpy().tolist() == [[name] * 6]
    assert table["weights"].tolist() == [1]


@pytest.mark.parametrize("name", ["mlflow.db", "MLflow.db-wal", "mlartifacts", "reference"])
def test_no_experiment_is_called_as_what_lies_beside(name: str) -> None:
    text = refusal(config.parse, {**SMOKE, "experiment": name}, "grid.yaml")
    assert text.startswith("grid.yaml: experiment: ")
    assert "choose another name" in text


@pytest.mark.parametrize("name", ["all", "ALL"])
def test_no_part_of_a_grid_is_called_as_the_whole(name: str) -> None:
    for kind, base in (("tasks", "digits"), ("regimes", "clean"), ("models", "seed-cnn")):
        more = {**SMOKE, kind: [*SMOKE.get(kind, [base]), {"name": name, "base": base}]}
        if kind == "models":
            more[kind] = ["seed-cnn", {"name": name, "architecture": "seed-cnn"}]
        assert "'all' is what the results of all are called" in refusal(config.parse, more, "x")
    methods = [*SMOKE["methods"], {"name": "Dense", "base": "random"}]  # where case is ignored
    assert "the baseline's own name" in refusal(config.parse, {**SMOKE, "methods": methods}, "x")


def test_a_class_whose_name_is_no_utf8_is_refused_before_any_training(tmp_path: Path) -> None:
    for number, name in enumerate((b"caf\xe9", b"tea")):
        folder = os.fsencode(tmp_path / "set") + b"/" + name
        Path(os.fsdecode(folder)).mkdir(parents=True)
        for each in range(6):
            pixels = np.full((4, 4), 40 * each + number, np.uint8)
            Image.fromarray(pixels).save(os.fsdecode(folder + b"/%d.png" % each))
    task = Task(name="mine", source="folder", path=str(tmp_path / "set"), val=2, test=2)
    with pytest.raises(PrunebenchError, match=r"the class 'caf\\udce9' is no text in UTF-8"):
        prepare(task, tmp_path, tmp_path / "x.safetensors")


def test_half_a_character_is_refused_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in (r'{"a": "\uD800"}', r'{"\udfff": 1}', r'["\ud800\ud800"]'):
        path.write_text(text)
        assert "half a character" in refusal(read_json, path)
    path.write_text(r'["\ud83d\ude00", "\\ud800"]')
    assert read_json(path) == ["😀", "\\ud800"]
    path.write_text('description: "\\uD800"\n')
    assert "half a character" in refusal(read_yaml, path)
    assert "half a character" in refusal(
        config.parse, {**SMOKE, "methods": [{"name": "a", "description": "\ud800"}]}, "x"
    )


@pytest.mark.parametrize("extends", ["a\0b.yaml", ["a\0b.yaml"]])
def test_a_zero_byte_is_refused_where_it_is_read(tmp_path: Path, extends: Any) -> None:
    """No path holds one, and what the system makes of it is a traceback."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**SMOKE, "extends": extends}))
    assert "holds a zero byte" in refusal(config.load, path)
    for part in (
        {"tasks": [{"name": "a", "source": "folder", "path": "a\0"}]},
        {"methods": [{"name": "a", "criterion": "a\0.py:f"}]},
        {"models": [{"name": "a", "architecture": "seed-cnn", "weights": "a\0"}]},
    ):
        assert "holds a zero byte" in refusal(config.parse, {**SMOKE, **part}, "x")


def test_long_lists_are_read_in_time_that_grows_with_their_length(tmp_path: Path) -> None:
    """Compared pair by pair, 99,000 seeds or 300,000 columns would take minutes."""
    begun = time.process_time()
    seeds = config.parse({**SMOKE, "seeds": [*range(99_000)]}, "x").seeds
    assert len(seeds) == 99_000
    assert "given more than once: 7" in refusal(
        config.parse, {**SMOKE, "seeds": [*range(90_000), 7]}, "x"
    )
    path = tmp_path / "wide.csv"
    names = ",".join(f"c{n}" for n in range(300_000))
    path.write_text(f"{names}\n{'1,' * 299_999}1\n")
    assert len(tables.read_table(path).columns) == 300_000
    refusal(read_text_table, path)
    refusal(read_cells, path)
    assert time.process_time() - begun < 20
