"""``--json`` gives one document on standard output, however a command ends: of every command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from prunebench import cli
from prunebench.cli.documents import OPTION
from prunebench.errors import PrunebenchError
from tests.conftest import ROOT

GROUP: Any = typer.main.get_command(cli.app)
REFERENCE = ROOT / "results" / "reference" / "default"
# words with which a command that needs some begins to work
ARGUMENTS = {
    "check-method": ["magnitude"], "analyse": ["t.csv"], "race": ["x", "--replay"],
    "import": ["t.csv", "--as", "x"], "compare": ["x", "y"], "anchors": ["x"], "export": ["x"],
    "verify": ["x"], "summary": ["x"], "status": ["x"], "check-files": ["x"],
    "submit check": ["x"], "compress": ["--network", "resnet20", "--data", "d.yaml"],
}  # fmt: skip


def with_json(group: Any, *above: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from with_json(command, *above, name)
        elif any(OPTION in parameter.opts for parameter in command.params):
            yield (*above, name)


COMMANDS = [" ".join(names) for names in with_json(GROUP)]


def test_there_are_such_commands() -> None:
    assert {"summary", "status", "verify", "submit check", "check-method"} <= set(COMMANDS)
    assert set(ARGUMENTS) <= set(COMMANDS)


def document(output: str) -> Any:
    """The one document, of JSON alone: no NaN."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    assert output.endswith("\n")
    return json.loads(output, parse_constant=refuse)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("wrong", [["--no-such-option"], ["a", "b", "c", "d"], ["--help-me"]])
@pytest.mark.parametrize("first", [True, False])
def test_of_bad_arguments(command: str, wrong: list[str], first: bool) -> None:
    words = [OPTION, *wrong] if first else [*wrong, OPTION]
    result = CliRunner().invoke(cli.app, [*command.split(), *words])
    assert result.exit_code == 2
    assert list(document(result.stdout)) == ["error"]
    assert document(result.stdout)["error"]


def test_of_a_bad_option_before_the_command() -> None:
    result = CliRunner().invoke(cli.app, ["--no-such", "status", "x", OPTION])
    assert list(document(result.stdout)) == ["error"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PrunebenchError("why"), "why"),
        (PermissionError(13, "why", "a/file"), "a/file: why"),
        (SystemExit(0), "ended the process"),
        (KeyError("why"), "why"),
        (KeyboardInterrupt(), "interrupted"),
        (RecursionError(), "RecursionError"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_of_whatever_ends_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    command: str, error: BaseException, told: str,
) -> None:  # fmt: skip
    """Its work is to end so: of a command, that is its callback's."""
    monkeypatch.chdir(tmp_path)
    found: Any = GROUP
    for name in command.split():
        found = found.commands[name]

    def ends(*_: Any, **__: Any) -> None:
        print("printed by a library")
        raise error

    monkeypatch.setattr(found, "callback", ends)
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        GROUP.main([*command.split(), *ARGUMENTS.get(command, []), OPTION])
    assert getattr(caught.value, "code", 1) != 0
    out, err = capsys.readouterr()
    assert told in document(out)["error"]
    assert "printed by a library" in err


@pytest.mark.parametrize("command", sorted({*ARGUMENTS} - {"check-method"}))
def test_of_files_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.app, [*command.split(), *ARGUMENTS[command], OPTION])
    assert result.exit_code != 0
    assert list(document(result.stdout)) == ["error"]


@pytest.mark.parametrize(
    "command",
    [
        "methods", "measures", "kinds", f"summary {REFERENCE}", f"status {REFERENCE}",
        f"verify {REFERENCE} --tables", f"compare {REFERENCE} {REFERENCE}",
        f"race {REFERENCE} --replay --orders 1", f"analyse {REFERENCE / 'cells.csv'}",
    ],
)  # fmt: skip
def test_of_a_command_that_does_its_work(command: str) -> None:
    result = CliRunner().invoke(cli.app, [*command.split(), OPTION])
    found = document(result.stdout)
    assert "error" not in found, found


def python(what: str, folder: Path) -> subprocess.Popen[str]:
    """The program, with a command that does what it is told instead of its work."""
    code = (
        "import os, signal, sys, time; from prunebench import __main__, cli;"
        " from prunebench.report import terminal_summary as report;"
        " from prunebench.cli import results_commands as commands;"
        f" commands.cells_of = lambda path: exec({what!r});"
        " sys.argv[1:] = ['summary', 'x', '--json']; __main__.main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("os._exit(0)", 1), ("os.kill(os.getpid(), signal.SIGKILL)", -9), ("1 / 0", 1),
        ("os.write(1, b'past Python'); print('printed'); os._exit(0)", 1),
    ],
)  # fmt: skip
def test_of_a_process_that_ends(tmp_path: Path, what: str, status: int) -> None:
    process = python(what, tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, err
    assert list(document(out)) == ["error"]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_of_a_signal(tmp_path: Path, number: signal.Signals, status: int) -> None:
    process = python("open('ready', 'w').close(); time.sleep(60)", tmp_path)
    until = time.monotonic() + 120
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == status
    assert list(document(out)) == ["error"]
