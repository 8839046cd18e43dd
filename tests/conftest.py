"""What all tests share."""

from __future__ import annotations

import compileall
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# a shell starts what it runs in the background deaf to interrupts, and so would be what tests start
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
    # each job of a grid is a process, which would compile it all anew where none may write bytecode
    compileall.compile_dir(target / "prunebench", quiet=1)
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


# the longest modules first: one that begins last is waited for by all others
LONGEST = (
    "workflow", "docs", "robustness", "report", "tracking", "compression", "reproduce", "runner",
    "published", "training", "evaluation", "pruning", "tasks",
)  # fmt: skip
# one process runs them all: what they share is made in minutes, and once a process
TOGETHER = (
    "tests/reproduce/submission/", "tests/reproduce/verify/", "tests/report/leaderboard/",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest rooms first."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.relative_to(ROOT / "tests").parts[0], 99))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Give a file to one process as a whole, and so what runs together."""
    return _ByFileOrRoom(config, log) if config.getoption("dist") == "loadfile" else None


class _ByFileOrRoom(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return next(
            (room for room in TOGETHER if nodeid.startswith(room)), super()._split_scope(nodeid)
        )
