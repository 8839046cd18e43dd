"""Texts in the tokens of a pretrained model's own tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.settings import Task
from prunebench.tasks import hub
from prunebench.tasks.pretrained_tokens import Tokenizer
from prunebench.tasks.sources import reader
from tests.hub import COMMIT, TOKENS, fetched, saved

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    saved(made, "gpt2")
    return made


def test_names() -> None:
    assert HubName.named("words") is None
    assert HubName.named("hf:facebook/opt-125m") == HubName("facebook/opt-125m")
    pinned = HubName.named("hf:gpt2@refs/pr/1")
    assert pinned == HubName("gpt2", "refs/pr/1")
    assert str(pinned) == "hf:gpt2@refs/pr/1"


@pytest.mark.parametrize("name", ["hf:", "hf:/no/such/folder", "hf:a/b/c", "hf:a b"])
def test_what_is_neither_folder_nor_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no such folder, and no name of the hub"):
        Task(name="mine", source="text-files", path="x", tokens=name)


def test_the_commit_that_a_name_stands_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched(folder, "me/tiny", tmp_path, monkeypatch)
    for name in (HubName("me/tiny"), HubName("me/tiny", "main"), HubName("me/tiny", COMMIT)):
        assert hub.commit(name) == COMMIT
    assert Tokenizer(HubName("me/tiny")).facts()["tokenizer_commit"] == COMMIT
    assert hub.commit(HubName(str(folder))) is None
    assert "tokenizer_commit" not in Tokenizer(HubName(str(folder))).facts()
    with pytest.raises(PrunebenchError, match=r"hf:me/none: config\.json cannot be fetched: "):
        hub.commit(HubName("me/none"))


def test_a_running_text_by_hand(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat runs .\na bird sleeps")
    task = Task(
        name="mine", kind="language-model", source="text-files", path=str(tmp_path / "text.txt"),
        tokens=f"hf:{folder}", length=4,
    )  # fmt: skip
    raw = reader("text-files")(task, tmp_path)
    numbers = [
        TOKENS.index(w) if w in TOKENS else 0
        for w in ["the", "cat", "runs", ".", "a", "bird", "sleeps"]
    ]
    stream = [number + 1 for number in numbers]  # 0 pads
    assert raw.train.inputs.tolist() == [stream[:4], [*stream[4:6], 0, 0]]
    assert raw.train.targets.tolist() == [stream[1:5], [*stream[5:7], 0, 0]]
    assert raw.facts["vocabulary"] == ("", *TOKENS)
    assert [raw.facts["vocabulary"][t] for t in stream[:2]] == ["the", "cat"]


def test_texts_with_classes_are_cut_and_padded(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\nthe cat,x\na dog runs and then sleeps,y\n")
    task = Task(
        name="mine", source="text", path=str(tmp_path / "t.csv"), tokens=f"hf:{folder}", length=3
    )
    raw = reader("text")(task, tmp_path)
    expected = [["the", "cat"], ["a", "dog", "runs"]]
    rows = [[TOKENS.index(w) + 1 for w in words] for words in expected]
    assert raw.train.inputs.tolist() == [[*rows[0], 0], rows[1]]
    assert raw.train.inputs.dtype == np.int32


def test_a_vocabulary_of_ones_own_beside_a_tokenizer_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="has its own; leave it out"):
        Task(name="m", source="text-files", path="x", tokens=f"hf:{folder}", vocabulary=100)


def test_translations_are_not_cut_by_a_tokenizer(folder: Path, tmp_path: Path) -> None:
    task = Task(name="m", kind="translation", source="number-words", dataset="en-de",
                tokens=f"hf:{folder}")  # fmt: skip
    with pytest.raises(PrunebenchError, match="translations are cut into characters or words"):
        reader("number-words")(task, tmp_path)


def test_without_the_extra_its_name_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(hub, "import_module", missing)
    with pytest.raises(PrunebenchError, match=r"pip install 'prunebench\[text\]'"):
        hub.loaded("AutoTokenizer", HubName(str(folder)))


def test_a_folder_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"the folder has no config\.json"):
        hub.loaded("AutoTokenizer", HubName(str(tmp_path)))


def test_code_of_a_repository_is_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "config.json").write_text(
        '{"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}'
    )
    (tmp_path / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: pass\n")
    with pytest.raises(PrunebenchError, match="AutoConfig cannot load it"):
        hub.loaded("AutoConfig", HubName(str(tmp_path)))
    assert not ran.exists()


def test_a_folder_that_names_weights_of_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "theirs/net"}')
    for kind in ("AutoModelForCausalLM", "AutoTokenizer", "AutoConfig"):
        with pytest.raises(PrunebenchError, match="names other weights, which would be fetched"):
            hub.loaded(kind, HubName(str(tmp_path)))
