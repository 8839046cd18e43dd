"""Where things lie under ``results/<experiment>/``. One place knows the names of files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

RECORD = "record.json"  # identity, size, cost and provenance of a cell; written last
WEIGHTS = "weights.safetensors"  # the state dict after recovery
MASKS = "masks.safetensors"  # parameter name -> uint8, 1 is kept
PREDICTIONS = "predictions.safetensors"  # float32 logits: train, val, test, and the next two
VAL_BEFORE, VAL_AFTER = "val_before", "val_after"  # of validation, around the removal of weights
HISTORY = "history.json"  # per epoch: epoch, learning_rate, train_loss, val_error
# int64: train (given), train_clean, val, test, in some regimes noisy_val; of a baseline
TARGETS = "targets.safetensors"
REMOVED = "removed.json"  # of a pruned cell: what is gone since it was measured (compute.keep)
PROBES = "probes.json"  # what looking at the stored weights found, and what it stands on
LATENCY = "latency.json"  # how long its networks take, each engine and batch
# beside the cells of a baseline or curve, until it is finished: states of long trainings
CHECKPOINTS = "checkpoints"
# what each kind of job leaves in the folder of every cell that it is done with
LEFT = {"baselines": RECORD, "curves": RECORD, "probes": PROBES, "latencies": LATENCY}
INITIAL = "initial.safetensors"  # the state dict at step 0; of a baseline
# what is made of the records, in an experiment's folder
DERIVED = ("cells.csv", "latency.csv", "layers.csv", "tables/*", "figures/*", "leaderboard.*",
           "report.*", "provenance.json")  # fmt: skip


def rule_name(name: str) -> str:
    """A name of the configuration as a name of a rule of the workflow."""
    return re.sub(r"\W", "_", name)


@dataclass(frozen=True)
class Layout:
    """The folders of one experiment."""

    root: Path  # results/<experiment>

    def __post_init__(self) -> None:
        if self.root.name in ("", ".."):  # of ".", the folder above has no name
            object.__setattr__(self, "root", self.root.resolve())

    @property
    def cells_csv(self) -> Path:
        return self.root / "cells.csv"

    @property
    def published(self) -> Path:
        """The folder of imported results, a file each."""
        return self.root / "published"

    @property
    def latency_csv(self) -> Path:
        """Every time that was measured, a row a cell, network, engine and batch."""
        return self.root / "latency.csv"

    @property
    def layers_csv(self) -> Path:
        """What each layer kept, a row a cell of the first seed and layer."""
        return self.root / "layers.csv"

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def config(self) -> Path:
        """The resolved configuration that the records stand on."""
        return self.root / "config.json"

    @property
    def provenance(self) -> Path:
        """What made the experiment: code, machine, packages, command."""
        return self.root / "provenance.json"

    @property
    def paper(self) -> Path:
        """The kit of a paper."""
        return self.root / "paper"

    @property
    def workflow(self) -> Path:
        """The folder of the workflow that collected the records: Snakefile and what it includes."""
        return self.root / "workflow"

    @property
    def crate(self) -> Path:
        """What makes the folder a Workflow Run RO-Crate."""
        return self.root / "ro-crate-metadata.json"

    def job(self, kind: str, name: str) -> Path:
        """What says that a job is done, and of which cells."""
        return self.root / "jobs" / kind / f"{name}.json"

    def measured(self, job: str) -> Path:
        """The rows of a job's cells, from which the tables are collected."""
        return self.job("measures", job)

    @property
    def database(self) -> Path:
        """MLflow's, of all experiments beside this one."""
        return self.root.parent / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """The folder of MLflow's copies of files, of all experiments beside this one."""
        return self.root.parent / "mlartifacts"

    def leaderboard(self, kind: str) -> Path:
        return self.root / f"leaderboard.{kind}"

    def report(self, kind: str) -> Path:
        return self.root / f"report.{kind}"

    def baseline(self, task: str, regime: str, model: str, seed: int) -> Path:
        """The folder of a dense baseline: the cell ``dense/0`` of its group."""
        return self.cell(task, regime, model, seed, "dense", 0.0)

    def cell(
        self, task: str, regime: str, model: str, seed: int, method: str, sparsity: float
    ) -> Path:
        """The folder of one cell."""
        group = self.root / "cells" / task / regime / model / f"seed-{seed}"
        return group / method / f"{sparsity:.10g}"

    def steps(self) -> dict[str, Path]:
        """What each step makes of the records, by its name: the output that stands for all of it.

        In their order: a later one may stand on an earlier one.
        """
        return {
            "collect": self.cells_csv, "tables": self.tables / "generalization.csv",
            "figures": self.figures, "leaderboard": self.leaderboard("html"),
            "report": self.report("html"), "kit": self.paper / "macros.tex", "crate": self.crate,
            "track": self.root / "jobs" / "track.json",
        }  # fmt: skip

    def derived(self) -> list[Path]:
        """Every file of DERIVED that is there, in a fixed order."""
        found = (path for pattern in DERIVED for path in sorted(self.root.glob(pattern)))
        # Snakemake leaves a hidden file in a folder that it asked for
        return [path for path in found if path.is_file() and not path.name.startswith(".")]

    def records(self) -> list[Path]:
        """Every record.json of the experiment that is there, in a fixed order."""
        return sorted((self.root / "cells").glob(f"*/*/*/seed-*/*/*/{RECORD}"))
