"""Code outside the package is found wherever a configuration can name it, without running it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import config, foreign_code
from prunebench.experiment.sources import PACKAGE
from tests.plans import GRID

TRAP = "open('sprung', 'w')\n"
CODE = f"import helper\n{TRAP}\ndef score(view): ...\n\n\ndef make(): ...\n"
OWN: dict[str, Callable[[str], dict[str, Any]]] = {
    "a criterion": lambda name: {"methods": [{"name": "x", "criterion": f"{name}:score"}]},
    "a recovery": lambda name: {"methods": [{"name": "magnitude", "recovery": f"{name}:score"}]},
    "a first": lambda name: {
        "methods": [{"name": "magnitude", "first": {"criterion": f"{name}:score"}}]
    },
    "a network": lambda name: {"models": [{"name": "x", "architecture": f"{name}:make"}]},
    "data": lambda name: {"tasks": [{"name": "x", "source": "own", "path": f"{name}:make"}]},
    "a kind": lambda name: {"tasks": [{"name": "digits", "kind": f"{name}:make"}]},
    "a probe": lambda name: {"probes": {"run": [f"{name}:score"]}},
    "a sensitivity": lambda name: {
        "probes": {"sensitivity": [{"name": "x", "criterion": f"{name}:score"}]}
    },
    "an engine": lambda name: {"latency": {"engines": [f"{name}:score"]}},
}


@pytest.mark.parametrize("what", OWN)
def test_it_is_found_with_its_helpers(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(CODE)
    Path("helper.py").write_text(TRAP)
    experiment = config.parse({**GRID, **OWN[what](f"{tmp_path}/mine.py")})
    found = foreign_code.of_experiment(experiment)
    assert set(found) == {tmp_path / "mine.py", tmp_path / "helper.py"}
    assert not Path("sprung").exists()


def test_a_module_in_a_folder_of_results_is_code_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``python -m`` finds modules in the working directory, also in folders without __init__."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    place = Path("theirs")
    place.mkdir()
    (place / "evil.py").write_text(f"{TRAP}def score(view): ...\n")
    given: dict[str, Any] = {**GRID, "methods": [{"name": "x", "criterion": "theirs.evil:score"}]}
    [found] = foreign_code.of_experiment(config.parse(given))
    assert found.samefile(place / "evil.py")
    assert not Path("sprung").exists()
    (place / "deep").mkdir()
    (place / "deep" / "evil.py").write_text((place / "evil.py").read_text())
    given["methods"][0]["criterion"] = "theirs.deep.evil:score"
    with pytest.raises(PrunebenchError, match="no such Python module"):
        config.parse(given)


def test_what_ships_is_none_unless_it_is_named_by_its_file() -> None:
    assert foreign_code.of_experiment(config.parse(GRID)) == []
    ours = PACKAGE / "pruning" / "criteria" / "magnitude.py"
    given = {**GRID, "methods": [{"name": "x", "criterion": f"{ours}:magnitude"}]}
    assert foreign_code.of_experiment(config.parse(given)) == [ours]


def test_what_the_hub_or_timm_would_send_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "model").mkdir()
    models = [
        "seed-cnn", {"name": "a", "architecture": "resnet18", "pretrained": True},
        {"name": "b", "architecture": "hf:theirs/net@v1"},
        {"name": "c", "architecture": f"hf:{tmp_path}/model"},
        {"name": "d", "architecture": f"{tmp_path}/mine.py:make"},
    ]  # fmt: skip
    experiment = config.parse({**GRID, "models": models})
    assert foreign_code.fetched(experiment) == ["resnet18", "hf:theirs/net@v1"]
    task = experiment.tasks[0].model_copy(update={"tokens": "hf:theirs/words"})
    alone = experiment.model_copy(update={"tasks": [task], "models": experiment.models[:1]})
    assert foreign_code.fetched(alone) == ["hf:theirs/words"]
    assert foreign_code.fetched(config.parse(GRID)) == []
