"""Files with a right seal and another content: one line, never a traceback."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunebench import cli
from prunebench.errors import PrunebenchError
from prunebench.storage import cell_files
from prunebench.storage.files import write_json, write_sealed
from prunebench.storage.layout import RECORD
from prunebench.storage.sealed_content import (
    MEASURED_OF,
    measured_of,
    read_facts,
    read_looks,
    read_measured,
    read_record,
)

PLACE: dict[str, Any] = {
    "task": "t", "regime": "r", "model": "m", "method": "a", "seed": 0, "sparsity": 0.5,
}  # fmt: skip
WHOLE = PLACE | {
    "identity": "i", "status": "ok", "message": "", "files": {"a": "b"}, "layers": ["x"],
    "compression_ratio": 2.0, "train_epochs": 3, "train_loss_fall": None,
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"identity": None}, {"identity": 3}, {"status": "fine"}, {"status": []}, {"files": None},
        {"files": ["a"]}, {"files": {"a": 3}}, {"layers": "x"}, {"layers": [3]},
        {"message": 3}, {"files": {"a\0": "b"}}, {"files": {"../a": "b"}},
        {"files": {"/a": "b"}}, {"files": {"": "b"}},
        {"test_error": "0.1"}, {"train_epochs": []}, {"seed": {}}, {"sparsity": "0.5"},
        {"seed": None}, {"seed": 0.5}, {"sparsity": None}, {"task": None},
        {"method": None}, {"task": 3}, {"nondeterministic": 4}, {"no_such_column": 1},
        {"classes": {}},
    ],
)  # fmt: skip
def test_what_is_no_record_of_a_cell_is_damage(tmp_path: Path, change: dict[str, Any]) -> None:
    write_sealed(tmp_path / RECORD, WHOLE)
    assert read_record(tmp_path / RECORD, MEASURED_OF)["seed"] == 0
    write_sealed(tmp_path / RECORD, WHOLE | change)
    with pytest.raises(PrunebenchError, match="is no record of a cell"):
        read_record(tmp_path / RECORD)
    assert cell_files.finished(tmp_path, "i") is None


@pytest.mark.parametrize("name", PLACE)
@pytest.mark.parametrize("status", ["ok", "failed"])
def test_a_record_that_does_not_say_of_which_cell_it_is(
    tmp_path: Path, name: str, status: str
) -> None:
    record = WHOLE | {"status": status}
    write_sealed(tmp_path / RECORD, {k: v for k, v in record.items() if k != name})
    assert read_record(tmp_path / RECORD)["status"] == status
    with pytest.raises(PrunebenchError, match="is no record of a cell"):
        read_record(tmp_path / RECORD, MEASURED_OF)


@pytest.mark.parametrize("name", MEASURED_OF)
def test_a_record_that_lacks_what_its_measures_stand_on(tmp_path: Path, name: str) -> None:
    write_sealed(tmp_path / RECORD, {k: v for k, v in WHOLE.items() if k != name})
    with pytest.raises(PrunebenchError, match=f"is damaged: it has no {name}"):
        read_record(tmp_path / RECORD, MEASURED_OF)


@pytest.mark.parametrize(
    "content",
    [
        {}, {"cells": None}, {"cells": {}}, {"cells": [3]}, {"cells": [{"task": "t"}]},
        {"cells": [PLACE | {"test_error": "x"}]}, {"cells": [PLACE | {"other": []}]},
        {"cells": [PLACE | {"seed": None}]}, {"cells": [PLACE | {"sparsity": None}]},
        {"cells": [PLACE], "latency": 3}, {"cells": [PLACE], "others": []},
    ],
)  # fmt: skip
def test_what_is_no_file_of_measures(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "x.json"
    write_sealed(path, {"cells": [PLACE], "latency": [], "layers": []})
    assert read_measured(path)["cells"] == [PLACE]
    write_sealed(path, content)
    with pytest.raises(PrunebenchError, match="holds no measures of cells"):
        read_measured(path)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.dictionaries(
        st.sampled_from(
            ["cells", "values", "rows", "measured", "kind", "identity", "status", "files", "code"]
        ),
        JSON,
    )
)
def test_any_other_content_is_read_or_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "x.json"
    write_sealed(path, content)
    for read in (read_record, read_measured, read_looks):
        with suppress(PrunebenchError):
            assert isinstance(read(path), dict)


def test_facts_and_what_is_kept_of_removed_files(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for content in ([], {}, {"kind": 3}, "classification"):
        write_json(path, content)
        with pytest.raises(PrunebenchError, match="holds no facts of a task"):
            read_facts(path)
    write_json(path, {"kind": "classification", "names": []})
    assert read_facts(path) == ("classification", {"names": []})
    kept = {"values": {"test_error": 0.1, "renamed_since": 0.5}, "layers": [], "code": "c"}
    assert measured_of(path, {"measured": kept}) == kept
    for change in ({"values": 1}, {"layers": None}, {"code": 2}, {"values": {"a": []}}):
        with pytest.raises(PrunebenchError, match="holds no measures of a cell"):
            measured_of(path, {"measured": kept | change})


def test_an_error_of_the_system_has_one_door_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, said in (
        (PermissionError(13, "Permission denied", "/x/record.json"), "/x/record.json: Permission"),
        (OSError(28, "No space left on device", "/x/data\x1b"), "/x/data\\x1b: No space left"),
        (OSError("odd"), "a file or the network: odd"),
    ):

        def fails(error: OSError = error) -> None:
            raise error

        monkeypatch.setattr(import_module("prunebench.cli.app"), "app", fails)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        assert capsys.readouterr().err.startswith(f"error: {said}")
