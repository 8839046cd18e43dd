"""What an author reads who checks a method of their own: their code, their error, and a status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prunebench import cli
from prunebench.experiment import settings
from prunebench.experiment.config import method
from prunebench.pruning import contract
from prunebench.runner import checked_method
from prunebench.runner.own_process import Unfinished

CODE = """import torch

def flat(view):
    return {name: weight.abs().flatten() for name, weight in view.weights.items()}

def negative_logarithm(view):
    return {name: torch.log(weight) for name, weight in view.weights.items()}

def helper(view):
    return view.weight

def misspelt(view):
    return {name: weight.abs() for name, weight in helper(view).items()}

def wrong_call(view):
    return torch.nn.functional.linear(torch.ones(2, 3), torch.ones(2, 2))

def right(view):
    return {name: weight.abs() for name, weight in view.weights.items()}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The code, which is called in this process: what a process apart does has its own tests."""

    def here(call: str, given: dict[str, Any]) -> Any:
        assert call.endswith("checked_method:results_of")
        return checked_method.results_of(given)

    monkeypatch.setattr(checked_method, "apart", here)
    monkeypatch.setattr(contract, "standard_networks", lambda: {"mlp": contract.perceptron})
    path = tmp_path / "own.py"
    path.write_text(CODE)
    return path


def own_method(file: Path, name: str) -> settings.Method:
    return method({"name": "mine", "criterion": f"{file}:{name}"})


@pytest.mark.parametrize(
    ("name", "why"), [("flat", "scores of shape (12288,)"), ("negative_logarithm", "gave NaN")]
)
def test_where_nothing_passed_the_status_is_1(file: Path, name: str, why: str) -> None:
    done = CliRunner().invoke(cli.app, ["check-method", f"{file}:{name}"])
    assert done.exit_code == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("0 checks passed, 0 failed, 1 not run")
    assert why in last


def test_where_all_passed_the_status_is_0(file: Path) -> None:
    done = CliRunner().invoke(cli.app, ["check-method", f"{file}:right"])
    assert done.exit_code == 0, done.output
    assert " 0 failed, 0 not run" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "functions", "error"),
    [
        ("misspelt", ["misspelt", "helper"], "AttributeError: 'View' object has no attribute"),
        ("wrong_call", ["wrong_call"], "RuntimeError: "),
    ],
)
def test_an_error_shows_the_frames_of_its_author_alone(
    file: Path, capsys: pytest.CaptureFixture[str], name: str, functions: list[str], error: str
) -> None:
    with pytest.raises(Unfinished) as caught:
        checked_method.check_contract(own_method(file, name))
    assert str(caught.value).startswith(f"the method's own code raised {error}")
    places = [line for line in capsys.readouterr().err.splitlines() if line.startswith("  File")]
    assert [line.rpartition(" in ")[2] for line in places] == functions
    assert all(f'"{file}"' in line for line in places)


def test_the_last_line_names_what_was_checked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: Any) -> Any:
        raise Unfinished("its process ended before it was done, with status 0")

    monkeypatch.setattr(checked_method, "apart", ended)
    done = CliRunner().invoke(cli.app, ["check-method", f"{file}:right"])
    assert (
        str(done.exception) == f"{file}:right: its process ended before it was done, with status 0"
    )


def test_a_bug_of_the_package_is_no_fault_of_the_author(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(contract, "check", broken)
    with pytest.raises(ZeroDivisionError):
        checked_method.check_contract(own_method(file, "right"))
