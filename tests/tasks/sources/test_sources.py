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


def test_which_sources_download() -> None:
    assert [name for name in sources.names() if sources.downloader(name)] == [
        "detection", "medmnist", "parallel-text", "ratings", "scikit-learn", "speech", "text",
        "text-files", "torchvision",
    ]  # fmt: skip


def test_an_unknown_data_set_is_refused_before_any_data_are_there() -> None:
    with pytest.raises(PrunebenchError, match="unknown dataset 'NMIST'; did you mean 'MNIST'"):
        sources.check(Task(name="mine", source="torchvision", dataset="NMIST"))


# which nobody may hand on, or nobody publishes sums of
OF_ONES_OWN = {"tiny-imagenet": "the unpacked folder tiny-image", "kitti": "the folder that holds"}


def test_every_preset_is_known_to_its_source() -> None:
    for task in config.parse({**GRID, "tasks": list(config.presets("tasks"))}).tasks:
        if task.name in OF_ONES_OWN:
            with pytest.raises(PrunebenchError, match=f"needs path: {OF_ONES_OWN[task.name]}"):
                sources.check(task)
        else:
            sources.check(task)


EMBEDDED = [
    "digits", "language-of-names", "number-words", "hidden-markov", "spoken-words",
    "low-rank-ratings", "pasted-digits",
]  # fmt: skip


def test_embedded_sources_read_no_file() -> None:
    """They have no path, no download, and say what they are for."""
    for name in EMBEDDED:
        assert sources.downloader(name) is None
        module = sources._module(name)
        if name != "digits":
            assert "for trying and for tests, not for a paper" in " ".join(module.__doc__.split())


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(PrunebenchError, match="unknown source 'digit'; did you mean 'digits'"):
        sources.reader("digit")
