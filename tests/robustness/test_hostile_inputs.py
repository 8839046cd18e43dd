"""Input that would fill the memory, command a terminal or run code: one line, and at once."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from prunebench.cli import app
from prunebench.cli.app import plan_of
from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.settings import Model, Prunable
from prunebench.experiment.strict_yaml import LARGEST, read_yaml
from prunebench.runner.preflight import describe
from prunebench.statistics.cells_table import read_cells
from prunebench.storage.records import COLUMNS
from prunebench.tasks import memory
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.raw import COPIES, check_fits
from prunebench.text import safe_names
from prunebench.tracking.mlflow_runs import read_runs
from tests.robustness.test_hostile import ROOT, SMOKE, _Trap, refusal

BOMBS = {
    "aliases": "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    ),
    "merges": "a: &a {k0: 0}\n" + "".join(
        f"m{n}: &m{n} {{<<: [{', '.join(['*a'] * 40)}]}}\n" for n in range(9)
    ),
    "merged keys": "a: &a {" + ", ".join(f"k{n}: 0" for n in range(5000)) + "}\n" + "".join(
        f"m{n}: {{<<: *a}}\n" for n in range(30)
    ),
    "deep": "[" * 5000,
    "deep mappings": "{a: " * 500 + "0" + "}" * 500,
    "base 60": "a: 1" + ":59" * 100_000,
    "digits": "a: " + "9" * 5000,
    "values": "a: [" + "0, " * 150_000 + "0]",
    "python": "a: !!python/object/apply:os.system [id]",
    "own tag": "a: !mine x",
    "binary": "a: !!binary aGFsbG8=",
    "set": "a: !!set {x, y}",
    "key": "? [a, b]\n: 0",
    "no text": "a: \"\\xff\" \x00",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_yaml_that_expands_or_is_no_plain_value_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(BOMBS[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = refusal(config.load, path)
    assert text.startswith(str(path))
    assert len(text) < 5000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


def test_a_file_that_is_too_large_or_never_ends_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    assert "larger than 2 MiB" in refusal(config.load, path)
    assert "is no plain file" in refusal(config.load, "/dev/zero")
    assert "null" in refusal(config.load, "a\0b.yaml")
    assert str(tmp_path) in refusal(config.load, tmp_path)
    path.write_bytes(b"experiment: \xff\n")
    assert refusal(config.load, path).startswith(f"{path}: not valid YAML")


def test_what_merges_still_means_what_yaml_says(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 5}\n")
    assert read_yaml(path)["c"] == {"x": 5, "y": 2, "z": 4}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seeds", [2**53]), ("seeds", [10**30]), ("sparsities", [float("nan")]),
        ("compute", {"threads": 10**9}), ("compute", {"device": "cuda:99999999999"}),
        ("compute", {"curves_per_job": 10**20}), ("compute", {"keep": "nothing"}),
        ("training", {"epochs": 10**12}), ("training", {"batch_size": 10**20}),
        ("training", {"learning_rate": float("inf")}), ("probes", {"samples": 10**20}),
        ("latency", {"batches": [10**9]}),
        ("tasks", [{"name": "x", "source": "digits", "image_size": 10**9}]),
        ("tasks", [{"name": "x", "source": "digits", "train": 10**20}]),
        ("tasks", [{"name": "x", "source": "digits", "augmentation": {"crop": 10**9}}]),
        ("regimes", [{"name": "x", "width": 1e300}]),
    ],
)  # fmt: skip
def test_numbers_that_no_machine_could_serve_are_refused(key: str, value: Any) -> None:
    assert refusal(config.parse, {**SMOKE, key: value}, "grid.yaml").startswith(f"grid.yaml: {key}")


def test_a_message_neither_commands_a_terminal_nor_fills_it() -> None:
    error = PrunebenchError("\x1b[2Jgone\r\x07\u202eevil " + "x" * 10_000)
    assert str(error).isprintable()
    assert "\\x1b[2J" in str(error)
    assert len(str(error)) < 4100
    many = [f"method-{n}" for n in range(5000)]
    text = refusal(config.parse, {**SMOKE, "methods": ["zzz", *many]}, "grid.yaml")
    assert len(text) < 5000


# --------------------------------------------------------------------------- networks, memory


def test_a_network_larger_than_the_memory_is_refused_before_it_is_built() -> None:
    model = Model(name="big", architecture="seed-cnn", arguments={"units": [10**6, 10**6]})
    text = refusal(_describe, model)
    assert text.startswith("models: big: ")
    assert "GiB of memory" in text


def test_a_pickle_as_checkpoint_of_a_network_is_never_run(tmp_path: Path) -> None:
    path, sprung = tmp_path / "weights.pth", tmp_path / "sprung"
    path.write_bytes(pickle.dumps(_Trap(sprung)))
    arguments: dict[str, Any] = {"checkpoint_path": str(path)}
    model = Model(name="theirs", architecture="test_resnet", arguments=arguments)
    assert refusal(_describe, model).startswith("models: theirs: ")
    cfg = {"file": str(path), "num_classes": 3}
    model = Model(
        name="theirs", architecture="test_resnet", pretrained=True,
        arguments={"pretrained_cfg_overlay": cfg},
    )  # fmt: skip
    assert refusal(_describe, model).startswith("models: theirs: ")
    assert not sprung.exists()


def _describe(model: Model) -> Any:
    facts = NetworkFacts.of_images(3, 1, 32)
    example = torch.zeros(1, 1, 32, 32)
    return describe(
        model, Prunable(), task="digits", facts=facts, example=example, unfit=lambda outputs: None
    )


def test_memory_is_what_limits_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CGROUP", limit)
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory.memory() == whole  # there is none
    for text, expected in (("max\n", whole), ("1048576\n", 2**20)):
        limit.write_text(text)
        assert memory.memory() == expected
    check_fits(2**20 // COPIES, "x.npz")
    assert refusal(check_fits, 2**20 // COPIES + 1, "x.npz").startswith("x.npz: ")
    assert refusal(check_fits, 2**20, "x.csv").endswith("; is the file what it should be?")
    assert refusal(check_fits, 2**20, "x.csv", "length: cuts texts").endswith(
        "? length: cuts texts"
    )
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31));"
        " from prunebench.tasks.memory import memory; print(memory())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == min(2**31, whole)


# --------------------------------------------------------------------------- tables, results


def table(path: Path, **changes: str) -> None:
    row = dict.fromkeys(COLUMNS, "") | {
        "experiment": "x", "task": "t", "regime": "r", "model": "m", "method": "dense",
        "family": "dense", "seed": "0", "sparsity": "0", "status": "ok", "test_error": "0.1",
        "classes": "10",
    }  # fmt: skip
    path.write_text(",".join(COLUMNS) + "\n" + ",".join((row | changes).values()) + "\n")


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "x" * 200])
@pytest.mark.parametrize("column", ["task", "regime", "model", "method"])
def test_no_table_of_cells_brings_a_formula_into_pages_or_mlflow(
    tmp_path: Path, column: str, text: str
) -> None:
    path = tmp_path / "cells.csv"
    table(path)
    assert len(read_cells(path)) == 1
    table(path, **{column: text})
    for read in (read_cells, lambda _: read_runs(config_layout(tmp_path))):
        message = refusal(read, path)
        assert str(path) in message
        assert column in message
        assert message.isprintable()


def config_layout(folder: Path) -> Any:
    from prunebench.storage.layout import Layout

    return Layout(folder)


def test_messages_of_cells_that_command_a_terminal_are_written_out(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    table(path, message="\x1b]0;owned\x07")
    [message] = read_cells(path)["message"]
    assert message == "\\x1b]0;owned\\x07"
    table(path, task="\u202eevil")
    assert list(read_cells(path)["task"]) == ["\\u202eevil"]


def test_a_compressed_or_endless_table_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv.gz"
    path.write_bytes(gzip.compress(b"0," * 10_000_000))
    assert str(path) in refusal(read_cells, path)
    wide = tmp_path / "cells.csv"
    wide.write_text(",".join(f"c{n}" for n in range(100_000)) + "\n")
    assert "100,000 columns" in refusal(read_cells, wide)
    wide.write_bytes(b"task\xff\n")
    assert str(wide) in refusal(read_cells, wide)
    assert str(tmp_path) in refusal(read_cells, tmp_path)


def test_names_that_are_harmless_are_left_alone() -> None:
    for text in ("dense", "L1 <b>filters</b> & more", "étoile", "2:4", "O'Brien"):
        assert safe_names.name(text) == text


def test_a_configuration_in_results_says_not_where_to_write(tmp_path: Path) -> None:
    folder = tmp_path / "from-somebody"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**SMOKE, "experiment": "mine"}))
    (tmp_path / "mine").mkdir()
    assert plan_of(folder / "config.json").layout.root == folder.resolve()


# --------------------------------------------------------------------------- the command line

_FILES = ("config.json", "cells.csv", "provenance.json", "latency.csv", "layers.csv")
_COMMANDS = (
    ["status"], ["summary"], ["tables"], ["leaderboard"], ["report"], ["crate"], ["verify"],
    ["check-files"], ["track"], ["compare", "FOLDER"], ["analyse"], ["submit", "check"],
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(sorted(config.Experiment.model_fields)) | st.text(max_size=5),
            inner, max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip
_CONTENT = (
    st.binary(max_size=40)
    | _JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(dict.fromkeys(sorted(SMOKE), _JSON)).map(
        lambda changes: json.dumps({**SMOKE, **changes}).encode()
    )
    | st.just(json.dumps(SMOKE).encode())
)


@pytest.fixture
def _away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_away")
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    command=st.sampled_from(_COMMANDS), name=st.sampled_from(_FILES), content=_CONTENT,
    rest=st.booleans(),
)  # fmt: skip
@example(command=["status"], name="config.json", content=b"\0", rest=False)
@example(command=["verify"], name="provenance.json", content=b"[]", rest=True)
def test_whatever_lies_in_a_folder_no_command_ends_in_a_traceback(
    tmp_path: Path, command: list[str], name: str, content: bytes, rest: bool
) -> None:
    folder = tmp_path / "results" / "x"
    folder.mkdir(parents=True, exist_ok=True)
    for each in _FILES:
        (folder / each).unlink(missing_ok=True)
    if rest:
        (folder / "config.json").write_text(json.dumps(SMOKE))
        table(folder / "cells.csv")
    (folder / name).write_bytes(content)
    arguments = [str(folder) if part == "FOLDER" else part for part in [*command, str(folder)]]
    done = CliRunner().invoke(app, arguments)
    error = done.exception
    assert error is None or isinstance(error, SystemExit | PrunebenchError), arguments
    assert done.exit_code in (0, 1, 2)
    if isinstance(error, PrunebenchError):
        assert str(error).isprintable()
