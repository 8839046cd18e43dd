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
    "deep": (b"[" * 1500, "not valid YAML: too deep"),
    "deep-json": (b'{"a": ' * 5000 + b"1" + b"}" * 5000, "not valid YAML"),
    "list": (b"[a, b]\n", "must be a mapping"),
    "empty": (b"", "must be a mapping"),
}


@pytest.mark.parametrize("name", [*FILES, "missing", "pipe"])
def test_what_snakemake_is_not_to_read_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, told = FILES.get(name, (b"", "no such file"))
    path = tmp_path / f"{name}.yaml"
    if name == "pipe":
        os.mkfifo(path)
    elif name != "missing":
        path.write_bytes(content)
    with pytest.raises(PrunebenchError) as caught:
        read_plain(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_refuses_it_before_snakemake_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also as the second of several files, and where nothing would be run."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_bytes(FILES["template"][0])
    files = [str(ROOT / "config" / "smoke.yaml"), "mine.yaml"]
    done = CliRunner().invoke(cli.app, ["workflow", "-n", "--cores", "1", "--configfiles", *files])
    assert isinstance(done.exception, PrunebenchError), done.output
    assert str(done.exception).startswith("mine.yaml: '__use_yte__' makes it a template")
    assert not Path("sprung").exists()


def test_every_configuration_that_ships_is_plain() -> None:
    files = sorted((ROOT / "config").rglob("*.yaml"))
    files += sorted((ROOT / "prunebench" / "experiment" / "presets").glob("*.yaml"))
    assert len(files) > 10
    assert all(read_plain(file) for file in files)


def test_what_make_calls_reads_them_first() -> None:
    """And so do the container and the pod."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    assert sum("prunebench workflow" in line for line in lines) == 2
    by_hand = [line for line in lines if "snakemake" in line and "prunebench" not in line]
    assert all("--lint" in line or "snakefmt" in line for line in by_hand)
    assert '"prunebench", "workflow"' in (ROOT / "Containerfile").read_text()
