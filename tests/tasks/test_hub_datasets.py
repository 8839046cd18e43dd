"""Data sets of the hub, which a folder stands for here: what is fetched, noted and refused."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment.hub_dataset import HubDataset
from prunebench.storage.files import read_json
from prunebench.tasks import hub_datasets
from prunebench.tasks.sources.table import download, read

from .conftest import MakeTask

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """The part of huggingface_hub that is called, with a folder for each revision."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked, self.lie = root, [], ""
        self.HfApi = lambda: self

    def add(self, name: str, rows: int, revision: str = "main") -> None:
        path = self.root / revision / name
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.arange(rows) + rows
        pq.write_table(pa.table({"x": values * 1.0, "target": values % 2}), path)

    def dataset_info(self, name: str, revision: str, files_metadata: bool) -> Any:
        self.asked.append((name, revision))
        root, files = self.root / revision, []
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            told = self.lie or hashlib.sha256(path.read_bytes()).hexdigest()
            lfs = SimpleNamespace(sha256=told)
            files.append(SimpleNamespace(rfilename=path.relative_to(root).as_posix(), lfs=lfs))
        self.last = root
        return SimpleNamespace(sha=COMMIT, siblings=files)

    def hf_hub_download(
        self, name: str, file: str, repo_type: str, revision: str, local_dir: Path
    ) -> str:
        assert (repo_type, revision) == ("dataset", COMMIT)
        target = Path(local_dir) / file
        target.parent.mkdir(parents=True)
        return str(shutil.copy(self.last / file, target))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path / "hub")
    monkeypatch.setattr(hub_datasets, "import_module", lambda name: made)
    return made


def test_splits_are_fetched_once_and_noted(hub: Hub, tmp_path: Path, make_task: MakeTask) -> None:
    for name, rows in (("train-00000-of-00002", 8), ("train-00001-of-00002", 4), ("test-0", 6)):
        hub.add(f"data/{name}.parquet", rows)
    (hub.root / "main" / "README.md").write_text("train on test")
    task = make_task(source="table", hub="me/set", val=2)
    folder = tmp_path / "raw"
    download(task, folder)
    raw = read(task, folder)
    assert raw.test is not None
    assert (len(raw.train), len(raw.test), raw.val) == (12, 6, None)
    assert raw.facts[hub_datasets.COMMIT] == COMMIT
    note = read_json(folder / "me--set" / hub_datasets.NOTE)
    assert (note["name"], note["commit"], len(note["sha256"])) == ("me/set", COMMIT, 3)
    kept = {path.name for path in (folder / "me--set").glob("*.parquet")}
    assert kept == {"train-00000.parquet", "train-00001.parquet", "test-00000.parquet"}
    download(task, folder)
    assert hub.asked == [("me/set", "main")]


def test_a_revision_and_what_the_hub_itself_converted(
    hub: Hub, tmp_path: Path, make_task: MakeTask
) -> None:
    hub.add("default/train/0000.parquet", 4, "refs/convert/parquet")
    hub.add("default/validation/0000.parquet", 2, "refs/convert/parquet")
    download(make_task(source="table", hub="me/set", val=2), tmp_path / "raw")
    assert [revision for _, revision in hub.asked] == ["main", "refs/convert/parquet"]
    hub.add("train.parquet", 4, "v1")
    task = make_task(source="table", hub="me/set@v1", val=2)
    download(task, tmp_path / "raw")
    assert len(read(task, tmp_path / "raw").train) == 4


def test_one_of_several_subsets(hub: Hub, tmp_path: Path, make_task: MakeTask) -> None:
    hub.add("my-test-set/train-0.parquet", 4)
    hub.add("other/train-0.parquet", 6)
    with pytest.raises(PrunebenchError, match="has several subsets: my-test-set, other"):
        download(make_task(source="table", hub="me/set", val=2), tmp_path / "raw")
    with pytest.raises(PrunebenchError, match="no subset 'othre'; did you mean 'other'"):
        download(make_task(source="table", hub="me/set/othre", val=2), tmp_path / "raw")
    task = make_task(source="table", hub="me/set/other", val=2)
    download(task, tmp_path / "raw")
    assert len(read(task, tmp_path / "raw").train) == 6


def test_what_is_not_there_or_not_what_the_hub_says(
    hub: Hub, tmp_path: Path, make_task: MakeTask
) -> None:
    task = make_task(source="table", hub="me/set", val=2)
    with pytest.raises(PrunebenchError, match="has no Parquet files"):
        download(task, tmp_path / "raw")
    hub.add("test-0.parquet", 4)
    with pytest.raises(PrunebenchError, match="has no train split"):
        download(task, tmp_path / "raw")
    hub.add("train-0.parquet", 4)
    hub.lie = "0" * 64
    with pytest.raises(PrunebenchError, match="has the sum"):
        download(task, tmp_path / "raw")
    assert not list((tmp_path / "raw").glob("*"))


@pytest.mark.parametrize("name", ["set", "me/../set", "me/set@", "/me/set", "me/a/b/c", "me set/x"])
def test_a_name_that_the_hub_cannot_have(name: str) -> None:
    with pytest.raises(PrunebenchError, match="must be owner/name"):
        HubDataset.named(name)


def test_settings_that_do_not_go_with_it(make_task: MakeTask) -> None:
    for wrong in ({"source": "folder"}, {"source": "table", "path": "x"}):
        with pytest.raises(ValueError, match="hub: "):
            make_task(hub="me/set", **wrong)
    assert "hub" not in make_task(source="digits").settings()
    assert make_task(source="table", hub="me/set").settings()["hub"] == "me/set"


def test_what_a_card_says_is_not_believed(hub: Hub, tmp_path: Path, make_task: MakeTask) -> None:
    """The card is not read: rows, classes and splits are those of the Parquet files."""
    hub.add("data/train-0.parquet", 12)
    hub.add("data/test-0.parquet", 6)
    (hub.root / "main" / "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: target\n    dtype:\n      class_label:\n"
        "        names: {'0': cat, '1': dog, '2': emu}\n  splits:\n  - name: train\n"
        "    num_examples: 5000000\n  - name: validation\n    num_examples: 7\n---\n"
    )
    (hub.root / "main" / "dataset_infos.json").write_text('{"default": {"splits": {"train": 1}}}')
    task, folder = make_task(source="table", hub="me/set", val=2), tmp_path / "raw"
    download(task, folder)
    assert not [*folder.rglob("README.md"), *folder.rglob("dataset_infos.json")]
    raw = read(task, folder)
    assert raw.test is not None
    assert (len(raw.train), len(raw.test), raw.val) == (12, 6, None)
    assert raw.names is None
    assert set(raw.train.targets) == {0, 1}
