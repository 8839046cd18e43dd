"""The contract over every preset, and that it notices what breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from prunebench.experiment import config
from prunebench.experiment.part_kinds import Allocation, Criterion
from prunebench.experiment.settings import Method
from prunebench.pruning import contract
from prunebench.pruning.contract import BROKEN, PASSED, REFUSED, CheckResult, ModelAndBatches

# pixels of a side; each network is built once: the contract is checked on copies
SIDES = {
    "test_resnet": 32, "test_convnext": 32, "test_efficientnet": 32, "test_vit": 32, "seed-cnn": 16,
}  # fmt: skip
NETWORKS: dict[str, Callable[[], ModelAndBatches]] = {
    name: cache(partial(contract.network, name, side)) for name, side in SIDES.items()
}
MOST_ROUNDS = 10  # of scoring on the way to a sparsity: a hundred keep the contract as ten do


def what_prunes(method: Method) -> str:
    """All of a method that the contract is about: how it trains is not."""
    parts = method.model_dump_json(include={"criterion", "pattern", "allocation", "first"})
    rounds = method.schedule.parameters.get("rounds", 1)
    return f"{parts} {rounds} {method.sparsities([0.5, 0.9])} {method.nested} {method.outcome}"


PRESETS = sorted(
    {what_prunes(m): m.name for m in map(config.method, config.presets("methods"))}.values()
)


def tries(name: str) -> bool:
    return config.method(name).spec(Allocation).traits.tries


def quick(name: str) -> Method:
    """The preset, scored in few rounds; where it tries networks, at few levels and few times."""
    method = config.method(name)
    if method.schedule.parameters.get("rounds", 1) > MOST_ROUNDS:
        parameters = {**method.schedule.parameters, "rounds": MOST_ROUNDS}
        schedule = method.schedule.model_copy(update={"parameters": parameters})
        method = method.model_copy(update={"schedule": schedule})
    few = {"rate": 0.95, "evaluations": 2}
    given = {**method.allocation.parameters, **few} if tries(name) else {}
    known = {key: value for key, value in given.items() if key in method.allocation.parameters}
    part = method.allocation.model_copy(update={"parameters": known}) if given else None
    return method.model_copy(update={"allocation": part}) if part else method


@cache
def results(name: str, network: str) -> list[CheckResult]:
    return contract.check(quick(name), {network: {**NETWORKS, "words": words}[network]})


# those that try networks take long: the tests of their own have more
@pytest.mark.parametrize(
    ("name", "network"),
    [(p, n) for p in PRESETS for n in NETWORKS if n == "seed-cnn" or not tries(p)],
)
def test_preset_keeps_the_contract(name: str, network: str) -> None:
    found = results(name, network)
    assert found
    assert not [result for result in found if result.outcome == BROKEN]
    assert all(result.detail for result in found if result.outcome == REFUSED)


class Words(nn.Module):
    """A classifier of the mean of its tokens' vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(300, 40), nn.Linear(40, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.table(tokens).mean(1))

    def get_classifier(self) -> nn.Module:
        return self.head


def words() -> contract.ModelAndBatches:
    """A network whose weights are those of an embedding, and a batch of tokens."""
    torch.manual_seed(0)
    return Words().eval(), [(torch.randint(300, (16, 5)), torch.randint(10, (16,)))]


@pytest.mark.parametrize("name", PRESETS)
def test_preset_works_somewhere(name: str) -> None:
    # one that is refused everywhere would pass above
    method = quick(name)
    if "training" in method.spec(Criterion).traits.needs:
        pytest.skip("scores a network in training")
    places = {"block": "test_vit", "row": "words", "column": "words"}
    usual = "seed-cnn" if tries(name) else "test_resnet"
    network = places.get(method.pattern.name, usual)
    first = results(name, network)[0]
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


def test_the_last_line_counts_and_says_what_comes_next() -> None:
    made = {
        outcome: contract.CheckResult("net", f"a check that {outcome}", outcome)
        for outcome in (contract.PASSED, REFUSED, BROKEN)
    }
    passed, refused, broken = made.values()
    said = contract.summary([passed, passed, refused], "magnitude")
    assert said.startswith("2 checks passed, 0 failed, 1 not run")
    assert said.endswith(
        "Next: methods: [magnitude] in a configuration, and prunebench check CONFIG"
    )
    said = contract.summary([passed, broken, refused], "magnitude")
    assert said.startswith("1 check passed, 1 failed, 1 not run")
    assert said.endswith("correct 'a check that broken' on net, the first that failed")
    said = contract.summary([replace(refused, detail="it has no filters"), refused], "magnitude")
    assert said.startswith("0 checks passed, 0 failed, 2 not run (refused with a reason): nothing")
    assert said.endswith("On net: it has no filters")
    assert "allowed" not in said
    assert contract.nothing_passed([refused, refused])
    assert not contract.nothing_passed([passed, refused])
    assert not contract.nothing_passed([broken, refused])
