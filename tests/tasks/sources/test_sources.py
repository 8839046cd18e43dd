"""The registry: a file in the folder is a source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.settings import Task
from prunebench.tasks import sources
from prunebench.tasks.prepare import prepare
from prunebench.tasks.prepare import split as choose
from prunebench.tasks.task_data import load


def test_every_file_is_a_source_that_reads() -> None:
    files = Path(sources.__file__).parent.glob("[!_]*.py")
    assert sources.names() == sorted(file.stem.replace("_", "-") for file in files)
    for name in sources.names():
        assert callable(sources.reader(name))
        assert sources.reader(name).__doc__


def test_which_sources_download() -> None:
    assert [name for name in sources.names() if sources.downloader(name)] == [
        "medmnist", "object-detection", "parallel-text", "parquet", "ratings", "scikit-learn",
        "speech", "table", "text", "text-files", "torchvision",
        "transcribed-speech",
    ]  # fmt: skip


def test_an_unknown_data_set_is_refused_before_any_data_are_there() -> None:
    with pytest.raises(PrunebenchError, match="unknown dataset 'NMIST'; did you mean 'MNIST'"):
        sources.check(Task(name="mine", source="torchvision", dataset="NMIST"))


# which nobody may hand on, or nobody publishes sums of
OF_ONES_OWN = {"tiny-imagenet": "the unpacked folder tiny-image", "kitti": "the folder that holds"}


def test_every_preset_is_known_to_its_source() -> None:
    for task in (Task(**given) for given in config.presets("tasks").values()):
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


@pytest.mark.parametrize(
    "name",
    [
        "names", "number-words-fr", "hidden-markov", "low-rank-ratings",
        "breast-cancer", "diabetes", "friedman1", "pasted-digits",
        pytest.param("number-words-de", marks=pytest.mark.slow),
        pytest.param("spoken-words", marks=pytest.mark.slow),
        pytest.param("spoken-strings", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_embedded_presets_are_prepared_as_their_kind_takes_them(name: str, tmp_path: Path) -> None:
    given = config.presets("tasks")[name]
    task = Task(**given)
    prepare(task, tmp_path / "nothing", tmp_path / "data.safetensors")
    data = load(tmp_path / "data.safetensors")
    assert {split: len(targets) for split, targets in data.targets.items()} == {
        split: given.get(split, len(data.targets[split])) for split in ("train", "val", "test")
    }
    raw = sources.reader(task.source)(task, tmp_path)
    for split, (origin, chosen) in choose(raw, task).items():
        assert np.array_equal(data.targets[split].numpy(), origin.targets[chosen])
        inputs = data.inputs[split].numpy()
        inputs = np.moveaxis(inputs, 1, -1) if inputs.ndim == 4 else inputs
        assert np.array_equal(inputs, origin.inputs[chosen])
    assert data.facts.values["num_classes"] == data.kind.outputs
    targets = data.targets["test"].numpy()
    assert 0 < data.kind.chance(targets) <= data.kind.constant_error(targets) <= 1


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(PrunebenchError, match="unknown source 'digit'; did you mean 'digits'"):
        sources.reader("digit")
