"""Hugging Face's Parquet layout, whole and broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.tasks.prepare import prepare
from prunebench.tasks.sources.parquet import read
from prunebench.tasks.tables import read_table
from prunebench.tasks.task_data import load

from ..conftest import Encode, MakeTask

Pictures = Callable[..., NDArray[np.uint8]]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of images and labels, in the layout of the datasets library."""

    def make(
        name: str,
        contents: list[bytes | None],
        labels: list[Any],
        column: str = "image",
        names: list[str] | None = None,
    ) -> Path:
        images = [{"bytes": content, "path": None} for content in contents]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({column: pa.array(images, kind), "label": labels})
        if names is not None:
            features = {"label": {"names": names, "_type": "ClassLabel"}}
            stored = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": stored})
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        return path

    return make


def _refusal(make_task: MakeTask, path: Path) -> str:
    with pytest.raises(PrunebenchError) as caught:
        read(make_task(source="parquet", path=str(path)), path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("column", ["image", "img"])
@pytest.mark.parametrize("place", [".", "data"])
def test_shards_come_back_in_order_with_the_names_of_the_classes(
    tmp_path: Path,
    make_task: MakeTask,
    encode: Encode,
    pictures: Pictures,
    write: Write,
    column: str,
    place: str,
) -> None:
    images = pictures(6, 5, 5, 3)
    contents = [encode(image) for image in images]
    options = {"column": column, "names": ["cat", "dog"]}
    write(f"{place}/train-00001-of-00002.parquet", contents[2:4], [1, 0], **options)
    write(f"{place}/train-00000-of-00002.parquet", contents[:2], [0, 1], **options)
    write(f"{place}/validation.parquet", contents[4:5], [1], **options)
    write(f"{place}/test-00000-of-00001.parquet", contents[5:], [0], **options)
    raw = read(make_task(source="parquet", path=str(tmp_path / "set")), tmp_path)
    assert raw.names == ("cat", "dog")
    together = np.concatenate([split.inputs for split in raw.splits().values()])
    assert np.array_equal(together, images)
    labels = {name: split.targets.tolist() for name, split in raw.splits().items()}
    assert labels == {"train": [0, 1, 1, 0], "val": [1], "test": [0]}


def test_one_file_is_all_training(
    make_task: MakeTask, encode: Encode, pictures: Pictures, write: Write
) -> None:
    path = write("any.parquet", [encode(image) for image in pictures(3, 5, 5)], [0, 1, 1])
    raw = read(make_task(source="parquet", path=str(path)), path)
    assert list(raw.splits()) == ["train"]
    assert raw.names is None


def test_a_truncated_image_is_named_by_file_and_row(
    make_task: MakeTask, encode: Encode, pictures: Pictures, write: Write
) -> None:
    contents = [encode(image, "JPEG") for image in pictures(1500, 16, 16, 3)]
    contents[1234] = contents[1234][:-100]
    path = write("train.parquet", contents, [0, 1] * 750)
    message = _refusal(make_task, path.parent)
    assert message.startswith(f"{path}, row 1234: the image cannot be decoded (")


@pytest.mark.parametrize(("row", "label"), [(None, 1), (b"", 1), ("good", None)])
def test_empty_cells(
    make_task: MakeTask,
    encode: Encode,
    pictures: Pictures,
    write: Write,
    row: Any,
    label: int | None,
) -> None:
    good = encode(pictures(5, 5))
    path = write("train.parquet", [good, good if row == "good" else row], [0, label])
    assert f"{path}, row 1: " in _refusal(make_task, path)


def test_unequal_sizes(
    make_task: MakeTask, encode: Encode, pictures: Pictures, write: Write
) -> None:
    path = write("train.parquet", [encode(pictures(5, 5)), encode(pictures(5, 6))], [0, 1])
    assert f"{path}, row 1: 6x5 pixels" in _refusal(make_task, path)


def test_a_bomb_is_refused_at_its_first_image(
    tmp_path: Path, make_task: MakeTask, encode: Encode
) -> None:
    # one black image, said to be there a million times: 16 TiB
    count, image = 1_000_000, encode(np.zeros((4096, 4096), np.uint8))
    same = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([image]))
    table = pa.table(
        {"image": pa.StructArray.from_arrays([same], ["bytes"]), "label": np.arange(count) % 2}
    )
    path = tmp_path / "train.parquet"
    pq.write_table(table, path, store_schema=False)
    assert path.stat().st_size < 2**20
    message = _refusal(make_task, path)
    assert message.startswith(f"{path}, row 0: 1,000,000 images like this one")
    assert "46,875.0 GiB" in message  # three copies


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_truncated_file(
    make_task: MakeTask, encode: Encode, pictures: Pictures, write: Write, keep: int
) -> None:
    path = write("train.parquet", [encode(image) for image in pictures(9, 5, 5)], [0, 1, 2] * 3)
    path.write_bytes(path.read_bytes()[:keep])
    assert f"{path} is no readable Parquet file" in _refusal(make_task, path.parent)


