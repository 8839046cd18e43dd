"""The command line: it documents itself, and what a user can mend is one line and status 2."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
from typer.testing import CliRunner

from prunebench import cli
from prunebench.cli import page_commands
from prunebench.cli.app import EXITS, GROUPS
from prunebench.experiment import catalog, config
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.storage.files import write_json
from prunebench.storage.layout import STEPS

ROOT = Path(__file__).resolve().parents[2]
GROUP: Any = typer.main.get_command(cli.app)
COMMANDS = sorted(GROUP.commands)
GRID = {
    "experiment": "tiny",
    "tasks": [{"name": "digits", "train": 60, "val": 40, "test": 50}],
    "regimes": ["clean"],
    "models": ["seed-cnn"],
    "seeds": [0],
    "methods": ["magnitude"],
    "sparsities": [0.5],
    "training": {"epochs": 1},
}


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), terminal_width=200)
    assert result.exit_code == 0, result.output
    return re.sub(r"\x1b\[[0-9;]*m", "", result.output)


@pytest.mark.parametrize("status", [0, 3, None])
def test_a_command_that_code_of_ones_own_ends_is_not_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int | None
) -> None:
    def ends(*_: Any, **__: Any) -> None:
        sys.exit(status)

    monkeypatch.setattr("prunebench.experiment.plan.plan_of", ends)
    told = refusal(monkeypatch, capsys, "status", "results/x")
    assert "ended the process (sys.exit): the command is not done" in told


def test_a_reader_that_has_seen_enough_of_the_help_is_no_fault() -> None:
    helped = subprocess.Popen(
        [sys.executable, "-m", "prunebench", "check", "--help"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert helped.stdout is not None
    helped.stdout.close()  # as head does
    _, said = helped.communicate()
    assert said == ""


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    write_json("grid.yaml", GRID)
    return tmp_path / "grid.yaml"


def refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    """The one line on standard error with which a command ends with status 2."""
    monkeypatch.setattr(sys, "argv", ["prunebench", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    [line] = err.splitlines()
    assert line.startswith("error: ")
    return line


# -------------------------------------------------------------------------------- help


def test_help_names_every_command() -> None:
    text = invoke("--help")
    assert "does pruning reduce overfitting?" in text
    for name, command in GROUP.commands.items():
        assert command.hidden or re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_documents_it(name: str) -> None:
    text = " ".join(re.sub("[│╭╮╰╯─]", " ", invoke(name, "--help")).split())
    command = GROUP.commands[name]
    assert command.help
    assert " ".join(command.help.split()) in text
    for parameter in command.params:
        shown = parameter.opts[0] if parameter.param_type_name == "option" else parameter.name
        assert shown.casefold() in text.casefold()
        if parameter.param_type_name == "option":
            assert parameter.help, f"{name} {shown} says nothing"


def leaves() -> dict[str, Any]:
    """Every command that does something, those of groups included."""
    found = {}
    for name, command in GROUP.commands.items():
        inner = getattr(command, "commands", None)
        found |= (
            {f"{name} {sub}": each for sub, each in inner.items()} if inner else {name: command}
        )
    return found


@pytest.mark.parametrize("name", sorted(leaves()))
def test_help_teaches_by_examples_that_parse(name: str) -> None:
    epilog = leaves()[name].epilog
    examples = re.findall(r"Example: python -m prunebench (.*)", epilog)
    assert examples, name
    for line in examples:
        words = shlex.split(line)[len(name.split()) :]
        assert line.startswith(name)
        leaves()[name].make_context(name, words)  # raises where the example is no call of it
    assert re.search(r"^Reads .+\. Writes .+\.$", epilog, re.MULTILINE)


def test_help_has_one_table_of_exit_statuses() -> None:
    text = " ".join(invoke("--help").split())
    for status, meaning in EXITS.items():
        assert f"Exit status {status}: {meaning}." in text
    assert list(EXITS) == [0, 1, 2, 130]


def ending(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "prunebench", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_exit_statuses_are_as_documented(grid: Path) -> None:
    assert ending("methods").returncode == 0
    for wrong in (("status", "results/none"), ("no-such-command",), ("tables",)):
        done = ending(*wrong)
        assert (done.returncode, done.stdout) == (2, ""), wrong
    table = ROOT / "results" / "reference" / "default" / "cells.csv"
    other = grid.parent / "other.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    other.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    assert ending("compare", str(table), str(table)).returncode == 0
    assert ending("compare", str(table), str(other)).returncode == 1


def test_an_interrupted_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("prunebench.experiment.catalog.method_rows", interrupted)
    monkeypatch.setattr(sys, "argv", ["prunebench", "methods", "--json"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 130


def test_colours_are_for_terminals_that_want_them() -> None:
    assert "\x1b[" not in ending("--help").stdout
    code = (
        "import os, pty, sys\n"
        "status = pty.spawn([sys.executable, '-m', 'prunebench', 'status', '--help'])\n"
    )

    def on_a_terminal(**environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
            env={**os.environ, "TERM": "xterm-256color", **environment}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "Usage" in done.stdout
        return done.stdout

    assert re.search(r"\x1b\[[0-9;]*3[0-7]m", on_a_terminal())
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", on_a_terminal(NO_COLOR="1"))


@pytest.mark.parametrize(("former", "name"), [("kit", "paper"), ("crate", "ro-crate")])
def test_a_former_name_goes_on_with_a_notice(
    former: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Path] = []
    monkeypatch.setattr(page_commands, name.replace("-", "_"), called.append)
    result = CliRunner().invoke(cli.app, [former, "results/default"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{former} is now called {name}" in result.stderr
    assert called == [Path("results/default")]
    assert f" {former} " not in invoke("--help")


def test_a_summary_for_programs(tmp_path: Path) -> None:
    shutil.copy(ROOT / "results" / "reference" / "default" / "cells.csv", tmp_path)
    found = json.loads(invoke("summary", str(tmp_path), "--json"))
    assert (found["experiment"], found["cells"]) == ("default", 576)
    assert {row["method"] for row in found["leaderboard"]} >= {"dense", "magnitude", "random"}
    assert found["places"]["records"] == str(tmp_path / "cells.csv")


def test_every_rule_of_the_workflow_has_its_command() -> None:
    rules = "".join(path.read_text() for path in (ROOT / "workflows").glob("*.smk"))
    used = set(re.findall(r'" ?prunebench ([\w-]+) ', rules))
    assert used <= set(COMMANDS)
    steps = {{"kit": "paper", "crate": "ro-crate"}.get(step, step) for step in STEPS}
    assert {"prepare", "baselines", "curves", "measure", *steps} <= used
    assert "check" in COMMANDS  # for people: each baselines job checks every model itself


@pytest.mark.parametrize("name", [name for name in STEPS if name != "track"])
def test_the_command_of_a_step_says_what_it_writes(name: str) -> None:
    _, _, writes = GROUP.commands[name].epilog.partition("Writes ")
    for path in (STEPS[name].output, *STEPS[name].files):
        assert path.partition("/")[0].partition("*")[0] in writes


# ------------------------------------------------------------------- methods and schema


def test_methods_are_listed_for_people_and_programs() -> None:
    rows = json.loads(invoke("methods", "--json"))
    assert [row["name"] for row in rows] == list(config.presets("methods"))
    keys = ["name", "family", "criterion", "pattern", "allocation", "schedule", "recovery", "paper"]
    for row in rows:
        assert set(keys) <= set(row)
        assert all(isinstance(value, str) for value in row.values())
        assert row["description"]
        method = config.method(row["name"])
        assert (row["family"], row["criterion"]) == (method.family, method.criterion.name)
    table = invoke("methods").splitlines()
    assert len(table) == len(rows) + 2
    assert all(row["name"] in line for row, line in zip(rows, table[2:], strict=True))


def test_the_schema_that_editors_read_is_the_one_printed() -> None:
    """Where this fails: python -m prunebench schema > config/schema.json"""
    assert (ROOT / "config" / "schema.json").read_text() == invoke("schema")


def test_every_setting_is_described_in_the_schema() -> None:
    schema = catalog.json_schema()
    lists = ("tasks", "regimes", "models", "methods")
    entries = [schema["properties"][kind]["items"]["anyOf"][1] for kind in lists]
    for model in (schema, *schema["$defs"].values(), *entries):
        for name, setting in model.get("properties", {}).items():
            text = setting.get("description", "")
            assert text[:1].isupper(), f"{model['title']}.{name}: {text!r}"
            assert text.endswith((".", "…")), f"{model['title']}.{name}: {text!r}"


def test_the_schema_accepts_what_ships_and_refuses_what_is_refused() -> None:
    schema = catalog.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    folder = ROOT / "config"
    for path in folder.rglob("*.yaml"):
        up = "../" * (len(path.relative_to(folder).parts) - 1)
        assert f"# yaml-language-server: $schema={up}schema.json" in path.read_text()
        written = read_yaml(path)
        validator.validate(written)
        validator.validate(json.loads(config.parse(written).model_dump_json()))
    for fault in (
        {"sparsities": [1.0]}, {"seeds": [-1]}, {"seed": [0]}, {"methods": ["magnitud"]},
        {"tasks": [{"name": "digits", "imagesize": 8}]}, {"training": {"epoch": 1}},
        {"models": [{"name": "seed-cnn", "training": {"epoch": 1}}]}, {"experiment": "../x"},
        {"methods": [{"name": "x", "base": "inp"}]},
    ):  # fmt: skip
        assert not validator.is_valid({**GRID, **fault}), fault


# ---------------------------------------------------------------- what the user can mend


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"methods": ["magnitud"]}, "methods: unknown method 'magnitud'; did you mean 'magnitude'"),
        ({"tasks": ["digts"]}, "tasks: unknown task 'digts'; did you mean 'digits'"),
        ({"sparsity": [0.5]}, "sparsity: unknown key; did you mean 'sparsities'"),
        ({"sparsities": [1.5]}, "sparsities[0]: input should be less than 1 (found 1.5)"),
        ({"tasks": [{"name": "digits", "path": "no/such"}]}, "path 'no/such' does not exist"),
    ],
)
def test_a_configuration_that_is_wrong(
    grid: Path, monkeypatch: Any, capsys: Any, changes: dict[str, Any], reason: str
) -> None:
    write_json(grid, {**GRID, **changes})
    line = refusal(monkeypatch, capsys, "check", "grid.yaml")
    assert line.startswith("error: grid.yaml: ")
    assert reason in line


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("check", "none.yaml"), "none.yaml: No such file"),
        (("prepare", "grid.yaml", "digts"), "no task 'digts'; did you mean 'digits'?"),
        (("download", "grid.yaml", "x"), "no task 'x'; known: digits"),
        (
            ("measure", "grid.yaml", "digits-1"),
            "no measures job 'digits-1'; did you mean 'digits-0'",
        ),
        (("curves", "grid.yaml", "x"), "no curves job 'x'"),
        (("collect", "grid.yaml", "none.txt"), "none.txt: No such file"),
        (("status", "results/none"), "config.json: No such file"),
        (("tables", "results/none"), "cells.csv"),
        (("summary", "results/none"), "cells.csv"),
        (("run", "grid.yaml"), "cannot write results/tiny/"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_something_is_missing_or_cannot_be_written(
    grid: Path, monkeypatch: Any, capsys: Any, arguments: tuple[str, ...], reason: str
) -> None:
    if arguments[0] == "run":
        (grid.parent / "results").write_text("a file where the results should lie")
    assert reason in refusal(monkeypatch, capsys, *arguments)


def test_prepared_data_that_are_damaged(grid: Path, monkeypatch: Any, capsys: Any) -> None:
    invoke("prepare", "grid.yaml", "digits")
    plan = Plan(config.load(grid))
    path = prepared(plan.experiment.tasks[0])
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    line = refusal(monkeypatch, capsys, "baselines", "grid.yaml", "digits-0")
    assert f"{path} is damaged or truncated" in line
    path.with_name(f"{path.name}.json").write_text("{")
    assert "is damaged" in refusal(monkeypatch, capsys, "baselines", "grid.yaml", "digits-0")
    invoke("check", "grid.yaml")  # prepares them again
    assert path.read_bytes() == content


def test_the_state_of_a_grid(grid: Path) -> None:
    Plan(config.load(grid)).write()
    text = "tiny: 0 of 2 cells done, 0 failed, 2 missing\n"
    assert invoke("status", "results/tiny").startswith(text)
    found = json.loads(invoke("status", "--json", "results/tiny"))
    counted = {key: found[key] for key in ("done", "total", "missing", "failed", "running")}
    assert counted == {"done": 0, "total": 2, "missing": 2, "failed": 0, "running": 0}


def test_every_command_has_a_group_and_run_comes_first() -> None:
    whole = GROUP
    names = [name for name in whole.list_commands(None) if not whole.commands[name].hidden]
    groups = [whole.commands[name].rich_help_panel for name in names]
    assert names[0] == "run"
    assert list(dict.fromkeys(groups)) == list(GROUPS)
    assert "curves" in names[groups.index(GROUPS[-1]) :]
