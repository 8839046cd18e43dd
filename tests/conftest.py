"""What all tests share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def copy_of_checkout(target: Path) -> Path:
    """What git would bring to another machine, with the environment linked in."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    (target / ".venv").symlink_to(Path(sys.executable).parents[1])
    return target


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout under test."""
    return ROOT


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a disk with options, or mounts it again with others."""
    place, mounted = tmp_path / "disk", False
    place.mkdir()

    def mount(options: str) -> Path:
        nonlocal mounted
        also = "remount," if mounted else ""
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", also + options, "tmpfs", str(place)],
            check=False, capture_output=True,
        )  # fmt: skip
        if done.returncode and not mounted:
            pytest.skip("this user may not mount a disk")
        assert done.returncode == 0, done.stderr
        mounted = True
        return place

    yield mount
    subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


# the longest modules first: with `--dist loadfile` one that begins last is waited for by all others
LONGEST = ("workflow", "docs", "robustness", "report", "tracking", "compression", "reproduce")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest rooms first."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.relative_to(ROOT / "tests").parts[0], 99))