def test_damage_in_the_middle(
    make_task: MakeTask, encode: Encode, pictures: Pictures, write: Write
) -> None:
    path = write("train.parquet", [encode(image) for image in pictures(90, 5, 5)], [0, 1, 2] * 30)
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(content)
    assert str(path) in _refusal(make_task, path.parent)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"picture": [1], "label": [1]}, "has no column image or img; it has picture: int64"),
        ({"image": [1], "label": [1]}, "image must be {bytes, path}; it has image: int64"),
        ({"image": [{"bytes": b"", "path": ""}]}, "has no column label of whole numbers"),
        ({"image": [{"bytes": b"", "path": ""}], "label": [0.5]}, "has no column label of whole"),
    ],
)
def test_other_columns(
    tmp_path: Path, make_task: MakeTask, table: dict[str, Any], message: str
) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table(table), path)
    assert message in _refusal(make_task, path)


def test_a_folder_without_training(tmp_path: Path, make_task: MakeTask) -> None:
    assert "holds neither train.parquet nor train-*.parquet" in _refusal(make_task, tmp_path)
    assert "does not exist" in _refusal(make_task, tmp_path / "nothing")


def test_real_traffic_signs(tmp_path: Path, make_task: MakeTask, shared_data: Path) -> None:
    # the test file alone: a third of the images says as much, in a third of the time
    path = shared_data / "gtsrb" / "test.parquet"
    task = make_task(source="parquet", path=str(path), val=0.1, test=2000, train=3000)
    prepare(task, tmp_path, tmp_path / "gtsrb.safetensors")
    data = load(tmp_path / "gtsrb.safetensors")
    assert (len(data.names), data.shape) == (43, (3, 32, 32))
    assert {name: len(labels) for name, labels in data.targets.items()} == {
        "train": 3000,
        "val": 1063,
        "test": 2000,
    }


def test_real_cifar(make_task: MakeTask, shared_data: Path) -> None:
    path = shared_data / "cifar10" / "test.parquet"
    raw = read(make_task(source="parquet", path=str(path)), path)
    assert raw.train.inputs.shape == (10_000, 32, 32, 3)
    assert np.bincount(raw.train.targets).tolist() == [1000] * 10
    # the means published for the original's test images
    mean = raw.train.inputs.mean((0, 1, 2)) / 255
    assert mean == pytest.approx([0.494, 0.485, 0.450], abs=0.002)


def test_a_footer_that_declares_more_rows_than_there_are(
    tmp_path: Path, make_task: MakeTask, encode: Encode, pictures: Pictures, write: Write
) -> None:
    """Else the rest of the images would be whatever the memory holds."""
    contents = [encode(image) for image in pictures(40, 4, 4)]
    path = write("train.parquet", contents, [0, 1] * 20)
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8]
    # Thrift's compact protocol: field 3 of FileMetaData, an i64 as zigzag varint; then a list
    assert footer.count(b"\x16\x50\x19") == 1

    def lie(rows: bytes) -> None:
        lying = footer.replace(b"\x16\x50\x19", b"\x16" + rows + b"\x19")
        path.write_bytes(data[: -8 - length] + lying + len(lying).to_bytes(4, "little") + b"PAR1")

    lie(b"\xa0\x9c\x01")
    assert pq.ParquetFile(path).metadata.num_rows == 10_000
    assert "10,000 images are declared, but 40 are there" in _refusal(make_task, path)
    with pytest.raises(PrunebenchError, match="declares 10,000 rows"):
        read_table(path)
    lie(b"\x04")
    assert "more images than the 2" in _refusal(make_task, path)


def test_columns_of_other_types_than_bytes_and_small_numbers(
    tmp_path: Path, make_task: MakeTask, encode: Encode, pictures: Pictures
) -> None:
    path, image = tmp_path / "x.parquet", encode(pictures(1, 4, 4)[0])
    for values in ([{"bytes": 3}], [{"bytes": "text"}], [{"bytes": [1, 2]}], [{"bytes": None}]):
        pq.write_table(pa.table({"image": values, "label": [0]}), path)
        assert "must be {bytes, path}" in _refusal(make_task, path)
    labels = pa.array([2**64 - 1], pa.uint64())
    pq.write_table(pa.table({"image": [{"bytes": image}], "label": labels}), path)
    assert "label 18446744073709551615 is out of range" in _refusal(make_task, path)
    twice = pa.Table.from_arrays(
        [pa.array([{"bytes": image}])] * 2 + [pa.array([0])], names=["image", "image", "label"]
    )
    pq.write_table(twice, path)
    assert "two columns are named 'image'" in _refusal(make_task, path)
    deep = {"huggingface": "[" * 100_000}
    table = pa.table({"image": [{"bytes": image}] * 2, "label": [0, 1]})
    pq.write_table(table.replace_schema_metadata(deep), path)
    assert read(make_task(source="parquet", path=str(path)), path).names is None
