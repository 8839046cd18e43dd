"""The contract over every preset, and that it notices what breaks it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from prunebench.experiment import config
from prunebench.experiment.part_kinds import Criterion
from prunebench.pruning import contract
from prunebench.pruning.contract import BROKEN, PASSED, REFUSED, ModelAndBatches

NETWORKS: dict[str, Callable[[], ModelAndBatches]] = {
    name: partial(contract.network, name)
    for name in ("test_resnet", "test_convnext", "test_efficientnet", "test_vit", "seed-cnn")
}
PRESETS = sorted(config.presets("methods"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", PRESETS)
def test_preset_keeps_the_contract(name: str, network: str) -> None:
    findings = contract.check(config.method(name), {network: NETWORKS[network]})
    assert findings
    broken = [finding for finding in findings if finding.outcome == BROKEN]
    assert not broken
    assert all(finding.detail for finding in findings if finding.outcome == REFUSED)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_works_somewhere(name: str) -> None:
    # one that is refused everywhere would pass above
    method = config.method(name)
    if "training" in method.spec(Criterion).traits.needs:
        pytest.skip("scores a network in training")
    network = "test_vit" if method.pattern.name == "block" else "test_resnet"
    (first, *_) = contract.check(method, {network: NETWORKS[network]})
    assert first.outcome == PASSED, first.detail


BAD = {
    "unseeded": "import torch\ndef score(view):\n"
    "    draw = torch.Generator()\n    draw.seed()\n"
    "    return {n: torch.rand(w.shape, generator=draw) for n, w in view.weights.items()}\n",
    "writes": "def score(view):\n    for layer in view.layers.values():\n"
    "        layer.weight.data += 1\n"
    "    return {name: weight.abs() for name, weight in view.weights.items()}\n",
    "statistics": "def score(view):\n    for inputs, _ in view.batches:\n"
    "        view.model.train()(inputs)\n"
    "    return {name: weight.abs() for name, weight in view.weights.items()}\n",
}


@pytest.mark.parametrize(
    ("kind", "check"),
    [("unseeded", "same seed"), ("writes", "touches"), ("statistics", "touches")],
)
def test_a_bad_method_is_noticed(kind: str, check: str, tmp_path: Path) -> None:
    file = tmp_path / f"{kind}.py"
    file.write_text(BAD[kind])
    method = config.method({"name": "bad", "criterion": f"{file}:score"})
    findings = contract.check(method, {"test_resnet": NETWORKS["test_resnet"]})
    assert any(f.outcome == BROKEN and f.check.startswith(check) for f in findings)


def test_a_refusal_says_why(tmp_path: Path) -> None:
    file = tmp_path / "nan.py"
    file.write_text(
        "def score(view):\n    return {n: w * float('nan') for n, w in view.weights.items()}\n"
    )
    method = config.method({"name": "nan", "criterion": f"{file}:score"})
    (finding,) = contract.check(method, {"test_resnet": NETWORKS["test_resnet"]})
    assert finding.outcome == REFUSED
    assert "NaN" in finding.detail
