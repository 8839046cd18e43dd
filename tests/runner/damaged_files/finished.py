"""A finished grid: its files by kind, what damages them, and what is then found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.runner import damaged_files
from tests.robustness.disturbed import GRID

PAGES = {
    "tables": ["tables/generalization.csv", "tables/scores.md"],
    "figures": ["figures/forest.pdf"],
    "report": ["report.html", "report.md"],
    "kit": ["paper/macros.tex", "paper/figures/forest.pdf"],
    "crate": ["ro-crate-metadata.json"],
}
CHANGES = {"seeds": [0], "methods": GRID["methods"][1:], "sparsities": [0.5]}


def plan_in(folder: Path, **changes: Any) -> Plan:
    return Plan(config.parse({**GRID, **CHANGES, **changes}), folder / "results")


def prepared_in(folder: Path) -> list[Path]:
    return [prepared(task, folder / "data") for task in plan_in(folder).experiment.tasks]


def found(folder: Path, thorough: bool = False) -> list[str]:
    named = damaged_files.damaged(plan_in(folder), folder / "data", thorough)
    return [str(path.relative_to(folder)) for path in named]


def jobs(folder: Path) -> set[str]:
    root = folder / "results" / "tiny" / "jobs"
    return {str(path.relative_to(root)) for path in root.rglob("*.json")}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def alter(path: Path) -> None:
    """One digit, else one bit: it stays what it is, but for its meaning."""
    content = bytearray(path.read_bytes())
    digits = [i for i, sign in enumerate(content) if chr(sign).isdigit()]
    content[digits[len(digits) // 2] if path.suffix == ".json" and digits else -1] ^= 1
    path.write_bytes(content)


DAMAGES: list[Callable[[Path], None]] = [truncate, empty, alter, Path.unlink]
CELL = "results/tiny/cells/digits/clean/seed-cnn/seed-0"
KINDS = {
    **{f"{CELL}/dense/0/{name}": "baselines/digits-0.json" for name in
       ("record.json", "weights.safetensors", "initial.safetensors", "targets.safetensors",
        "predictions.safetensors", "history.json")},
    **{f"{CELL}/imp/0.5/{name}": "curves/imp@digits-0.json" for name in
       ("record.json", "weights.safetensors", "masks.safetensors", "predictions.safetensors",
        "history.json")},
    f"{CELL}/imp/0.5/probes.json": "probes/digits-0.json",
}  # fmt: skip
