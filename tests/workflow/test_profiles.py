"""What schedulers are told: memory and time of every rule, and that times are taken alone."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.conftest import ROOT

RULES = {
    re.split(r"[:\s]", block, maxsplit=1)[0] or "curves": block
    for file in sorted((ROOT / "workflows").glob("*.smk"))
    for block in re.split(r"(?m)^ *rule ?(?=\w+:|:)", file.read_text(encoding="utf-8"))[1:]
}
HERE = {"download"}  # runs where Snakemake does


@pytest.mark.parametrize("rule", sorted(set(RULES) - HERE))
def test_every_rule_says_what_it_takes(rule: str) -> None:
    resources = RULES[rule].partition("resources:")[2].partition("params:")[0]
    assert "mem_mb=" in resources
    assert "runtime=" in resources


def test_the_rules_were_found() -> None:
    assert {"download", "baselines", "probes", "latencies", "measure", "collect"} <= set(RULES)
    assert "localrules:\n    download," in (ROOT / "workflows" / "data.smk").read_text()


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "workflows" / "profiles").glob("*/config.yaml")),
    ids=lambda p: p.parent.name,
)
def test_a_profile_goes_on_where_it_was_cut_off(path) -> None:
    profile = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert profile["rerun-incomplete"]
    assert profile["keep-going"]


def test_times_are_taken_with_nothing_else_on_the_node() -> None:
    profile = yaml.safe_load((ROOT / "workflows/profiles/slurm/config.yaml").read_text())
    assert "--exclusive" in profile["set-resources"]["latencies"]["slurm_extra"]
    assert profile["latency-wait"] >= 30
