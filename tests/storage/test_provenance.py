"""What made an experiment: counted from its rows, hashed from its files, no machine's name."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.storage import provenance
from prunebench.storage.records import PROVENANCE
from tests.conftest import ROOT

ROWS: list[dict[str, Any]] = [
    {"experiment": "x", "task": "digits", "status": "ok", "commit": "a", "dirty": False,
     "data_hash": "d", "code_hash": "c1", "device": "cpu", "threads": 1, "model": "opt",
     "hub_commit": "27dcfa"},
    {"experiment": "x", "task": "digits", "status": "ok", "commit": "b", "dirty": True,
     "data_hash": "d", "code_hash": "c2", "device": "cpu", "threads": 1, "model": "own",
     "hub_commit": None},
    {"experiment": "x", "task": "other", "status": "failed", "commit": "b", "dirty": None,
     "data_hash": "e", "code_hash": None, "device": "cpu", "threads": 1},
]  # fmt: skip


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name in ("config.json", "cells.csv"):
        (tmp_path / name).write_text(name)
    monkeypatch.setenv(provenance.COMMAND, "snakemake --cores 2")
    monkeypatch.setenv(provenance.STARTED, "2020-01-01T00:00:00+00:00")
    found = provenance.experiment_origin(tmp_path / "config.json", tmp_path / "cells.csv", ROWS)
    return json.loads(json.dumps(found, allow_nan=False))


def test_what_the_records_stand_on(origin: dict[str, Any]) -> None:
    assert origin["cells"] == {"failed": 1, "ok": 2}
    assert origin["commits"] == {"a": 1, "b": 2}
    assert origin["dirty_cells"] == 1
    assert origin["data_hashes"] == {"digits": ["d"], "other": ["e"]}
    assert origin["code_hashes"] == ["c1", "c2"]
    assert origin["hub_commits"] == {"opt": ["27dcfa"]}
    assert (origin["devices"], origin["threads"]) == (["cpu"], [1])
    assert origin["config_sha256"] == hashlib.sha256(b"config.json").hexdigest()
    assert origin["cells_sha256"] == hashlib.sha256(b"cells.csv").hexdigest()


def test_command_and_time(origin: dict[str, Any]) -> None:
    assert origin["command"] == "snakemake --cores 2"
    assert origin["started"] == "2020-01-01T00:00:00+00:00"
    assert origin["wall_seconds"] > 5 * 365 * 24 * 3600


def test_machine_and_packages(origin: dict[str, Any]) -> None:
    assert origin["packages"]["numpy"] == version("numpy")
    assert origin["python"].endswith(platform.python_version())
    assert origin["machine"]["cores"] >= origin["machine"]["usable_cores"] >= 1
    assert origin["machine"]["memory_bytes"] > 2**28
    lock = hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()
    assert origin["lock_hash"] == lock
    assert socket.gethostname() not in json.dumps(origin["machine"] | {"s": origin["system"]})


def test_what_a_record_says_is_in_its_columns() -> None:
    assert set(provenance.software()) < set(PROVENANCE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/home/me/.venv/bin/snakemake", "--cores", "2"], "snakemake --cores 2"),
        (["/a/prunebench/__main__.py", "run", "my grid.yaml"],
         "python -m prunebench run 'my grid.yaml'"),
        # the home folder says who the user is
        (["/home/me/bin/snakemake", "--configfile", "/home/me/my grid.yaml", "-d=/home/me/x"],
         "snakemake --configfile '~/my grid.yaml' -d=~/x"),
        (["snakemake", "/data/home/me/x", "/home/meg/x"], "snakemake …/x …/x"),
        (["snakemake", "--config", "token=abc", "--password", "abc", "x"],
         "snakemake --config token=*** --password *** x"),
        (["prunebench", "track", "x", "--uri=https://me:a@b@host/t"],
         "prunebench track x --uri=https://host/***"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("home", ["/home/me", "/home/me/"])
def test_a_command_as_one_types_it(
    arguments: list[str], said: str, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", home)
    assert provenance.command_line(arguments) == said


@pytest.mark.parametrize("home", ["", "/"])
def test_a_command_of_somebody_without_a_home(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    assert provenance.command_line(["/a/snakemake", "/b/c"]) == "snakemake …/c"
    monkeypatch.delenv("HOME")
    assert provenance.command_line(["/a/snakemake", "/b/c"]) == "snakemake …/c"


def test_whether_it_is_of_what_lies_beside_it(origin: dict[str, Any], tmp_path: Path) -> None:
    beside = (tmp_path / "config.json", tmp_path / "cells.csv")
    assert provenance.doubt(origin, *beside) == ""
    assert provenance.doubt(None, *beside).startswith("there is no provenance.json: the command")
    (tmp_path / "cells.csv").write_text("another")
    assert provenance.mismatched(origin, *beside) == [("cells_sha256", "cells.csv")]
    assert "names another cells.csv, changed since" in provenance.doubt(origin, *beside)
    assert "another config.json and cells.csv" in provenance.doubt({}, *beside)


def test_what_was_written_is_read(origin: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "provenance.json"
    assert provenance.read(path) is None
    path.write_text(json.dumps(origin))
    assert provenance.read(path) == origin
    for content in ("[]", "{"):
        path.write_text(content)
        with pytest.raises(PrunebenchError, match="is damaged"):
            provenance.read(path)


def test_differences() -> None:
    here = {"system": "A 1", "packages": {"numpy": "2", "scipy": "1", "new": "1"}}
    there = {"system": "B 1", "packages": {"numpy": "1", "scipy": "1", "old": "1"}}
    assert provenance.differences(there, here) == (
        ("system", "B 1", "A 1"), ("packages", "numpy 1", "numpy 2"),
    )  # fmt: skip
    assert provenance.differences(here, here) == ()
    assert provenance.differences(None, here) == ()


def test_the_hash_of_what_is_not_committed(tmp_path: Path) -> None:
    """In a repository of its own: none where it is clean, another for every other difference."""
    package = tmp_path / "prunebench"
    for room in ("storage", "text"):
        (package / room).mkdir(parents=True)
    for name in (
        "storage/provenance.py",
        "text/private.py",
        "storage/files.py",
        "storage/layout.py",
        "storage/links.py",
        "storage/shipped.py",
        "errors.py",
    ):
        shutil.copy(ROOT / "prunebench" / name, package / name)
    (package / "__init__.py").touch()
    (tmp_path / ".gitignore").write_text("__pycache__\n")

    def run(*command: str) -> str:
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    def found() -> str:
        code = (
            "from prunebench.storage import provenance as p;"
            " print(p.diff_hash(), p.software()['dirty'])"
        )
        return run(sys.executable, "-c", code)

    run("git", "init", "--quiet")
    run("git", "add", ".")
    run("git", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "--quiet", "-m", "x")
    assert found() == "None False"
    # beside the package, it changes no result
    for name in ("mine.yaml", "notes/new.py", "data/new"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    assert found() == "None False"
    new = package / "new.py"
    new.write_text("1")
    first = found()
    new.write_text("2")
    second = found()
    new.unlink()
    (package / "__init__.py").write_text("# changed\n")
    third = found()
    assert len({first, second, third}) == 3
    assert all(re.fullmatch("[0-9a-f]{64} True", text) for text in (first, second, third))


def test_the_commit_is_the_checkouts_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook of git, or an editor, may run this with variables of another repository."""
    ours = provenance._git("rev-parse", "HEAD")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    other = tmp_path / "other"
    for arguments in (["init", "-q", str(other)],
                      ["-C", str(other), "commit", "-q", "--allow-empty", "-m", "x"]):  # fmt: skip
        subprocess.run([*git, *arguments], check=True)
    for name, value in {
        "GIT_DIR": other / ".git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / "index",
        "GIT_OBJECT_DIRECTORY": other / ".git" / "objects",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    assert provenance._git("rev-parse", "HEAD") == ours
    inner = other / "unpacked"  # an archive of the code in somebody's repository has no commit
    inner.mkdir()
    monkeypatch.setattr(provenance, "_ROOT", inner)
    assert provenance._git("rev-parse", "HEAD") is None


def test_variables_that_change_sums_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    given = {
        "OMP_NUM_THREADS": "3", "MKL_CBWR": "AVX2", "CUBLAS_WORKSPACE_CONFIG": ":16:8",
        "NVIDIA_TF32_OVERRIDE": "0", "ATEN_CPU_CAPABILITY": "default", "PYTHONHASHSEED": "1",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1", "TORCH_EXTENSIONS_DIR": "/home/somebody/x",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    given |= {
        "LD_PRELOAD": "/scratch/me/libm.so", "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2",
        "NPY_DISABLE_CPU_FEATURES": "AVX2", "TORCH_HUB_TOKEN": "secret",
    }  # fmt: skip
    for name in ("GLIBC_TUNABLES", "NPY_DISABLE_CPU_FEATURES", "LD_PRELOAD", "TORCH_HUB_TOKEN"):
        monkeypatch.setenv(name, given[name])
    monkeypatch.setenv("PASSWORD", "secret")
    found = provenance.environment()
    monkeypatch.delenv("LD_PRELOAD")  # of processes that are started below
    found["variables"].pop("LD_PRELOAD", None)
    given.pop("LD_PRELOAD")
    expected = {**given, "TORCH_EXTENSIONS_DIR": "~/x", "TORCH_HUB_TOKEN": "***"}
    assert {name: found["variables"].get(name) for name in given} == expected
    assert "PASSWORD" not in found["variables"]
    assert provenance.differences(found, found) == ()
    # sklearn's import and every job set these: no difference between two machines
    monkeypatch.setenv("KMP_INIT_AT_FORK", "FALSE")
    assert provenance.environment()["variables"] == found["variables"]
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    assert "CUBLAS_WORKSPACE_CONFIG" not in provenance.environment()["variables"]
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setenv("MKL_CBWR", "AVX512")
    monkeypatch.delenv("PYTHONHASHSEED")
    assert provenance.differences(found, provenance.environment()) == (
        ("variables", "MKL_CBWR=AVX2, PYTHONHASHSEED=1", "MKL_CBWR=AVX512, PYTHONHASHSEED="),
    )
    assert provenance.differences({"system": found["system"]}, found) == ()  # of earlier versions


def test_what_others_wrote_commands_no_terminal_and_is_of_its_types(tmp_path: Path) -> None:
    path = tmp_path / "provenance.json"
    path.write_text(json.dumps({"system": "\x1b[2Jgone", "packages": {"a\x07": "1\u202e"}}))
    stored = provenance.read(path)
    assert stored is not None
    assert stored == {"system": "\\x1b[2Jgone", "packages": {"a\\x07": "1\\u202e"}}
    for wrong in (
        {"machine": []}, {"machine": {"processor": 3}}, {"packages": "x"}, {"command": {}},
        {"cells": 3}, {"threads": {}}, {"data_hashes": ["x"]},
    ):  # fmt: skip
        path.write_text(json.dumps(wrong))
        with pytest.raises(PrunebenchError, match=r"provenance\.json is damaged: "):
            provenance.read(path)
