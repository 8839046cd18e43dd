"""Probe: translations that a network writes itself, word by word."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.registry import probe
from prunebench.pruning.modes import evaluating
from prunebench.tasks.kinds.translation import Translation
from prunebench.training.loop import at_once, logits_of


@torch.no_grad()
def decoded(model: nn.Module, sources: Tensor, starts: Tensor, end: int) -> Tensor:
    """Return sequences that the network goes on with greedily, [N, L].

    Args:
        model: gives logits [N, L − 1, vocabulary] of tokens int64 [N, L − 1].
        sources: int64 [N, L]: what is given, and 0 behind it.
        starts: [N], how many tokens are given.
        end: the token after which nothing is written.
    """
    tokens = sources.clone()
    rows = torch.arange(len(tokens), device=tokens.device)
    writing = starts < tokens.shape[1]
    place = starts.clone()
    with evaluating(model):
        while bool(writing.any()):
            logits = logits_of(model(tokens[:, :-1]))  # nothing follows the last place
            before = (place - 1).clamp(max=logits.shape[1] - 1)
            chosen = logits[rows, before].argmax(-1)
            tokens[rows[writing], place[writing]] = chosen[writing]
            place = torch.where(writing, place + 1, place)
            writing = writing & (chosen != end) & (place < tokens.shape[1])
    return tokens


def texts(tokens: Tensor, starts: Tensor, end: int, vocabulary: list[str], glue: str) -> list[str]:
    """Return what stands behind the starts of rows [N, L], up to the end or the padding."""
    found = []
    for row, start in zip(tokens.tolist(), starts.tolist(), strict=True):
        words = []
        for token in row[start:]:
            if token in (0, end):
                break
            words.append(vocabulary[token])
        found.append(glue.join(words))
    return found


@probe(
    columns={
        "test_chrf": "chrF: F₂ of n-grams of up to six characters, over 100",
        "test_bleu": "BLEU of up to four words, with its brevity penalty, over 100",
        "test_exact": "share of test sequences that greedy decoding gives exactly",
    },
    better="higher",
    unit="share",
    source="Popović 2015; Papineni 2002; Post 2018",
    kinds=("translation",),
)
def translated(subject: Subject) -> dict[str, float]:
    """Greedy translations of the test split against the right ones, by sacrebleu."""
    kind = subject.kind
    if not isinstance(kind, Translation):
        return {}  # the columns stay empty
    import sacrebleu

    separator, end = kind.facts["separator"], kind.facts["end"]
    tokens, targets = subject.test_inputs.long(), subject.test_targets.long()
    starts = (tokens == separator).int().argmax(1) + 1
    places = torch.arange(tokens.shape[1], device=tokens.device)
    given = tokens * (places < starts[:, None])
    # the last target stands one place behind the last input
    room = torch.cat([given, given.new_zeros(len(given), 1)], 1)
    batch = at_once(kind, targets)
    found = torch.cat(
        [
            decoded(subject.model, part, begun, end)
            for part, begun in zip(room.split(batch), starts.split(batch), strict=True)
        ]
    )
    following = torch.cat([tokens[:, 1:], tokens.new_zeros(len(tokens), 1)], 1)
    right = torch.cat([tokens[:, :1], torch.where(targets > 0, targets, following)], 1)
    vocabulary = list(kind.facts["vocabulary"])
    whole = [word for word in vocabulary[1:] if not word.startswith("<")]
    glue = " " if max(map(len, whole), default=2) > 1 else ""  # characters stand side by side
    said, wanted = (texts(each, starts, end, vocabulary, glue) for each in (found, right))
    exact = sum(one == other for one, other in zip(said, wanted, strict=True))
    return {
        "test_chrf": sacrebleu.corpus_chrf(said, [wanted]).score / 100,
        "test_bleu": sacrebleu.corpus_bleu(said, [wanted], tokenize="none").score / 100,
        "test_exact": exact / len(said),
    }
