"""Language modelling: the next token at every position."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.experiment.registry import task_kind
from prunebench.tasks.predictions import Floats, MeasureTable, Predictions
from prunebench.tasks.raw import Array, Raw
from prunebench.tasks.task_kind import KnownFacts, TaskKind, near

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prunebench.experiment.settings import Regime, Task

TABLE = MeasureTable("language-model", "translation")


@task_kind(
    inputs=("tokens",), targets="tokens", error="next-token error",
    formula="mean over tokens of [ŷ ≠ y]", unit="share of tokens", memorizes=False, distils=True,
)  # fmt: skip
def language_model() -> type[TaskKind]:
    """The next token; cross-entropy; the share of tokens whose most probable next is wrong."""
    return LanguageModel


@dataclass(frozen=True)
class TokenOutputs:
    """What is stored of positions [N, L]: the predicted token, the target's loss, the target."""

    stored: Floats  # [N, L, 3]

    @property
    def predicted(self) -> Floats:
        """The most probable next tokens [N, L]."""
        return self.stored[..., 0]

    @property
    def losses(self) -> Floats:
        """The negative log-likelihood of the targets in nat [N, L]; 0 where none counts."""
        return self.stored[..., 1]

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """The targets that the losses are of [N, L]."""
        return self.stored[..., 2].astype(np.int64)


class VocabularyFacts(KnownFacts):
    """What a language model's outputs stand for."""

    vocabulary: list[str] | tuple[str, ...]


