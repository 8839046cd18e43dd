"""Tiny models of transformers with random weights and a tokenizer of words, saved to folders."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

WORDS = ("the", "a", "cat", "dog", "runs", "sleeps", "and", "then", ".")
TOKENS = ("<unk>", "<end>", *WORDS)  # of the tokenizer, from 0
COMMIT = "0123456789abcdef0123456789abcdef01234567"  # that ``main`` stands for
_SMALL = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "opt": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64,
        "word_embed_proj_dim": 32, "max_position_embeddings": 64,
    },
    "llama": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "max_position_embeddings": 64, "tie_word_embeddings": False,
    },
    "bert": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "max_position_embeddings": 64,
    },
}  # fmt: skip


def saved(folder: Path, family: str, head: str = "AutoModelForCausalLM") -> Any:
    """Write a model, with weights as safetensors, and its tokenizer; return the model."""
    import transformers

    ends = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}
    configuration = transformers.AutoConfig.for_model(
        family, vocab_size=len(TOKENS), **ends, **_SMALL[family]
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = getattr(transformers, head).from_config(configuration)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return model.eval()


def save_tokenizer(folder: Path) -> None:
    """Write a tokenizer of single words and punctuation."""
    import tokenizers
    import transformers

    numbers = {text: number for number, text in enumerate(TOKENS)}
    own = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, unk_token="<unk>"))
    own.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=own, unk_token="<unk>", eos_token="<end>", pad_token="<end>"
    ).save_pretrained(folder)


def fetched(model: Path, name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the hub's cache hold a saved model under a name, and let nothing be fetched."""
    place = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(model, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
