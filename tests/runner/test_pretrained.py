"""A pretrained language model through `run`: pruned in one shot without training, by perplexity."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from tests.hub import saved

pytest.importorskip("transformers")
NONE = {"recovery": "none", "allocation": "per-row"}
GRID: dict[str, Any] = {
    "experiment": "pretrained",
    "regimes": ["clean"],
    "seeds": [0],
    "methods": [
        {"name": "magnitude", **NONE},
        "wanda",
        {"name": "sparsegpt", **NONE},
        "wanda-2-4",
    ],
    "sparsities": [0.5],
    "training": {"epochs": 0, "batch_size": 8},
}


def text(lines: int, seed: int) -> str:
    """Sentences of a grammar that leaves little to guess."""
    draw = random.Random(seed)
    said = []
    for _ in range(lines):
        who = draw.choice(["the cat", "a dog"])
        said.append(f"{who} {'runs' if 'cat' in who else 'sleeps'} and then {who} sleeps .")
    return "\n".join(said)


def grid(folder: Path, tokens: str, **changes: Any) -> dict[str, Any]:
    for split, lines in (("train", 60), ("val", 12), ("test", 20)):
        (folder / f"{split}.txt").write_text(text(lines, len(split)))
    task = {
        "name": "sentences", "kind": "language-model", "source": "text-files",
        "path": str(folder), "tokens": tokens, "length": 12,
    }  # fmt: skip
    return {**GRID, "tasks": [task], **changes}


def train(model: Any, folder: Path) -> None:
    """Train the saved model on the text, so that its weights are worth something."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    stream = torch.tensor(tokenizer(text(60, len("train")))["input_ids"])
    rows = stream[: len(stream) // 12 * 12].view(-1, 12)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(40):
        optimizer.zero_grad()
        model(input_ids=rows, labels=rows).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", "opt", "llama"])
def test_through_run(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = saved(tmp_path / "model", family)
    train(model, tmp_path / "model")
    (tmp_path / "texts").mkdir()
    name = f"hf:{tmp_path / 'model'}"
    exclude = {"gpt2": ["*.wpe"], "opt": ["*embed_positions"], "llama": ["*embed_tokens"]}
    settings = grid(
        tmp_path / "texts", name, prunable={"exclude": exclude[family]},
        models=[{"name": family, "architecture": name, "pretrained": True}],
    )  # fmt: skip
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "prunebench", "run", "grid.yaml"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cells = pd.read_csv(tmp_path / "results/pretrained/cells.csv").set_index("method")
    assert set(cells["status"]) == {"ok"}
    assert set(cells["train_epochs"]) == {0}
    assert (cells.drop("dense")["sparsity_achieved"] - 0.5).abs().max() < 1e-6
    perplexity = cells["test_perplexity"]
    assert perplexity["dense"] < 2  # of 11 tokens
    # what compensates on the training text may gain what pruning cost
    assert (perplexity.drop(["dense", "sparsegpt"]) > perplexity["dense"]).all()
    assert perplexity["sparsegpt"] < perplexity["magnitude"]
    assert cells["weights_hash"].notna().all()
    # by the library itself
    own = load_file(next((tmp_path / "results").rglob("targets.safetensors")))["test"]
    data = load_file(next((tmp_path / "data/prepared").glob("*.safetensors")))
    inputs = torch.tensor(data["test_tokens"].astype(np.int64))
    wanted = torch.tensor(own.astype(np.int64))
    with torch.no_grad():
        logits = model.eval()(
            input_ids=(inputs - 1).clamp(min=0), attention_mask=(inputs > 0).long()
        ).logits
    nll = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), wanted.flatten() - 1, ignore_index=-1
    )
    assert perplexity["dense"] == pytest.approx(float(nll.exp()), rel=1e-4)


def test_without_training_there_must_be_pretrained_weights_and_methods_that_do_not_train(
    tmp_path: Path,
) -> None:
    name = f"hf:{tmp_path}"
    model = {"name": "m", "architecture": name, "pretrained": True}
    config.parse(grid(tmp_path, "words", models=[model]))
    with pytest.raises(PrunebenchError, match="models: m: epochs: 0 is for pretrained weights"):
        config.parse(grid(tmp_path, "words", models=[{**model, "pretrained": False}]))
    with pytest.raises(PrunebenchError, match="methods: imp: trains, and epochs: 0 allows no"):
        config.parse(grid(tmp_path, "words", models=[model], methods=["imp"]))


def test_the_config_of_a_real_model() -> None:
    """It needs downloads; read it, and see that nothing in it trains."""
    experiment = config.load(Path(__file__).parents[2] / "config" / "llm.yaml")
    assert Plan(experiment).cell_count == 1 + 6
    assert {method.recovery.name for method in experiment.methods} == {"none"}
    assert {s for method in experiment.methods for s in method.sparsities([0.5])} == {0.5}
    assert experiment.tasks[0].tokens == experiment.models[0].architecture
