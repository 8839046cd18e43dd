"""``init``, ``workflow``, ``--version``: from an empty folder to Snakemake's command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunebench import __version__, cli
from prunebench.errors import PrunebenchError
from prunebench.experiment import before_work, config
from prunebench.experiment.new_study import write_study
from prunebench.runner.workflow import command
from prunebench.storage.shipped import configurations
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_version() -> None:
    assert invoke("--version") == f"prunebench {__version__}\n"


def test_a_new_study_is_commented_and_can_be_run() -> None:
    told = invoke("init", "my-study")
    assert "run my-study.yaml" in told
    experiment = config.load("my-study.yaml")
    before_work.check(experiment)
    assert experiment.experiment == "my-study"
    comments = [line for line in Path("my-study.yaml").read_text().splitlines() if "#" in line]
    assert len(comments) > 15


@pytest.mark.parametrize("like", configurations())
def test_a_new_study_may_be_like_one_that_ships(like: str) -> None:
    written = write_study("mine", like)
    shipped = config.load(ROOT / "config" / f"{like}.yaml")
    assert config.load(written) == shipped.model_copy(update={"experiment": "mine"})
    assert "schema.json" not in written.read_text()


@pytest.mark.parametrize("name", ["../out", "a b", "x\ny", "", "-x"])
def test_a_name_that_no_experiment_can_have_writes_nothing(name: str, empty_folder: Path) -> None:
    with pytest.raises(PrunebenchError, match="experiment"):
        write_study(name)
    assert not list(empty_folder.rglob("*"))


def test_a_file_is_never_written_over() -> None:
    Path("mine.yaml").write_text("mine")
    with pytest.raises(PrunebenchError, match=r"mine\.yaml is there already"):
        write_study("mine")
    assert Path("mine.yaml").read_text() == "mine"
    with pytest.raises(PrunebenchError, match="did you mean 'smoke'"):
        write_study("other", "smok")


@pytest.mark.parametrize(
    ("options", "cores"),
    [
        ([], True), (["--dry-run"], True), (["--cores", "2"], False), (["--cores=2"], False),
        (["-c2"], False), (["-j", "2"], False), (["--profile", "x"], False), (["--config"], True),
    ],
)  # fmt: skip
def test_all_cores_are_used_unless_something_else_is_said(options: list[str], cores: bool) -> None:
    called = command(Path("x.yaml"), options)
    assert called[:3] == [sys.executable, "-m", "snakemake"]
    assert called[called.index("--configfile") + 1] == "x.yaml"
    assert called[called.index("--snakefile") + 1] == str(ROOT / "Snakefile")
    assert (called[-len(options) - 2 : len(called) - len(options)] == ["--cores", "all"]) == cores
    assert called[len(called) - len(options) :] == options


@pytest.mark.parametrize("option", ["--configfile", "--configfile=y", "-s", "-sx", "--snakefile"])
def test_another_configuration_or_workflow_is_refused(option: str) -> None:
    with pytest.raises(PrunebenchError, match="takes one configuration"):
        command(Path("x.yaml"), [option, "y.yaml"])


def test_snakemake_is_called_with_a_configuration_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: called.append(arguments))
    monkeypatch.setenv("PRUNEBENCH_COMMAND", "")
    write_study("mine")
    invoke("workflow", "mine.yaml", "--dry-run", "-n")
    assert called == [command(Path("mine.yaml"), ["--dry-run", "-n"])]
    Path("evil.yaml").write_text("__use_yte__: true\n")
    with pytest.raises(PrunebenchError, match="__use_yte__"):
        CliRunner().invoke(cli.app, ["workflow", "evil.yaml"], catch_exceptions=False)
    assert len(called) == 1
