"""``init``, ``workflow``, ``--version``: from an empty folder to Snakemake's command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunebench import __version__, cli
from prunebench.errors import PrunebenchError
from prunebench.experiment import before_work, config
from prunebench.experiment.new_study import write_study
from prunebench.runner.workflow import arguments
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


QUIET = ["--quiet", "rules", "host", "progress"]


@pytest.mark.parametrize(
    ("options", "cores"),
    [
        ([], True), (["--dry-run"], True), (["--cores", "2"], False), (["--cores=2"], False),
        (["-c2"], False), (["-j", "2"], False), (["--profile", "x"], False), (["--config"], True),
    ],
)  # fmt: skip
def test_all_cores_are_used_unless_something_else_is_said(options: list[str], cores: bool) -> None:
    profile = ["--workflow-profile", str(ROOT / "profiles" / "default")]
    snakefile = ["--snakefile", str(ROOT / "Snakefile")]
    # Snakemake counts where no job does
    quiet = [] if {"--dry-run", "--profile"} & {*options} else QUIET
    given = [*snakefile, *profile, *(["--cores", "all"] if cores else []), *quiet]
    assert arguments(options) == [*given, *options]
    assert arguments(["x.yaml", *options]) == ["--configfile", "x.yaml", *given, *options]


@pytest.mark.parametrize("option", ["--configfile", "--configfile=y.yaml", "--configfiles"])
def test_two_configurations_are_refused(option: str) -> None:
    with pytest.raises(PrunebenchError, match="name one configuration"):
        arguments(["x.yaml", option, "y.yaml"])
    assert arguments([option, "y.yaml"])[-2:] == [option, "y.yaml"]


def test_a_configuration_that_stands_first_is_read_before_snakemake_does() -> None:
    Path("evil.yaml").write_text("__use_yte__: true\n")
    with pytest.raises(PrunebenchError, match=r"evil\.yaml: .*template"):
        CliRunner().invoke(cli.app, ["workflow", "evil.yaml", "-n"], catch_exceptions=False)


@pytest.mark.parametrize("where", ["profiles/default", "default"])
def test_a_profile_that_lies_in_the_current_folder_is_not_read(where: str) -> None:
    """Snakemake takes it where none is named, and runs its templates."""
    from snakemake import cli as snakemake

    folder = Path(where)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        "__use_yte__: true\n"
        "__definitions__:\n  - import pathlib; pathlib.Path('ran').touch()\n"
        "latency-wait: 77\n"
    )
    _, given = snakemake.parse_args(arguments(["--dry-run"]))
    assert not Path("ran").exists()
    assert given.latency_wait != 77
    _, given = snakemake.parse_args(arguments(["--dry-run", "--workflow-profile", where]))
    assert given.latency_wait == 77  # named in plain sight
