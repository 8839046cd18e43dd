"""What schedulers are told: memory and time of every rule, and that times are taken alone."""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

PROFILES = ROOT / "workflows" / "profiles"
RULES = {
    re.split(r"[:\s]", block, maxsplit=1)[0] or "curves": block
    for file in sorted((ROOT / "workflows").glob("*.smk"))
    for block in re.split(r"(?m)^ *rule ?(?=\w+:|:)", file.read_text(encoding="utf-8"))[1:]
}
HERE = {"download", "track_cells", "track"}  # run where Snakemake does, whatever the executor


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"download"}))
def test_every_rule_says_what_it_takes(rule: str) -> None:
    resources = RULES[rule].partition("resources:")[2].partition("params:")[0]
    assert "mem_mb=" in resources
    assert "runtime=" in resources


# megabytes that were measured, benchmarks/large_grid.py and leaderboard_page.py
@pytest.mark.parametrize(("records", "peak"), [(2_544, 310), (6_060, 490), (100_500, 1_730)])
def test_what_reads_all_records_asks_for_more_where_there_are_more(records: int, peak: int) -> None:
    text = (ROOT / "workflows" / "resources.smk").read_text(encoding="utf-8")
    said: dict[str, Any] = {"PLAN": SimpleNamespace(cell_count=records)}
    exec(text, said)
    memory, again = (said["doubling"](said["TABLE_MB"])(None, attempt) for attempt in (1, 2))
    assert type(memory) is int  # as Snakemake wants it
    assert 2 * peak <= memory <= 5 * peak
    assert again == 2 * memory


@pytest.mark.parametrize(
    "rule", ["collect", "tables", "figures", "leaderboard", "report", "kit", "crate", "track"]
)
def test_a_rule_of_all_records_takes_as_much_as_they_need(rule: str) -> None:
    assert "mem_mb=doubling(TABLE_MB)" in RULES[rule]
    assert "runtime=doubling(TABLE)" in RULES[rule]


def test_the_rules_were_found() -> None:
    assert {"download", "baselines", "probes", "latencies", "measure", "collect"} <= set(RULES)


@pytest.mark.parametrize(
    "path",
    sorted(PROFILES.glob("*/config.yaml")),
    ids=lambda p: p.parent.name,
)
def test_a_profile_goes_on_where_it_was_cut_off(path) -> None:
    profile = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert profile["rerun-incomplete"]
    assert profile["keep-going"]


@pytest.mark.parametrize("name", sorted(HERE))
def test_what_needs_the_network_or_one_writer_runs_where_snakemake_does(name: str) -> None:
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "workflows").glob("*.smk")]
    assert any(re.search(rf"^localrules:\n(    \w+,\n)*    {name},$", f, re.M) for f in files)


def test_times_are_taken_with_nothing_else_on_the_node() -> None:
    # in the rule: --set-resources replaces all that a profile sets
    assert 'slurm_extra="--exclusive"' in RULES["latencies"]
    profile = yaml.safe_load((PROFILES / "slurm/config.yaml").read_text())
    assert "set-resources" not in profile
    assert profile["latency-wait"] >= 30


@pytest.mark.parametrize("name", ["gpu", "slurm"])
def test_snakemake_takes_a_profile_and_the_workflows_own(name: str, tmp_path: Path) -> None:
    if name == "slurm":
        pytest.importorskip("snakemake_executor_plugin_slurm")
    command = [
        str(Path(sys.executable).parent / "snakemake"), "--dry-run", "--snakefile",
        str(ROOT / "Snakefile"), "--profile", str(PROFILES / name), "--configfile",
        str(ROOT / "config" / "smoke.yaml"),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    assert f"{PROFILES / name} and workflow specific profile" in done.stdout
    assert "Workflow ID" not in done.stdout  # quiet, as profiles/default has it


def test_a_pod_works_where_its_volume_is_and_finds_its_files() -> None:
    job = yaml.safe_load((PROFILES / "kubernetes" / "job.yaml").read_text(encoding="utf-8"))
    [pod] = job["spec"]["template"]["spec"]["containers"]
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    code, work = re.findall(r"(?m)^WORKDIR (.*)$", text)
    assert [volume["mountPath"] for volume in pod["volumeMounts"]] == [work]
    named = [part for arg in pod["args"] for part in arg.split("=") if part.startswith(f"{code}/")]
    assert named
    assert all((ROOT / Path(path).relative_to(code)).is_file() for path in named)


def test_no_file_that_git_knows_is_left_out_of_the_image() -> None:
    """It would differ from its commit, which every record says."""
    left_out = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in left_out if line and not line.startswith("#")]
    known = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(known) > 100
    assert [path for path in known if ignored(path, patterns)] == []
    assert ignored("results/mine/cells.csv", patterns)


def ignored(path: str, patterns: list[str]) -> bool:
    """Whether podman would leave a path out: the last pattern that fits decides."""
    found = False
    for pattern in patterns:
        name = pattern.removeprefix("!")
        parts = [path, *map(str, Path(path).parents)]
        if any(fnmatch(part, name.removeprefix("**/")) for part in parts):
            found = not pattern.startswith("!")
    return found
