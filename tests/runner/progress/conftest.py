"""What the tests of progress share."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunebench.experiment import config
from prunebench.experiment.plan import Plan

from .tiny_grid import GRID


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    made = Plan(config.parse(GRID), tmp_path)
    made.write()
    return made
