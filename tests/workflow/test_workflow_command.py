"""``prunebench workflow`` reads a configuration before Snakemake, which would run what it holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunebench import cli
from prunebench.errors import PrunebenchError
from prunebench.experiment.strict_yaml import read_plain
from tests.conftest import ROOT

FILES = {
    "template": (b"__use_yte__: true\n__definitions__:\n  - open('sprung', 'w')\n", "a template"),
    "merged": (b"<<: {__use_yte__: true}\nx: ?open('sprung', 'w')\n", "a template"),
    "tag": (b"x: !!python/object/apply:os.system ['touch sprung']\n", "not valid YAML"),
    "utf-16": ("experiment: x\n".encode("utf-16"), "not valid YAML"),
    "deep": (b"[" * 5000, "not valid YAML: too deep"),
    "deep-json": (b'{"a": ' * 5000 + b"1" + b"}" * 5000, "not valid YAML"),
    "list": (b"[a, b]\n", "must be a mapping"),
    "empty": (b"", "must be a mapping"),
}


@pytest.mark.parametrize("name", [*FILES, "missing", "pipe"])
def test_it_refuses_in_one_line_before_snakemake_reads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, told = FILES.get(name, (b"", "no such file"))
    path = Path(f"{name}.yaml")
    if name == "pipe":
        os.mkfifo(path)
    elif name != "missing":
        path.write_bytes(content)
    good = str(ROOT / "config" / "smoke.yaml")
    how = ["--configfiles", good, str(path)] if name == "template" else ["--configfile", str(path)]
    done = CliRunner().invoke(cli.app, ["workflow", "-n", "--cores", "1", *how])
    assert isinstance(done.exception, PrunebenchError), done.output
    assert str(done.exception).startswith(f"{name}.yaml: ")
    assert told in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not Path("sprung").exists()


def test_every_configuration_that_ships_is_plain() -> None:
    files = sorted((ROOT / "config").rglob("*.yaml"))
    files += sorted((ROOT / "prunebench" / "experiment" / "presets").glob("*.yaml"))
    assert len(files) > 10
    assert all(read_plain(file) for file in files)


def test_what_make_calls_reads_them_first() -> None:
    """And so do the container and the pod."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    runs = [line for line in lines if "--configfile" in line and "--lint" not in line]
    assert len(runs) == 2
    assert all("prunebench workflow" in line for line in runs)
    assert '"prunebench", "workflow"' in (ROOT / "Containerfile").read_text()
