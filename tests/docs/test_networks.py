"""The page of networks: an outcome of every module in every pattern, with a reason if it fails."""

from __future__ import annotations

import json

import pytest

from benchmarks import network_coverage as coverage
from tests.conftest import ROOT

PATTERNS = ("weight", "n-m", "filter", "block")


def test_no_row_is_silent() -> None:
    found = json.loads((ROOT / "docs/network-coverage.json").read_text("utf-8"))
    for place, item in found.items():
        if "does not run" in item:
            assert item["does not run"], place
            continue
        for pattern in PATTERNS:
            outcome, says = item[pattern]["outcome"], item[pattern]["says"]
            assert outcome == "works" or says, f"{place}: {pattern}: {outcome} without a reason"


@pytest.mark.slow
def test_a_network_of_every_outcome() -> None:
    found = coverage.in_a_child("timm", "test_resnet", 300, 16)
    assert {pattern: found[pattern]["outcome"] for pattern in PATTERNS} == dict.fromkeys(
        PATTERNS, "works"
    )
    assert found["filter"]["left"] < 0.6
    stopped = coverage.in_a_child("timm", "test_resnet", 1, 16)
    assert "does not run" in stopped or "limit" in {
        stopped[pattern]["outcome"] for pattern in PATTERNS
    }
    with pytest.raises(RuntimeError):
        coverage.built("timm", "no_such_network", 64)


@pytest.mark.slow
def test_every_module_has_a_network() -> None:
    import timm

    modules = coverage.modules()
    assert len(modules) > 100
    assert "torchvision/resnet" in modules
    assert {place for place in modules if place.startswith("timm/")} == {
        f"timm/{module}" for module in timm.list_modules() if timm.list_models(module=module)
    }
