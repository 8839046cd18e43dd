"""The registry: a file in the folder is a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.settings import Task
from prunebench.tasks import sources
from tests.plans import GRID


def test_every_file_is_a_source_that_reads() -> None:
    files = Path(sources.__file__).parent.glob("[!_]*.py")
    assert sources.names() == sorted(file.stem.replace("_", "-") for file in files)
    for name in sources.names():
        assert callable(sources.reader(name))
        assert sources.reader(name).__doc__


def test_only_torchvision_downloads() -> None:
    assert [name for name in sources.names() if sources.downloader(name)] == ["torchvision"]


def test_an_unknown_data_set_is_refused_before_any_data_are_there() -> None:
    with pytest.raises(PrunebenchError, match="unknown dataset 'NMIST'; did you mean 'MNIST'"):
        sources.check(Task(name="mine", source="torchvision", dataset="NMIST"))


def test_every_preset_is_known_to_its_source() -> None:
    for task in config.parse({**GRID, "tasks": list(config.presets("tasks"))}).tasks:
        if task.name == "tiny-imagenet":  # which nobody may hand on
            with pytest.raises(
                PrunebenchError, match=r"needs path: the unpacked folder tiny-image"
            ):
                sources.check(task)
        else:
            sources.check(task)


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(PrunebenchError, match="unknown source 'digit'; did you mean 'digits'"):
        sources.reader("digit")
