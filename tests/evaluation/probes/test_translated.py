"""Greedy translations: what a table of successors writes, and a network's own error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.evaluation.probes.translated import translated
from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.settings import Model, Task, Training
from prunebench.tasks.forms import FORMS
from prunebench.tasks.kinds.translation import Translation
from prunebench.tasks.prepare import prepare
from prunebench.tasks.task_data import TaskData, load
from prunebench.training import models
from prunebench.training.loop import Samples, error_of, learning_rate, predict, train
from tests.kinds import classes

VOCABULARY = ["", "<unk>", "<sep>", "<end>", "one", "two", "un", "deux"]


class Successor(nn.Module):
    """The next token follows from the last one alone."""

    def __init__(self, after: dict[int, int]) -> None:
        super().__init__()
        table = torch.tensor([after.get(token, 3) for token in range(len(VOCABULARY))])
        self.table = nn.Parameter(functional.one_hot(table, len(VOCABULARY)).float())

    def forward(self, tokens: Tensor) -> Tensor:
        return self.table[tokens]


def _subject(model: nn.Module, tokens: Tensor, targets: Tensor) -> Subject:
    facts = {"names": [], "vocabulary": VOCABULARY, "separator": 2, "end": 3}
    return Subject(
        model.eval(), {}, {}, tokens, targets, tokens, targets, Translation(facts),
        FORMS["tokens"], lambda x: x.long(), (torch.zeros(0), torch.zeros(0)), 0, 10,
    )  # fmt: skip


def test_what_a_table_writes() -> None:
    """It always writes "un deux": right for the first pair, too long for the second."""
    tokens = torch.tensor([[4, 5, 2, 6, 7], [4, 2, 6, 0, 0]], dtype=torch.int32)
    targets = torch.tensor([[0, 0, 6, 7, 3], [0, 6, 3, 0, 0]], dtype=torch.int32)
    found = translated(_subject(Successor({2: 6, 6: 7, 7: 3}), tokens, targets))
    assert found["test_exact"] == 0.5
    assert found["test_bleu"] == 0  # it asks for four words in a row
    assert 0 < found["test_chrf"] < 1
    right = translated(_subject(Successor({2: 6, 6: 3}), tokens[1:], targets[1:]))
    assert right["test_exact"] == 1
    assert right["test_chrf"] == pytest.approx(1)
    # one that never ends fills the row, and stops
    endless = translated(_subject(Successor({2: 6, 6: 6}), tokens, targets))
    assert endless["test_exact"] == 0
    other = Subject(**{**vars(_subject(Successor({}), tokens, targets)), "kind": classes(3)})
    assert translated(other) == {}


def test_few_at_a_time_are_written_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits of two rows fit; what is written does not depend on it."""
    tokens = torch.tensor([[4, 5, 2, 6, 7], [4, 2, 6, 0, 0]], dtype=torch.int32).repeat(2, 1)[:3]
    targets = torch.tensor([[0, 0, 6, 7, 3], [0, 6, 3, 0, 0]], dtype=torch.int32).repeat(2, 1)[:3]
    shown: list[int] = []

    class Counted(Successor):
        def forward(self, tokens: Tensor) -> Tensor:
            shown.append(len(tokens))
            return super().forward(tokens)

    whole = translated(_subject(Counted({2: 6, 6: 3}), tokens, targets))
    assert set(shown) == {3}
    shown.clear()
    monkeypatch.setattr("prunebench.training.loop._OUTPUTS", 2 * 5 * len(VOCABULARY))
    assert translated(_subject(Counted({2: 6, 6: 3}), tokens, targets)) == whole
    assert set(shown) == {1, 2}
    assert whole["test_exact"] == pytest.approx(1 / 3)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    folder: Path = tmp_path_factory.mktemp("numbers")
    task = Task(
        name="n", kind="translation", source="number-words", dataset="en-fr", train=300, val=20,
        test=150,
    )  # fmt: skip
    prepare(task, folder, folder / "n.safetensors")
    return load(folder / "n.safetensors")


@pytest.mark.parametrize("epochs", [0, 30])
def test_its_error_is_that_of_the_task(numbers: TaskData, epochs: int) -> None:
    """A sequence is exact where greedy decoding gives it: two ways to one number."""
    model = models.create(Model(name="lstm-lm"), numbers.facts, seed=0)
    data = (numbers.inputs["train"], numbers.targets["train"])
    test = (numbers.inputs["test"], numbers.targets["test"])
    samples = Samples(*data, *test, numbers.kind, numbers.normalized)
    training = Training(epochs=max(epochs, 1), optimizer="adamw", learning_rate=0.02, batch_size=50)
    train(model, samples, training, seed=0, rate=learning_rate(training), stop=epochs)
    stored = predict(model, *test, numbers.kind, numbers.normalized)
    error = error_of(numbers.kind, stored, test[1])
    subject = Subject(
        model.eval(), {}, {}, *data, *test, numbers.kind, numbers.form, numbers.normalized,
        numbers.moments, 0, 10,
    )  # fmt: skip
    found = translated(subject)
    assert found["test_exact"] == pytest.approx(1 - error)
    assert epochs == 0 or error < 0.9  # else it would show little
