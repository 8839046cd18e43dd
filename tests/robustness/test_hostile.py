"""Files that were made to do harm: refused in one line, and nothing in them is run."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.published.column_mapping import ColumnMapping, read_mapping
from prunebench.published.convert import convert
from prunebench.storage.cell_files import load_tensors
from prunebench.text import safe_names

ROOT = Path(__file__).resolve().parents[2]
SMOKE = read_yaml(ROOT / "config" / "smoke.yaml")


class _Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "run")


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(PrunebenchError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def test_a_pickle_in_place_of_weights_is_refused_and_never_loaded(tmp_path: Path) -> None:
    path, sprung = tmp_path / "weights.safetensors", tmp_path / "sprung"
    path.write_bytes(pickle.dumps(_Trap(sprung)))
    assert refusal(load_tensors, path).startswith(f"{path} is missing or damaged")
    assert not sprung.exists()
    pickle.loads(path.read_bytes())  # the trap is one
    assert sprung.exists()


@pytest.mark.parametrize("size", [2**63, 2**31, 100])
def test_weights_that_claim_a_huge_header_are_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(size.to_bytes(8, "little") + b"{}")
    assert str(path) in refusal(load_tensors, path)


# -------------------------------------------------------------------------- configurations


def test_a_plugin_runs_nothing_when_a_configuration_is_read(tmp_path: Path) -> None:
    sprung, file = tmp_path / "sprung", tmp_path / "mine.py"
    file.write_text(f"open({str(sprung)!r}, 'w')\ndef score(view): ...\n")
    beside = tmp_path / "beside.py"
    beside.write_text(file.read_text())
    experiment = config.parse(
        {**SMOKE, "methods": [{"name": "mine", "criterion": f"{file}:score"}]}
    )
    # outside the project, allowed since it is named; nothing else in its folder is
    [method] = experiment.methods
    assert file in method.sources()
    assert beside not in method.sources()
    assert not sprung.exists()


@pytest.mark.parametrize(
    "name", ["../out", "/etc/passwd", "a/b", "..", ".hidden", "$(id)", "a;b", "a b", "'", "-rf", ""]
)
@pytest.mark.parametrize("kind", ["experiment", "tasks", "regimes", "models", "methods"])
def test_a_name_that_could_leave_its_folder_or_reach_a_shell_is_refused(
    kind: str, name: str
) -> None:
    needed: dict[str, Any] = {"source": "digits", "criterion": "magnitude"}
    keys = {"tasks": ["source"], "methods": ["criterion"]}.get(kind, [])
    entry: Any = name
    if kind != "experiment":
        entry = [{"name": name, **{key: needed[key] for key in keys}}]
    text = refusal(config.parse, {**SMOKE, kind: entry}, "grid.yaml")
    assert text.startswith(f"grid.yaml: {kind}")


def test_a_template_is_refused(tmp_path: Path) -> None:
    sprung, file = tmp_path / "sprung", tmp_path / "grid.yaml"
    file.write_text(
        f"__use_yte__: true\nexperiment: ?open({str(sprung)!r}, 'w')\n{json.dumps(SMOKE)[1:-1]}"
    )
    refusal(config.load, file)
    assert not sprung.exists()


@pytest.mark.slow
def test_a_path_of_the_configuration_reaches_no_shell(tmp_path: Path) -> None:
    home = tmp_path / 'it\'s $(touch sprung) `touch sprung`; touch sprung & "x" {y} é'
    for label in ("cat", "dog"):
        (home / label).mkdir(parents=True)
        for number in range(6):
            pixels = np.full((8, 8), 20 * number, np.uint8)
            Image.fromarray(pixels).save(home / label / f"{number}.png")
    task = {"name": "mine", "source": "folder", "path": str(home), "val": 2, "test": 2}
    grid = tmp_path / "my grid; touch sprung.yaml"
    grid.write_text(json.dumps({**SMOKE, "tasks": [task]}))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("snakemake")), "--cores", "1", "--until",
         "prepare_mine", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(grid)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("data/prepared/mine-*.safetensors"))) == 1
    assert not list(tmp_path.rglob("sprung"))


# -------------------------------------------------------------------------- imported results

_HEADER = "task,regime,model,method,sparsity,test_error"
_FIELDS = st.sampled_from(
    ["digits", "dense", "imp", "0.5", "0", "1e999", "-1", "nan", "12 %", "", '"', '""', "=1+1",
     "@SUM(A1)", "+1", "\t=cmd", "＝1", "<script>", "a\0b", "\u202e", "x" * 200, "1,5", "9" * 400]
) | st.text(max_size=6)  # fmt: skip
_TABLES = st.lists(st.lists(_FIELDS, min_size=5, max_size=7), max_size=4).map(
    lambda rows: "\n".join([_HEADER, *(",".join(row) for row in rows)])
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=_TABLES.map(lambda t: t.encode("utf-8", "surrogatepass")) | st.binary(max_size=60))
@example(content=b"")
@example(content=b"\xff\xfe" + _HEADER.encode("utf-16-le"))
def test_a_foreign_table_is_read_or_refused_and_nothing_else(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "theirs.csv"
    path.write_bytes(content)
    try:
        cells, _ = convert(path, ColumnMapping())
    except PrunebenchError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017  # or nothing is raised
        assert str(path) in str(error)  # noqa: PT017
        return
    for column in ("task", "regime", "model", "method"):
        assert all(safe_names.name(str(name)) for name in cells[column])


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd", "-2+3", "\t=1", "＝1", "'=1", '"=1'])
@pytest.mark.parametrize("column", ["task", "regime", "model", "method"])
def test_a_formula_in_a_foreign_table_is_refused(tmp_path: Path, column: str, text: str) -> None:
    row = dict(zip(_HEADER.split(","), ["t", "r", "m", "dense", "0", "0.1"], strict=True))
    quoted = {**row, column: '"' + text.replace('"', '""') + '"'}
    path = tmp_path / "theirs.csv"
    path.write_text(f"{_HEADER}\n{','.join(quoted.values())}\n")
    message = refusal(convert, path, ColumnMapping())
    assert str(path) in message
    assert column in message


_YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    value=_YAML
    | st.fixed_dictionaries({}, optional=dict.fromkeys(ColumnMapping.model_fields, _YAML))
)
def test_a_mapping_is_read_or_refused_and_nothing_else(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(json.dumps(value))
    try:
        read_mapping(path)
    except PrunebenchError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