class LanguageModel(TaskKind):
    """Targets int32 [N, L], 0 where none counts; a network gives logits [B, L, vocabulary].

    Stored are, of each position, the most probable token and the negative log-likelihood of the
    target: logits of a whole vocabulary would fill a disk.
    """

    name, measures, known = "language-model", TABLE, VocabularyFacts

    @classmethod
    def check(cls, raw: Raw, task: Task) -> dict[str, Any]:
        size = len(raw.facts.get("vocabulary") or ())
        if not size:
            raise PrunebenchError(
                f"task {task.name!r}: source {task.source!r} gives no vocabulary: the texts of its"
                " tokens"
            )
        for name, part in raw.splits().items():
            where = f"task {task.name!r}: {name}"
            if part.targets.dtype != np.int32 or part.targets.ndim != 2:
                raise PrunebenchError(
                    f"{where}: targets must be tokens int32 [N, L], got {part.targets.dtype} of"
                    f" shape {list(part.targets.shape)}"
                )
            for tokens in (part.inputs, part.targets):
                if (tokens < 0).any() or (tokens >= size).any():
                    raise PrunebenchError(f"{where}: a token is none of the {size} there are")
            nothing = np.flatnonzero(~(part.targets > 0).any(1))
            if len(nothing):
                raise PrunebenchError(f"{where}: sequence {nothing[0]} has nothing to predict")
        different = np.unique(raw.train.targets[raw.train.targets > 0])
        if len(different) < 2:
            only = raw.facts["vocabulary"][different[0]]
            raise PrunebenchError(
                f"task {task.name!r}: every token to predict is {only!r}: there is nothing to learn"
            )
        return {"names": []}

    @property
    def outputs(self) -> int:
        return len(self.facts["vocabulary"])

    def unfit(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> str | None:
        length = targets["train"].shape[1]
        # pretrained models have outputs to spare, which no token uses
        if outputs.ndim == 3 and outputs.shape[1] == length and outputs.shape[2] >= self.outputs:
            return None
        return (
            f"it gives outputs {list(outputs.shape[1:])}, not [{length}, {self.outputs}]: each"
            " token of the vocabulary, at each place of a text"
        )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy, a mean over the tokens that count."""
        from torch.nn import functional

        return functional.cross_entropy(
            outputs.reshape(-1, outputs.shape[-1]), targets.reshape(-1).long(), ignore_index=0
        )

    def keep(self, answers: Tensor, targets: Tensor) -> Tensor:
        import torch

        wanted = targets.long()
        nll = -answers.log_softmax(-1).gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
        nll = torch.where(wanted > 0, nll, torch.zeros_like(nll))
        return torch.stack([answers.argmax(-1).float(), nll, wanted.float()], -1)

    def divergence(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return T² · KL(teacher ‖ student), mean over all positions (Sanh 2019)."""
        from torch.nn import functional

        size = student.shape[-1]
        return temperature**2 * functional.kl_div(
            functional.log_softmax(student.float().reshape(-1, size) / temperature, 1),
            functional.log_softmax(teacher.float().reshape(-1, size) / temperature, 1),
            reduction="batchmean",
            log_target=True,
        )

    def places(self, targets: Tensor) -> Tensor:
        """Return where tokens count: noise is a share of the tokens."""
        return targets > 0

    def noise(
        self, clean: Tensor, regime: Regime, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Give tokens in a random order another token, uniform among the others but the padding."""
        import torch

        del regime
        order = torch.randperm(len(clean), generator=generator)
        others = self.outputs - 1  # tokens without the padding
        shifts = torch.randint(1, others, (len(clean),), generator=generator)
        return order, ((clean[order] - 1 + shifts) % others + 1).to(clean.dtype)

    def read(self, stored: Floats) -> TokenOutputs:
        return TokenOutputs(stored)

    def agrees(self, stored: Floats, found: Floats, tolerance: float) -> Array:
        """Return where the same tokens are predicted, with the same losses but for rounding."""
        counts = stored[..., 2] > 0
        same = (stored[..., 0] == found[..., 0]) | ~counts
        return np.asarray(same.all(1) & near(stored[..., 1], found[..., 1], tolerance))

    def errors(self, found: TokenOutputs, targets: Array) -> Floats:
        counts = targets > 0
        wrong: Floats = ((found.predicted != targets) & counts).sum(1) / counts.sum(1)
        return wrong

    def error(self, found: TokenOutputs, targets: Array) -> float:
        """Return the share of all tokens: longer sequences weigh more."""
        return token_error(found, targets)

    def nlls(self, found: TokenOutputs, targets: Array) -> Floats | None:
        """Return the mean over the tokens of each sequence; None for other targets than stored."""
        counts = targets > 0
        if not np.array_equal(np.where(counts, found.targets, 0), targets):
            return None
        losses: Floats = found.losses.sum(1) / counts.sum(1)
        return losses

    def constant_error(self, targets: Array) -> float:
        counted = np.asarray(targets)[np.asarray(targets) > 0]
        return 1 - float(np.bincount(counted).max()) / len(counted)

    def constant_spread(self, targets: Array) -> float:
        constant, tokens = self.constant_error(targets), int((np.asarray(targets) > 0).sum())
        return math.sqrt(constant * (1 - constant) / tokens)


def token_error(found: TokenOutputs, targets: Array) -> float:
    """Return the share of the tokens that count whose most probable prediction is another."""
    counts = targets > 0
    return float(((found.predicted != targets) & counts).sum() / counts.sum())


@TABLE.measure(
    better="lower", unit="1", formula="exp(mean over tokens of −log p_y)", source="Jelinek 1977"
)
def test_perplexity(p: Predictions) -> float:
    """Perplexity on the test split: among how many equally likely tokens one would hesitate."""
    found = p.outputs["test"]
    return float(np.exp(found.losses.sum() / (found.targets > 0).sum()))


@TABLE.measure(
    better="lower", unit="share", formula="min(1, mean over tokens of −log p_y / ln V), V outputs",
    source="Shannon 1951",
)  # fmt: skip
def test_uncertainty(p: Predictions) -> float:
    """Loss on the test tokens as a share of what guessing among all outputs alike would lose.

    Perplexity is V to this power, of V outputs. Unlike it, this has a bound: a mean over networks
    is not that of the one that lost everything. A loss that is no number counts as 1.
    """
    found = p.outputs["test"]
    loss = float(found.losses.sum() / (found.targets > 0).sum()) / math.log(p.kind.outputs)
    return min(1.0, loss) if math.isfinite(loss) else 1.0


@TABLE.measure(
    better="lower", unit="share", formula="mean over tokens of [ŷ ≠ y]", source="Jelinek 1977"
)
def test_token_error(p: Predictions) -> float:
    """Share of the test tokens that are not the most probable, given the right ones before them."""
    return token_error(p.outputs["test"], p.targets["test"])
