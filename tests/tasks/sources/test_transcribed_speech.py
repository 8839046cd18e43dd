"""Sentences with their transcripts, in LibriSpeech's layout and in Parquet, whole and broken."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.tasks.downloads import Remote
from prunebench.tasks.log_mel import frames_of, log_mel
from prunebench.tasks.prepare import prepare
from prunebench.tasks.sources.transcribed_speech import DATASETS, check, download, read
from prunebench.tasks.task_data import load

from ..conftest import MakeTask

RATE = 16_000


def tone(pitch: float, seconds: float) -> Any:
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * RATE)) / RATE)


def sound(form: str = "FLAC", pitch: float = 500, seconds: float = 0.3) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(pitch, seconds), RATE, format=form, subtype="PCM_16")
    return buffer.getvalue()


def chapter(folder: Path, speaker: int, lines: list[str], seconds: float = 0.3) -> Path:
    """A chapter as LibriSpeech has it: <speaker>/<chapter>/<speaker>-<chapter>-0000.flac …"""
    place = folder / str(speaker) / "7"
    place.mkdir(parents=True, exist_ok=True)
    names = [f"{speaker}-7-{number:04}" for number in range(len(lines))]
    for number, name in enumerate(names):
        (place / f"{name}.flac").write_bytes(sound(pitch=400 + 50 * number, seconds=seconds))
    listed = place / f"{speaker}-7.trans.txt"
    listed.write_text(
        "".join(f"{name} {line}\n" for name, line in zip(names, lines, strict=True)), "utf-8"
    )
    return listed


def library(root: Path) -> Path:
    chapter(root / "train", 19, ["A CAB", "BAD"])
    chapter(root / "train", 26, ["DAB"])
    chapter(root / "test", 61, ["BAD CAB"], seconds=0.5)
    return root


def spelled(raw: Any, split: str = "train") -> list[str]:
    letters = raw.facts["target_vocabulary"]
    return ["".join(letters[t] for t in row) for row in raw.splits()[split].targets]


def refusal(task: Any, path: Path) -> str:
    with pytest.raises(PrunebenchError) as caught:
        read(task, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def task(make_task: MakeTask, tmp_path: Path) -> Any:
    return make_task(
        kind="speech-recognition", source="transcribed-speech", path=str(tmp_path),
        tokens="characters",
    )  # fmt: skip


def test_a_folder_in_librispeechs_layout(tmp_path: Path, task: Any) -> None:
    raw = read(task, library(tmp_path))
    assert raw.facts == {"target_vocabulary": ("", " ", "a", "b", "c", "d"), "spelled": True}
    assert spelled(raw) == ["a cab", "bad", "dab"]
    assert raw.test is not None
    assert spelled(raw, "test") == ["bad cab"]
    frames = frames_of(RATE // 2, RATE, task.speech)  # of the longest, in whatever split
    assert raw.train.inputs.shape == (3, 32, frames, 1)
    heard = np.round(tone(450, 0.3) * 32768) / 32768  # "BAD", the second of its chapter
    expected = log_mel(heard, RATE, task.speech, frames).astype(int)
    assert np.abs(raw.train.inputs[1].astype(int) - expected).max() <= 1


def test_words_are_taken_whole_where_training_says_them_all(tmp_path: Path, task: Any) -> None:
    task = task.model_copy(update={"tokens": "words"})
    raw = read(task, library(tmp_path))
    assert raw.facts == {"target_vocabulary": ("", "a", "bad", "cab", "dab"), "spelled": False}
    assert raw.train.targets.tolist() == [[1, 3], [2, 0], [4, 0]]


def test_what_training_never_says_is_refused(tmp_path: Path, task: Any) -> None:
    library(tmp_path)
    chapter(tmp_path / "test", 61, ["BAD CABS"])
    assert "61-7.trans.txt, line 1: 's' is nowhere in training" in refusal(task, tmp_path)
    message = refusal(task.model_copy(update={"tokens": "words"}), tmp_path)
    assert "'cabs' is nowhere in training; did you mean 'cab'?" in message
    assert "; tokens: characters spells words" in message


@pytest.mark.parametrize("inside", ["LibriSpeech", "."])
@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_the_official_folders(
    tmp_path: Path, make_task: MakeTask, dataset: str, inside: str
) -> None:
    for number, remote in enumerate(DATASETS[dataset]):
        folder = remote.url.rsplit("/", 1)[-1].removesuffix(".tar.gz")
        chapter(tmp_path / inside / folder, number, ["ABC", "CAB", "BA"][number:])
    task = make_task(
        source="transcribed-speech", dataset=dataset, path=str(tmp_path), tokens="characters"
    )
    raw = read(task, tmp_path)
    assert [len(split) for split in raw.splits().values()] == [3, 2, 1]
    (tmp_path / inside / folder).rename(tmp_path / "elsewhere")
    assert f"holds no folder test-clean of {dataset}" in refusal(task, tmp_path)


def test_what_is_downloaded_is_read(
    tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From archives as OpenSLR has them: LibriSpeech/<folder>/<speaker>/<chapter>/…"""
    remotes = []
    for number, folder in enumerate(("train-clean-5", "dev-clean-2", "test-clean")):
        chapter(tmp_path / folder / "LibriSpeech" / folder, number, ["ABC", "CAB", "BA"][number:])
        target = tmp_path / f"{folder}.tar.gz"
        with tarfile.open(target, "w:gz") as archive:
            archive.add(tmp_path / folder / "LibriSpeech", "LibriSpeech")
        sum_ = hashlib.md5(target.read_bytes(), usedforsecurity=False).hexdigest()
        remotes.append(Remote(target.as_uri(), "md5", sum_))
    monkeypatch.setitem(DATASETS, "MiniLibriSpeech", tuple(remotes))
    given = config.presets("tasks")["mini-librispeech"]
    task = make_task(**given)
    download(task, tmp_path / "raw")
    raw = read(task, tmp_path / "raw")
    assert {name: spelled(raw, name) for name in raw.splits()} == {
        "train": ["abc", "cab", "ba"], "val": ["cab", "ba"], "test": ["ba"],
    }  # fmt: skip


