"""Texts as tokens of a pretrained model's own tokenizer: ``tokens: hf:owner/name``.

Its numbers are shifted by one, since 0 pads here and is no token: token t of a task is the
tokenizer's t − 1. The tokenizer's own padding is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunebench.errors import PrunebenchError
from prunebench.experiment.hub_name import HubName
from prunebench.storage.hashing import digest
from prunebench.tasks.hub import commit, loaded

SHIFT = 1  # from the tokenizer's numbers to a task's
TOKENIZER = "tokenizer"  # fact of a task: which tokenizer its tokens are of, by its vocabulary
COMMIT = "tokenizer_commit"  # fact of a task: the commit of the hub that its tokenizer is of


class Tokenizer:
    """A pretrained model's tokenizer, and its vocabulary as tasks have it."""

    def __init__(self, hub: HubName) -> None:
        """Load it.

        Raises:
            PrunebenchError: it cannot be loaded.
        """
        self._own: Any = loaded("AutoTokenizer", hub)
        numbers = self._own.get_vocab()
        if not numbers:
            raise PrunebenchError(f"{hub}: its tokenizer has no vocabulary")
        texts = {number: text for text, number in numbers.items()}
        known = (texts.get(number, f"<{number}>") for number in range(max(texts) + 1))
        self.vocabulary: tuple[str, ...] = ("", *known)
        self._commit = commit(hub)

    def facts(self) -> dict[str, Any]:
        """Return the facts of a task: the texts of its tokens, and what names the tokenizer."""
        own = {} if self._commit is None else {COMMIT: self._commit}
        return {"vocabulary": self.vocabulary, TOKENIZER: digest(self.vocabulary), **own}

    def running(self, text: str) -> NDArray[np.int32]:
        """Return the tokens of a running text, without those that mark beginnings and ends."""
        found = self._own(text, add_special_tokens=False, verbose=False)["input_ids"]
        return np.asarray(found, np.int32) + np.int32(SHIFT)

    def rows(self, texts: Sequence[str], length: int | None) -> list[NDArray[np.int32]]:
        """Return the tokens of each text, with those that the model expects around it.

        Args:
            texts: N texts.
            length: tokens to cut texts to, those around them included; None: they are not cut.
        """
        cut = {} if length is None else {"truncation": True, "max_length": length}
        found = self._own(list(texts), verbose=False, **cut)["input_ids"] if texts else []
        return [np.asarray(row, np.int32) + np.int32(SHIFT) for row in found]
