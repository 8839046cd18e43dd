"""A made-up experiment in files, as the grid would leave it; a method prunes its own way."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prunebench.storage import records
from prunebench.storage.files import write_json, write_text
from prunebench.storage.layout import HISTORY, Layout

METHODS = {
    "random": "weight",
    "magnitude": "weight",
    "imp": "weight",
    "l1-filter": "structure",
    "apoz": "activation",
    "hybrid": "hybrid",
}
SPARSITIES = (0.5, 0.75, 0.875, 0.9375, 0.96875, 0.984375)
# a PNG of one pixel
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da63fcff1f0003030200efbfe7db0000000049454e44ae426082"
)


def cell(
    experiment: str, regime: str, model: str, seed: int, method: str, sparsity: float
) -> dict[str, Any]:
    """A plausible record: error over sparsity falls, then rises steeply."""
    noisy = regime != "clean"
    error = (0.3 if noisy else 0.05) + 0.3 * sparsity**12 - (0.05 * sparsity if noisy else 0)
    error += 0.004 * math.sin(7 * seed + 3 * len(method)) + 0.01 * (method == "random")
    name = f"{experiment}/{regime}/{model}/{seed}/{method}/{sparsity}"
    total, kept = 370_000, round(370_000 * (1 - sparsity))
    return records.row(
        {
            "experiment": experiment, "task": "digits", "regime": regime, "model": model,
            "method": method, "family": METHODS.get(method, records.DENSE), "seed": seed,
            "sparsity": sparsity, "status": records.OK,
            "sparsity_achieved": sparsity, "params_total": total, "params_kept": kept,
            "compression_ratio": total / kept, "macs_dense": 4e6, "macs_kept": 4e6 * (1 - sparsity),
            "theoretical_speedup": 1 / (1 - sparsity), "bytes_dense": 4 * total,
            "bytes_kept": 4 * kept,
            **{f"{split}_{m}": error + i / 100 for split in records.SPLITS
               for i, m in enumerate(("error", "nll", "mse"))},
            "generalization_gap": error / 2, "test_ece": 0.1 * error,
            "memorized": 1 - sparsity if noisy else None, "flips": 0.1 * sparsity,
            "train_epochs": 10, "train_seconds": 3.25, "latency_ms": 1.5,
            "identity": hashlib.sha256(name.encode()).hexdigest(), "config_hash": "c" * 64,
            "data_hash": "d" * 64, "commit": "0123abc", "dirty": False, "device": "cpu",
            "threads": 1, "python_version": "3.11.7", "torch_version": "2.9.0",
        }
    )  # fmt: skip


def history(epochs: int) -> list[dict[str, Any]]:
    """Per-epoch values; validation is looked at in every second epoch."""
    return [
        {
            "epoch": epoch,
            "learning_rate": 0.05 * (1 - epoch / epochs),
            "train_loss": 2.3 * 0.8**epoch,
            "val_error": 0.9 * 0.85**epoch if epoch % 2 else None,
        }
        for epoch in range(epochs)
    ]


def write_cells(layout: Layout, rows: Sequence[dict[str, Any]]) -> None:
    """Write ``cells.csv``."""
    layout.root.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=list(records.COLUMNS)).to_csv(layout.cells_csv, index=False)


def experiment(
    root: Path,
    regimes: Sequence[str] = ("noisy-40",),
    models: Sequence[str] = ("test_resnet",),
    seeds: int = 1,
    methods: Sequence[str] = ("magnitude", "imp"),
    sparsities: Sequence[float] = (0.5, 0.9375),
    epochs: int = 4,
) -> tuple[Layout, list[dict[str, Any]]]:
    """Write a whole experiment; return its layout and rows."""
    layout, rows = Layout(root), []
    for regime in regimes:
        for model in models:
            for seed in range(seeds):
                where = (root.name, regime, model, seed)
                rows.append(cell(*where, records.DENSE, 0.0))
                rows += [cell(*where, m, s) for m in methods for s in sparsities]
    write_cells(layout, rows)
    for row in rows:
        place = (row[name] for name in ("task", "regime", "model", "seed", "method", "sparsity"))
        write_json(layout.cell(*place) / HISTORY, history(epochs))
    entries = [
        {
            "name": method,
            "family": METHODS[method],
            "description": f"prunes by {method}",
            "criterion": {"name": method, "parameters": {"power": 2}},
            "recovery": {"name": "fine-tuning", "parameters": {}},
        }
        for method in methods
    ]
    write_json(
        layout.config,
        {
            "experiment": root.name,
            "tasks": [{"name": "digits", "source": "digits", "path": "/private/data"}],
            "regimes": [{"name": "noisy-40", "label_noise": 0.4}],
            "models": [{"name": name, "training": {"epochs": 99}} for name in models],
            "methods": entries,
            "training": {"epochs": 40, "learning_rate": 0.05},
        },
    )
    layout.figures.mkdir()
    (layout.figures / "error.png").write_bytes(PIXEL)
    write_text(layout.tables / "test_error.md", "| method | error |\n| --- | --- |\n")
    board = "| rank | method | test error |\n| --- | --- | --- |\n| 1 | imp | 0.31 ± 0.01 |\n"
    write_text(layout.leaderboard("md"), board)
    keys = "rank,method,family,score,low,high,best_difference,best_cell"
    values = "1,imp,weight,-1.25,-2.5,0.0,-9.47,digits · noisy-40 · test_resnet · 50 %"
    write_text(layout.leaderboard("csv"), f"{keys}\n{values}\n")
    write_text(layout.leaderboard("html"), "<!doctype html><h1>Leaderboard</h1>")
    return layout, rows
