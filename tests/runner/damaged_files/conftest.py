"""A grid that finished as the commands of the workflow leave it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from prunebench.cli import job_commands as jobs_cli
from prunebench.runner import pipeline
from prunebench.storage.files import write_text
from prunebench.storage.outputs import recorded
from tests.runner.damaged_files.finished import PAGES, plan_in


@pytest.fixture(scope="module")
def _grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("audit")
    deterministic = torch.are_deterministic_algorithms_enabled()
    plan = plan_in(folder)
    pipeline.run(plan, folder / "data")
    plan.write()
    for command, kind, name in (
        (jobs_cli.baselines, "baselines", "digits-0"),
        (jobs_cli.curves, "curves", "imp@digits-0"),
        (jobs_cli.probes, "probes", "digits-0"),
    ):  # as Snakemake would
        command(plan.layout.config, name, folder / "data", plan.layout.job(kind, name))
    for step, names in PAGES.items():
        with recorded(plan.layout, step) as made:
            for page in names:
                write_text(plan.layout.root / page, "a page\n")
                made.append(plan.layout.root / page)
    yield folder
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def grid(_grid: Path, tmp_path: Path) -> Path:
    """A finished grid of one's own, as the commands left it."""
    shutil.copytree(_grid, tmp_path, dirs_exist_ok=True, copy_function=shutil.copy2)
    return tmp_path
