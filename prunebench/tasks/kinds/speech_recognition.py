"""Speech recognition: a sequence of words for a recording, without an alignment (CTC)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import task_kind
from prunebench.tasks.predictions import Floats, MeasureTable, Predictions
from prunebench.tasks.raw import Array, Raw
from prunebench.tasks.task_kind import (
    KnownFacts,
    TaskKind,
    at_least_single,
    near,
    targets_of_others,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prunebench.experiment.settings import Regime, Task

TABLE = MeasureTable("speech-recognition")
Words = tuple[int, ...]
SPARE = 2  # times the longest target: what is decoded beyond is not stored; it is wrong anyhow


@task_kind(
    inputs=("pixels",), targets="tokens", error="edit error",
    formula="mean(min(1, edits(ŷ, y) / |y|))", unit="share of tokens", augments=False,
)  # fmt: skip
def speech_recognition() -> type[TaskKind]:
    """Words or characters of a recording, without an alignment (CTC); edits over what is said."""
    return SpeechRecognition


@dataclass(frozen=True)
class Decoded:
    """What is stored of recordings: the words decoded, 0 pads, and at last the loss in nat."""

    stored: Floats  # [N, W + 1]

    @cached_property
    def words(self) -> list[Words]:
        """The words decoded of each recording."""
        return [_words(row) for row in self.stored[:, :-1]]


def _words(row: Array) -> Words:
    return tuple(int(word) for word in row if word > 0)


class SpokenFacts(KnownFacts):
    """What the outputs of speech recognition stand for."""

    target_vocabulary: list[str] | tuple[str, ...]
    spelled: bool = False  # whether it is of characters, with a space between words


class SpeechRecognition(TaskKind):
    """Targets int32 [N, L], 0 pads; a network gives logits [B, T, vocabulary], 0 is the blank.

    Decoded greedily: the most probable of every frame, repetitions merged, blanks left out
    (Graves 2006, section 3.2).
    """

    name, measures, known = "speech-recognition", TABLE, SpokenFacts

    @classmethod
    def check(cls, raw: Raw, task: Task) -> dict[str, Any]:
        names = raw.facts.get("target_vocabulary") or ()
        if not names:
            raise PrunebenchError(
                f"task {task.name!r}: source {task.source!r} gives no target_vocabulary: the words"
                " that its targets are made of"
            )
        for name, part in raw.splits().items():
            where = f"task {task.name!r}: {name}"
            if part.targets.dtype != np.int32 or part.targets.ndim != 2:
                raise PrunebenchError(
                    f"{where}: targets must be words int32 [N, L], got {part.targets.dtype} of"
                    f" shape {list(part.targets.shape)}"
                )
            if (part.targets < 0).any() or (part.targets >= len(names)).any():
                raise PrunebenchError(f"{where}: a word is outside of the {len(names)} there are")
            silent = np.flatnonzero(~(part.targets > 0).any(1))
            if len(silent):
                raise PrunebenchError(f"{where}: recording {silent[0]} has no words")
        return {"names": []}

    @property
    def outputs(self) -> int:
        return len(self.facts["target_vocabulary"])

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each recording over its number of words, a mean over the batch."""
        return (self._losses(outputs, targets) / (targets > 0).sum(1)).mean()

    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-likelihood of each recording's words in nat [B]."""
        import torch
        from torch.nn import functional

        frames = torch.full((len(outputs),), outputs.shape[1], dtype=torch.long)
        return functional.ctc_loss(
            at_least_single(outputs).log_softmax(-1).transpose(0, 1), targets.long(), frames,
            (targets > 0).sum(1).cpu(), blank=0, reduction="none", zero_infinity=True,
        )  # fmt: skip

    def unfit(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> str | None:
        """Refuse too few steps: each token takes one, and a blank parts it from its like."""
        if outputs.ndim != 3 or outputs.shape[2] != self.outputs:
            return (
                f"it gives outputs {list(outputs.shape[1:])}, not [steps, {self.outputs}]: the"
                " blank and each token, at each step"
            )
        steps = outputs.shape[1]
        for split, said in targets.items():
            again = ((said[:, 1:] == said[:, :-1]) & (said[:, 1:] > 0)).sum(1)
            needed = int(((said > 0).sum(1) + again).max())
            if needed > steps:
                return (
                    f"it gives {steps} steps, and a transcript of the {split} split needs {needed};"
                    " lower speech.hop"
                )
        return None

    def keep(self, answers: Tensor, targets: Tensor) -> Tensor:
        import torch

        best = answers.argmax(-1)  # [B, T]
        new = torch.ones_like(best, dtype=torch.bool)
        new[:, 1:] = best[:, 1:] != best[:, :-1]
        said = new & (best > 0)
        width = SPARE * targets.shape[1]
        words = torch.zeros(len(best), width, device=best.device)
        place = said.cumsum(1) - 1
        rows, columns = (said & (place < width)).nonzero(as_tuple=True)
        words[rows, place[rows, columns]] = best[rows, columns].float()
        return torch.cat([words, self._losses(answers, targets)[:, None]], 1)

    def noise(
        self, clean: Tensor, regime: Regime, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Give recordings in a random order the words of another one that says something else."""
        del regime
        return targets_of_others(clean, generator)

    def read(self, stored: Floats) -> Decoded:
        return Decoded(stored)

    def agrees(self, stored: Floats, found: Floats, tolerance: float) -> Array:
        """Return where the same words are heard, with the same losses but for rounding."""
        same = (stored[:, :-1] == found[:, :-1]).all(1)
        return np.asarray(same & near(stored[:, -1:], found[:, -1:], tolerance))

    def errors(self, found: Decoded, targets: Array) -> Floats:
        said = [_words(row) for row in targets]
        shares = [
            min(1.0, edits(heard, words) / len(words))
            for heard, words in zip(found.words, said, strict=True)
        ]
        return np.array(shares)

    def constant_error(self, targets: Array) -> float:
        """Return the error of hearing nothing: 1; saying the commonest word is hardly better."""
        return 1.0

    def constant_spread(self, targets: Array) -> float:
        return 0.025  # one word in twenty right is more than any constant answer gives


def edits(heard: Sequence[Hashable], said: Sequence[Hashable]) -> int:
    """Return the least number of tokens to put in, leave out or exchange (Levenshtein 1966)."""
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(heard, said))


@TABLE.measure(better="lower", unit="share", formula="Σ edits(ŷ, y) / Σ |y|", source="Morris 2004")
def test_word_error_rate(p: Predictions) -> float:
    """Edits over the words said, on the whole test split; above 1 where too much is heard."""
    heard = _as_words(p.outputs["test"].words, p)
    said = _as_words([_words(row) for row in p.targets["test"]], p)
    return sum(map(edits, heard, said)) / sum(map(len, said))


def _as_words(every: Sequence[Words], p: Predictions) -> list[Sequence[Hashable]]:
    """Return the words of texts, also where their tokens are characters."""
    if not p.kind.facts.get("spelled"):
        return list(every)
    letters = p.kind.facts["target_vocabulary"]
    return ["".join(letters[token] for token in text).split() for text in every]
