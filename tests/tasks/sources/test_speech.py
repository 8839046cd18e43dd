"""Recordings of words in every layout, whole and broken."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources.speech import check, read, speaker_of

from ..conftest import MakeTask


def wav(pitch: float = 500, rate: int = 8000, seconds: float = 0.2) -> bytes:
    signal = np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(signal * 30_000).astype("<i2").tobytes())
    return buffer.getvalue()


def write(path: Path, content: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav() if content is None else content)
    return path


def parquet(path: Path, contents: list[Any], labels: list[int], names: list[str]) -> Path:
    audio = [
        {"bytes": content, "path": name} for content, name in zip(contents, names, strict=True)
    ]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"audio": pa.array(audio, kind), "label": labels}), path)
    return path


def labels(raw: Any) -> dict[str, list[int]]:
    return {name: split.targets.tolist() for name, split in raw.splits().items()}


def refusal(task: Any, path: Path) -> str:
    with pytest.raises(PrunebenchError) as caught:
        read(task, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folders_of_words(tmp_path: Path, make_task: MakeTask) -> None:
    for name in ("train/yes/1", "train/no/1", "train/no/2", "test/yes/3"):
        write(tmp_path / f"{name}.wav")
    raw = read(make_task(source="speech", path=str(tmp_path)), tmp_path)
    assert raw.names == ("no", "yes")
    assert labels(raw) == {"train": [0, 0, 1], "test": [1]}
    write(tmp_path / "test" / "yess" / "1.wav")
    message = refusal(make_task(source="speech", path=str(tmp_path)), tmp_path)
    assert "no word 'yess' in training; did you mean 'yes'?" in message


@pytest.mark.parametrize("dataset", [None, "SpeechCommands"])
def test_speech_commands(tmp_path: Path, make_task: MakeTask, dataset: str | None) -> None:
    for word in ("go", "stop"):
        for number in range(4):
            write(tmp_path / word / f"{number}a_nohash_0.wav")
    write(tmp_path / "_background_noise_" / "rain.wav")
    (tmp_path / "validation_list.txt").write_text("go/1a_nohash_0.wav\n")
    (tmp_path / "testing_list.txt").write_text("go/2a_nohash_0.wav\nstop/2a_nohash_0.wav\n")
    task = make_task(source="speech", dataset=dataset, path=str(tmp_path))
    raw = read(task, tmp_path)
    assert raw.names == ("go", "stop")
    assert labels(raw) == {"train": [0, 0, 1, 1, 1], "val": [0], "test": [0, 1]}
    (tmp_path / "testing_list.txt").write_text("stop/0a_nohash_0.wav\ngo/9a_nohash_0.wav\n")
    assert "testing_list.txt, line 2: 'go/9a_nohash_0.wav' is not there" in refusal(task, tmp_path)
    (tmp_path / "testing_list.txt").write_text("go/1a_nohash_0.wav\n")
    assert "or is listed twice" in refusal(task, tmp_path)


def test_fsdd_as_its_authors_split_it(tmp_path: Path, make_task: MakeTask) -> None:
    for digit in (3, 7):
        for take in (0, 4, 5, 49):
            write(tmp_path / "x" / "recordings" / f"{digit}_ann_{take}.wav")
    task = make_task(source="speech", dataset="FSDD", path=str(tmp_path))
    raw = read(task, tmp_path)
    assert raw.names == tuple("0123456789")
    assert labels(raw) == {"train": [3, 3, 7, 7], "test": [3, 3, 7, 7]}
    write(tmp_path / "x" / "recordings" / "three.wav")
    assert "FSDD's files are named <digit>_<speaker>_<take>.wav" in refusal(task, tmp_path)


def test_parquet(tmp_path: Path, make_task: MakeTask) -> None:
    names = ["1_ann_9.wav", "0_bob_9.wav", "1_bob_9.wav"]
    parquet(tmp_path / "train.parquet", [wav(), wav(900), wav()], [1, 0, 1], names)
    parquet(tmp_path / "test.parquet", [wav()], [1], ["1_ann_0.wav"])
    raw = read(make_task(source="speech", path=str(tmp_path)), tmp_path)
    assert raw.names == ("0", "1")
    assert labels(raw) == {"train": [1, 0, 1], "test": [1]}
    task = make_task(source="speech", path=str(tmp_path), speech={"words": 3})
    joined = read(task, tmp_path)
    assert joined.facts == {"target_vocabulary": ("", "0", "1")}
    assert joined.train.targets[0].max() == joined.train.targets[0][0] == 2  # ann says 1 only


def test_who_speaks() -> None:
    assert speaker_of("7_jackson_32.wav") == "jackson"
    assert speaker_of("0a7c2a8d_nohash_1.wav") == "0a7c2a8d"
    assert speaker_of("hello.wav") == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ID3 an MP3", "row 1: no readable WAV file ("),
        (None, "row 1: audio holds no bytes; it must be {bytes, path}"),
        (wav()[:-10], "row 1: no readable WAV file (10 bytes fewer"),
        (wav(rate=16_000), "row 1: 16000 samples a second, "),
    ],
)
def test_broken_recordings_are_named_by_their_row(
    tmp_path: Path, make_task: MakeTask, content: bytes | None, message: str
) -> None:
    path = parquet(tmp_path / "train.parquet", [wav(), content], [0, 1], ["", ""])
    found = refusal(make_task(source="speech", path=str(tmp_path)), tmp_path)
    assert found.startswith(f"{path}, {message}")


def test_other_rates_are_resampled_where_asked(tmp_path: Path, make_task: MakeTask) -> None:
    parquet(tmp_path / "train.parquet", [wav(), wav(rate=16_000)], [0, 1], ["", ""])
    task = make_task(source="speech", path=str(tmp_path), speech={"rate": 8000})
    images = read(task, tmp_path).train.inputs.astype(int)
    assert np.abs(images[0] - images[1])[images[0] > 180].max() <= 3


def test_nothing_there(tmp_path: Path, make_task: MakeTask) -> None:
    task = make_task(source="speech", path=str(tmp_path))
    assert "has no folder of a word; path: must be" in refusal(task, tmp_path)
    (tmp_path / "train" / "yes").mkdir(parents=True)
    assert "holds no .wav or .flac file" in refusal(task, tmp_path)
    parquet(tmp_path / "train.parquet", [wav()], [0], [""])
    pq.write_table(pa.table({"sound": [1], "label": [0]}), tmp_path / "train.parquet")
    assert "has no column 'audio'" in refusal(task, tmp_path)
    with pytest.raises(PrunebenchError, match="unknown dataset 'FSD'; did you mean 'FSDD'"):
        check(make_task(source="speech", dataset="FSD"))


@pytest.mark.parametrize("words", [None, 5])
def test_the_real_digits(make_task: MakeTask, shared_data: Path, words: int | None) -> None:
    task = make_task(
        source="speech", dataset="FSDD", path=str(shared_data / "fsdd"),
        length=None if words else 64, speech={"words": words},
    )  # fmt: skip
    raw = read(task, shared_data)
    assert raw.test is not None
    frames = raw.train.inputs.shape[2]
    assert raw.test.inputs.shape == (300, 32, frames, 1)
    if words is None:
        assert raw.train.inputs.shape == (2700, 32, 64, 1)
        assert np.bincount(raw.test.targets).tolist() == [30] * 10
    else:  # a tenth of the rows is for validation
        assert raw.val is not None
        assert raw.train.inputs.shape == (2430, 32, frames, 1)
        assert raw.val.inputs.shape == (270, 32, frames, 1)
        assert set((raw.test.targets > 0).sum(1).tolist()) == {1, 2, 3, 4, 5}