def test_long_recordings_are_left_out_where_asked(tmp_path: Path, task: Any) -> None:
    library(tmp_path)
    chapter(tmp_path / "train", 99, ["ABCD ABCD"], seconds=1.0)
    chapter(tmp_path / "test", 99, ["AB"], seconds=0.4)
    speech = task.speech.model_copy(update={"seconds": 0.4})
    raw = read(task.model_copy(update={"speech": speech}), tmp_path)
    assert spelled(raw) == ["a cab", "bad", "dab"]
    assert raw.test is not None
    assert [text.strip() for text in spelled(raw, "test")] == ["ab"]
    short = task.speech.model_copy(update={"seconds": 0.01})
    message = refusal(task.model_copy(update={"speech": short}), tmp_path)
    assert message.endswith(
        "every recording of the train split is longer than speech.seconds: 0.01"
    )


def test_parquet(tmp_path: Path, task: Any) -> None:
    audio = pa.array(
        [{"bytes": sound(), "path": "1.flac"}, {"bytes": sound("WAV"), "path": "2.wav"}],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    for split in ("train", "validation", "test"):
        pq.write_table(
            pa.table({"audio": audio, "text": ["AB", "BA"]}), tmp_path / f"{split}.parquet"
        )
    raw = read(task, tmp_path)
    assert spelled(raw) == ["ab", "ba"]
    assert list(raw.splits()) == ["train", "val", "test"]
    # without loss: the same sound in both
    assert np.array_equal(raw.train.inputs[0], raw.train.inputs[1])
    named = task.model_copy(update={"target": "sentence"})
    assert "has no column 'sentence'" in refusal(named, tmp_path)
    pq.write_table(pa.table({"audio": audio, "text": ["AB", " "]}), tmp_path / "test.parquet")
    assert refusal(task, tmp_path).endswith("test.parquet, row 1: text is empty")


def test_files_that_do_not_belong_together(tmp_path: Path, task: Any) -> None:
    assert "has no folder train; path: must be a folder of train/" in refusal(task, tmp_path)
    (tmp_path / "train").mkdir()
    assert refusal(task, tmp_path).endswith("train holds no *.trans.txt")
    (tmp_path / "train" / "1-7.trans.txt").write_text("\n")
    assert refusal(task, tmp_path).endswith("train holds no .wav or .flac file")
    (tmp_path / "train" / "1-7.trans.txt").unlink()
    listed = chapter(tmp_path / "train", 1, ["AB", "BA", "B"])
    whole = listed.read_text("utf-8")
    listed.write_text(whole.replace("1-7-0001 BA\n", ""), "utf-8")
    assert "1-7-0001.flac has no line in a *.trans.txt beside it" in refusal(task, tmp_path)
    listed.write_text(whole.replace("BA\n", "\n"), "utf-8")
    assert f"{listed}, line 2: 1-7-0001 has no words" in refusal(task, tmp_path)
    listed.write_text(whole.replace("0001 BA", "0009 BA"), "utf-8")
    assert f"{listed}, line 2: 1-7-0009 is not beside it" in refusal(task, tmp_path)
    listed.write_text(whole + "1-7-0001 BA\n", "utf-8")
    assert f"{listed}, line 4: 1-7-0001 is not beside it, or is listed twice" in refusal(
        task, tmp_path
    )
    listed.write_text(whole, "utf-8")
    (listed.parent / "1-7-0001.flac").write_bytes(sound()[:500])
    assert "1-7-0001.flac: no readable FLAC file (" in refusal(task, tmp_path)
    listed.write_bytes(whole.encode() + b"\xff")
    assert f"{listed}, line 4: byte 0xff is not UTF-8" in refusal(task, tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dataset": "LibriSpeach"}, "unknown dataset 'LibriSpeach'; did you mean 'LibriSpeech'"),
        ({}, "needs path: a folder of train/"),
        (
            {"dataset": "LibriSpeech", "tokens": "hf:owner/name"},
            "tokens: must be characters or words, not hf:owner/name",
        ),
        ({"dataset": "LibriSpeech", "vocabulary": 20}, "leave out vocabulary"),
        ({"dataset": "LibriSpeech", "speech": {"words": 2}}, "speech.words: joins recordings"),
    ],
)
def test_settings_that_it_cannot_take(
    make_task: MakeTask, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(PrunebenchError) as caught:
        check(make_task(source="transcribed-speech", **given))
    assert message in str(caught.value)


def test_seconds_are_of_this_source_and_name_no_other_result(make_task: MakeTask) -> None:
    with pytest.raises(ValueError, match=r"speech\.seconds: is for source transcribed-speech, not"):
        make_task(source="speech", speech={"seconds": 3})
    mine = make_task(source="transcribed-speech", path="x", speech={"seconds": 3})
    assert mine.settings()["speech"]["seconds"] == 3
    assert "seconds" not in make_task(source="speech", path="x").settings()["speech"]


def test_it_is_prepared_as_its_kind_takes_it(tmp_path: Path, task: Any) -> None:
    chapter(library(tmp_path) / "train", 30, ["DAB", "BAD"])
    prepare(task.model_copy(update={"val": 1}), tmp_path, tmp_path / "data.safetensors")
    data = load(tmp_path / "data.safetensors")
    assert {name: len(rows) for name, rows in data.targets.items()} == {
        "train": 4, "val": 1, "test": 1,
    }  # fmt: skip
    assert data.kind.outputs == 6
    assert data.kind.facts["spelled"] is True
