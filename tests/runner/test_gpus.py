"""Several GPUs in one machine: real processes share a list of devices; no GPU is needed."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import torch

from prunebench.errors import PrunebenchError, Unwritable
from prunebench.experiment.settings import Compute
from prunebench.runner import gpus
from prunebench.runner.device import device_of

# its processes start with torch and this file imported
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])
UUIDS = ["GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "GPU-1f2a3b4c-0000-4106-c12f-20bd9faed9f6"]
MIGS = ["MIG-GPU-8932f937/1/0", "MIG-GPU-8932f937/2/0"]


class Holder:
    """A process that holds a place until it is told to end."""

    def __init__(self, act: Callable[..., Any], *arguments: Any) -> None:
        self._here, there = SERVER.Pipe()
        self.process = SERVER.Process(target=_hold, args=(there, act, *arguments))
        self.process.start()

    def said(self) -> Any:
        assert self._here.poll(60), "it says nothing"
        return self._here.recv()

    def end(self) -> None:
        self._here.send("end")
        self.process.join(60)


def _hold(pipe: Any, act: Callable[..., Any], *arguments: Any) -> None:
    pipe.send(act(*arguments))
    pipe.recv()


def _take(names: list[str], folder: Path, start: Barrier | None = None) -> str:
    if start is not None:
        start.wait(60)
    return gpus.take(names, folder)


def _claim_and_look(given: str | None, folder: Path) -> tuple[bool, str | None, str]:
    """Whether a GPU was claimed, and what this process and one of its children then see."""
    os.environ.pop(gpus.VISIBLE, None)
    if given is not None:
        os.environ[gpus.VISIBLE] = given
    os.environ["TMPDIR"] = str(folder)
    there = 3 if given is None else len(given.split(","))
    torch.version.cuda, torch.cuda.device_count = "13.0", lambda: there
    done = gpus.claim()
    code = f"import os; print(os.environ.get({gpus.VISIBLE!r}))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done, os.environ.get(gpus.VISIBLE), child.stdout.strip()


@contextmanager
def holding(*holders: Holder) -> Iterator[None]:
    try:
        yield
    finally:
        for holder in holders:
            holder.process.kill()
            holder.process.join(60)


@pytest.mark.parametrize("names", [["0", "1"], UUIDS, MIGS], ids=["numbers", "UUIDs", "MIG"])
def test_processes_that_start_at_once_are_spread_evenly(tmp_path: Path, names: list[str]) -> None:
    start = SERVER.Barrier(5)
    holders = [Holder(_take, names, tmp_path, start) for _ in range(5)]
    with holding(*holders):
        shared = Counter(holder.said() for holder in holders)
    assert sorted(shared.values()) == [2, 3]
    assert set(shared) == set(names)


def test_whoever_ends_or_is_killed_leaves_its_place(tmp_path: Path) -> None:
    names = ["0", "1", "2"]
    first = [Holder(_take, names, tmp_path) for _ in names]
    with holding(*first):
        had = {holder.said(): holder for holder in first}
        assert set(had) == set(names)
        had["1"].process.kill()
        had["1"].process.join(60)
        assert had["1"].process.exitcode == -9
        second = Holder(_take, names, tmp_path)
        with holding(second):
            assert second.said() == "1"
            had["2"].end()
            assert had["2"].process.exitcode == 0
            third, fourth = Holder(_take, names, tmp_path), Holder(_take, names, tmp_path)
            with holding(third, fourth):
                # the one that is free, then the first that is used twice
                assert sorted([third.said(), fourth.said()]) == ["0", "2"]


def test_a_process_and_its_children_see_one_device(tmp_path: Path) -> None:
    holders = [Holder(_claim_and_look, given, tmp_path) for given in (None, "0,1,2", "2,0")]
    with holding(*holders):
        found = [holder.said() for holder in holders]
    assert all(claimed and own == child for claimed, own, child in found)
    assert len({own for _, own, _ in found}) == 3  # named alike, they know of one another


def test_where_the_environment_names_one_nothing_changes(tmp_path: Path) -> None:
    holder = Holder(_claim_and_look, "7", tmp_path)  # as Slurm does
    with holding(holder):
        assert holder.said() == (False, "7", "7")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "there", "names"),
    [
        (None, 3, ["0", "1", "2"]),
        (None, 0, []),
        ("", 0, []),
        ("2, 0", 2, ["2", "0"]),
        (",".join(UUIDS), 2, UUIDS),
        ("0,-1,1", 1, ["0"]),  # CUDA ends the list at the first that it does not know
    ],
)
def test_what_is_visible_is_named_as_the_environment_does(
    monkeypatch: pytest.MonkeyPatch, given: str | None, there: int, names: list[str]
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    if given is not None:
        monkeypatch.setenv(gpus.VISIBLE, given)
    assert gpus.visible() == names


@pytest.mark.parametrize(
    ("version", "given", "names"), [(None, "0,1", []), ("13.0", ",".join(MIGS), MIGS)]
)
def test_cuda_is_not_asked_where_it_is_missing_or_would_start(
    monkeypatch: pytest.MonkeyPatch, version: str | None, given: str, names: list[str]
) -> None:
    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.cuda, "device_count", refuse)
    monkeypatch.setenv(gpus.VISIBLE, given)
    assert gpus.visible() == names


def refuse(*_: Any) -> Any:
    raise AssertionError("must not be called")


@pytest.mark.parametrize("wanted", ["cpu", "cuda:1"])
def test_a_configuration_that_names_its_device_has_it(
    monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setattr(gpus, "claim", refuse)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert str(device_of(Compute(device=wanted))) == wanted


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_a_claim_that_comes_too_late_is_told(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    order: list[str] = []
    monkeypatch.setattr(gpus, "claim", lambda: order.append("claim") or True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: order.append("CUDA") or True)
    monkeypatch.setattr(torch.cuda, "init", lambda: order.append("init"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device_of(Compute(device=wanted)) == torch.device("cuda")
    assert order[0] == "claim"
    assert order[-1] == "init"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(PrunebenchError, match=r"several GPUs.*set CUDA_VISIBLE_DEVICES to one"):
        device_of(Compute(device=wanted))


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unwritable, match=r"cannot lock .*-gpu-0-0\.lock.*File exists.*TMPDIR"):
        gpus.take(["0", "1"], tmp_path / "file")


def test_a_link_that_another_user_laid_is_not_followed(tmp_path: Path) -> None:
    link = tmp_path / f"prunebench-{os.getuid()}-gpu-0-0.lock"
    link.symlink_to(tmp_path / "theirs")
    with pytest.raises(PrunebenchError, match="is a link or no plain file: not written"):
        gpus.take(["0", "1"], tmp_path)
    assert not (tmp_path / "theirs").exists()
