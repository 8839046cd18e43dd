"""Prepared data: replaced in one step, left alone where they are whole, anew for another source."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prunebench.errors import PrunebenchError
from prunebench.experiment import config, prepared_data
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Task
from prunebench.runner import damaged_files, pipeline
from prunebench.storage.files import read_sealed, write_sealed
from prunebench.tasks.task_data import load

GRID: dict[str, Any] = {
    "experiment": "one", "regimes": ["clean"], "models": ["seed-cnn"], "seeds": [0],
    "methods": ["magnitude"], "sparsities": [0.5], "training": {"epochs": 1},
}  # fmt: skip


def picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(path)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A grid on a folder of 2 x 6 images of one grey each."""
    for number in range(12):
        picture(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", 20 * number)
    task = {"name": "mine", "source": "folder", "path": str(tmp_path / "set"), "val": 2, "test": 2}
    return Plan(config.parse({**GRID, "tasks": [task]}), tmp_path / "results")


def task_of(plan: Plan) -> Task:
    return plan.experiment.tasks[0]


def prepare(plan: Plan, data: Path) -> Path:
    pipeline.prepare(plan, "mine", data)
    return prepared_data.prepared(task_of(plan), data)


def test_what_is_prepared_is_left_alone(plan: Plan, tmp_path: Path) -> None:
    path = prepare(plan, tmp_path / "data")
    before = path.stat().st_ino
    assert prepare(plan, tmp_path / "data").stat().st_ino == before
    # copied anew: other times, the same content
    for image in (tmp_path / "set").rglob("*.png"):
        os.utime(image, (1, 1))
    assert prepared_data.changed(task_of(plan), tmp_path / "data") == ""
    assert prepare(plan, tmp_path / "data").stat().st_ino == before


@pytest.mark.parametrize("how", ["content", "name", "gone", "more"])
def test_other_images_than_those_prepared_are_noticed_and_told(
    plan: Plan, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data, image = tmp_path / "data", tmp_path / "set" / "a" / "0.png"
    path = prepare(plan, data)
    before = load(path).data_hash
    asked = plan.layout.job("prepare", "mine")  # what the workflow looks at
    asked.parent.mkdir(parents=True)
    asked.write_text("{}")
    size, time = image.stat().st_size, image.stat().st_mtime_ns
    assert damaged_files.damaged(plan, data) == {}
    assert asked.exists()
    if how == "content":  # of the same length
        picture(image, 7)
        image.write_bytes(image.read_bytes().ljust(size, b"\0"))
        os.utime(image, ns=(time, time + 1))
    elif how == "name":
        image.rename(image.with_name("z.png"))
    elif how == "gone":
        image.unlink()
    else:
        picture(image.with_name("new.png"), 9)
    assert damaged_files.damaged(plan, data) == {}
    assert f"task 'mine': the data in {tmp_path / 'set'} changed" in capsys.readouterr().err
    assert not asked.exists()  # so it prepares anew
    prepare(plan, data)
    if how != "name":
        assert load(path).data_hash != before
    assert prepared_data.changed(task_of(plan), data) == ""


def test_a_file_exchanged_for_one_of_its_length_and_time_is_noticed(
    plan: Plan, tmp_path: Path
) -> None:
    data, path = tmp_path / "data", tmp_path / "set" / "a" / "0.png"
    picture(path, 10)
    prepare(plan, data)
    was, content = path.stat(), path.read_bytes()
    picture(path, 11)  # PNGs of one grey have one length
    assert path.stat().st_size == was.st_size
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert "a/0.png): prepared again" in prepared_data.changed(task_of(plan), data)
    assert not prepared_data.usable(task_of(plan), data)
    path.write_bytes(content)  # back again, only its times are others
    assert prepared_data.usable(task_of(plan), data)


def test_a_note_of_an_earlier_version_with_one_time_still_counts(
    plan: Plan, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    prepare(plan, data)
    source = prepared_data.LocalSource.of(task_of(plan), data)
    assert source is not None
    noted = read_sealed(source.note)
    write_sealed(source.note, {k: [v[0], v[1], v[3]] for k, v in noted.items()})
    assert prepared_data.usable(task_of(plan), data)
    picture(tmp_path / "set" / "a" / "0.png", 77)
    assert not prepared_data.usable(task_of(plan), data)


def test_others_may_read_while_data_are_prepared_anew(plan: Plan, tmp_path: Path) -> None:
    data, ended, faults = tmp_path / "data", threading.Event(), list[str]()
    path = prepare(plan, data)

    def read() -> None:
        while not ended.is_set():
            try:
                load(path)
            except (PrunebenchError, OSError) as error:
                faults.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for value in range(5):
            picture(tmp_path / "set" / "a" / "0.png", value)
            prepare(plan, data)
    finally:
        ended.set()
        reader.join()
    assert faults == []


def test_damaged_data_stay_until_others_take_their_place(plan: Plan, tmp_path: Path) -> None:
    data = tmp_path / "data"
    path = prepare(plan, data)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert prepared_data.damaged(task_of(plan), data) == [path]
    assert path.read_bytes() == whole[:-1]
    assert not prepared_data.usable(task_of(plan), data)
    assert prepare(plan, data).read_bytes() == whole


def test_a_folder_whose_links_lead_round_is_looked_at_once(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "set" / "a" / "round").symlink_to(tmp_path / "set")
    source = prepared_data.LocalSource.of(task_of(plan), tmp_path / "data")
    assert source is not None
    assert len(source.look()) == 12


def test_two_that_prepare_at_once_leave_the_source_that_they_say(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first reads; the source is changed; the second overtakes it, but notes last."""
    from prunebench.tasks import prepare as preparing

    data, patience = tmp_path / "data", 1.0
    has_read, has_ended, overtaken = (threading.Event() for _ in range(3))
    write, note = preparing._write, pipeline.write_sealed
    first = threading.Thread(target=lambda: (prepare(plan, data), has_ended.set()))

    def write_late(*given: Any) -> None:
        if threading.current_thread() is first:
            has_read.set()
            overtaken.wait(patience)
        write(*given)

    def note_last(*given: Any) -> None:
        if threading.current_thread() is not first:
            overtaken.set()
            has_ended.wait(patience)
        note(*given)

    monkeypatch.setattr(preparing, "_write", write_late)
    monkeypatch.setattr(pipeline, "write_sealed", note_last)
    first.start()
    assert has_read.wait(60)
    for image in (tmp_path / "set").rglob("*.png"):
        picture(image, 255 - 20 * int(image.stem))
    path = prepare(plan, data)
    first.join()
    found = load(path)
    alone = prepare(plan, tmp_path / "undisturbed")
    assert prepared_data.usable(task_of(plan), data)
    assert found.data_hash == load(alone).data_hash


def test_one_that_is_killed_before_its_note_vouches_for_no_earlier_source(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    before = load(prepare(plan, data)).data_hash
    image, number = tmp_path / "set/b/3.png", 3
    picture(image, 200)
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "write_sealed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(plan, data)
    picture(image, 20 * number)  # as it was at first
    assert not prepared_data.usable(task_of(plan), data)
    assert load(prepare(plan, data)).data_hash == before


def interrupted(*given: Any) -> None:
    raise KeyboardInterrupt
