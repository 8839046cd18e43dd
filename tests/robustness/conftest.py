"""A disk of a given size, that may be written or not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


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
