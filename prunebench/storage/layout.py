"""Names of files and folders under ``results/<experiment>/``: the one place that knows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prunebench.errors import PrunebenchError, is_text

LOCK = ".lock"  # of the command that works on the experiment
RECORD = "record.json"  # identity, size, cost and provenance of a cell; written last
WEIGHTS = "weights.safetensors"  # the state dict after recovery
MASKS = "masks.safetensors"  # parameter name -> uint8, 1 is kept
PREDICTIONS = "predictions.safetensors"  # float32 logits: train, val, test, and the next ones
STOPPED = "stopped_"  # before a split: of the state at which early stopping would have ended
VAL_BEFORE, VAL_AFTER = "val_before", "val_after"  # of validation, around the removal of weights
HISTORY = "history.json"  # per epoch: epoch, learning_rate, train_loss, errors on validation
# int64: train (given), train_clean, val, test, with wrong labels noisy_val; of a baseline
TARGETS = "targets.safetensors"
FACTS = "facts.json"  # the kind of task of a baseline, and what its measures must know
REMOVED = "removed.json"  # of a pruned cell: files removed since it was measured (compute.keep)
PROBES = "probes.json"  # what probes found in the stored weights, and by which code
LATENCY = "latency.json"  # how long its networks take, each engine and batch
CHANNELS = "channels"  # jobs, each of a task: times of its networks at several numbers of channels
# in these, of a dense network: what it loses where a layer alone is pruned, and times of layers
SENSITIVITY, LAYER_MS = "sensitivity", "layer_ms"
# beside the cells of a baseline or curve, until it is finished: states of long trainings
CHECKPOINTS = "checkpoints"
# kind of job -> the file that it leaves in the folder of every cell that it has finished
LEFT_IN_CELLS = {"baselines": RECORD, "curves": RECORD, "probes": PROBES, "latencies": LATENCY}
INITIAL = "initial.safetensors"  # the state dict at step 0; of a baseline


@dataclass(frozen=True)
class Step:
    """A step that makes files of the records: a command, and a rule of the workflow.

    Paths are relative to the experiment's folder.
    """

    output: str  # stands for all that the step makes
    files: Mapping[str, str] = field(default_factory=dict)  # pattern -> what a description says


# in their order: a later step may stand on an earlier one
STEPS = {
    "collect": Step(
        "cells.csv",
        {
            "cells.csv": "every record, a row a cell",
            "latency.csv": "measured times, a row a cell, network, engine and batch",
            "layers.csv": "what each layer of the first seed kept, a row a cell and layer",
            "sensitivity.csv": "what a dense network loses where a layer alone is pruned",
        },
    ),
    "tables": Step(
        "tables/generalization.csv",
        {"tables/*": "a table of generalization, compression, cost or scores"},
    ),
    "figures": Step("figures", {"figures/*": "a figure of the report"}),
    "leaderboard": Step("leaderboard.html", {"leaderboard.*": "the methods, ranked"}),
    "report": Step(
        "report.html",
        {"report.*": "the question, the protocol, verdicts, figures and provenance"},
    ),
    # for a paper, a repository and MLflow: no part of what is described there
    "kit": Step("paper/macros.tex"),
    "crate": Step("ro-crate-metadata.json"),
    "track": Step("jobs/track.json"),
}
# what the records stand on and what made them: ``collect`` leaves it, and a plan the first
ORIGIN = {
    "config.json": "the resolved configuration, every default filled in",
    "provenance.json": "code, machine, packages and command",
    "workflow/*": "a part of the workflow: which jobs there are, and in which order",
}


# beginnings of what lies beside the folders of experiments: no experiment is called so
TAKEN = ("mlflow.db", "mlartifacts", "reference")
DATA = Path("data")  # where downloaded and prepared data lie, if the user says nothing else


def sparsity_name(sparsity: float) -> str:
    """Return a sparsity as names of folders and keys hold it: ten digits tell any two apart."""
    return f"{sparsity:.10g}"


def rule_name(name: str) -> str:
    """Return a name of the configuration as the name of a rule of the workflow."""
    return re.sub(r"\W", "_", name)


@dataclass(frozen=True)
class Layout:
    """The folders of one experiment."""

    root: Path  # results/<experiment>

    def __post_init__(self) -> None:
        """Give the folder a name.

        Raises:
            PrunebenchError: its path is no text, by which no reader of tensors finds a file.
        """
        if self.root.name in ("", ".."):  # of ".", the folder above has no name
            object.__setattr__(self, "root", self.root.resolve())
        if not is_text(str(self.root.absolute())):
            raise PrunebenchError(
                f"{self.root.absolute()}: the name of a folder is no UTF-8: rename it"
            )

    @property
    def cells_csv(self) -> Path:
        """The table of records, a row a cell."""
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
        """The weights that each layer kept, a row a cell of the first seed and layer."""
        return self.root / "layers.csv"

    @property
    def sensitivity_csv(self) -> Path:
        """What dense networks lose where one layer alone is pruned, a row a layer and sparsity."""
        return self.root / "sensitivity.csv"

    @property
    def race_csv(self) -> Path:
        """The records that a race has run so far, a row a cell, as in cells.csv."""
        return self.root / "race.csv"

    @property
    def tables(self) -> Path:
        """The folder of tables."""
        return self.root / "tables"

    @property
    def figures(self) -> Path:
        """The folder of figures."""
        return self.root / "figures"

    @property
    def config(self) -> Path:
        """The resolved configuration that the records stand on."""
        return self.root / "config.json"

    @property
    def provenance(self) -> Path:
        """The description of code, machine, packages and command that made the experiment."""
        return self.root / "provenance.json"

    @property
    def paper(self) -> Path:
        """The folder of the kit for a paper."""
        return self.root / "paper"

    @property
    def workflow(self) -> Path:
        """The folder of the workflow that collected the records: Snakefile and what it includes."""
        return self.root / "workflow"

    @property
    def crate(self) -> Path:
        """The description that makes the folder a Workflow Run RO-Crate."""
        return self.root / "ro-crate-metadata.json"

    def job(self, kind: str, name: str) -> Path:
        """Return the file that says that a job is done, and of which cells."""
        return self.root / "jobs" / kind / f"{name}.json"

    def log(self, name: str) -> Path:
        """Return what a job of the workflow said: ``kind/job``, or the name of a step."""
        return self.root / "logs" / f"{name}.log"

    def measured(self, job: str) -> Path:
        """Return the file with the rows of a job's cells, from which the tables are collected."""
        return self.job("measures", job)

    @property
    def database(self) -> Path:
        """MLflow's database of all experiments in the same results folder."""
        return self.root.parent / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """The folder of MLflow's copies of files, of all experiments in the same results folder."""
        return self.root.parent / "mlartifacts"

    def leaderboard(self, kind: str) -> Path:
        """Return the leaderboard as ``csv``, ``md`` or ``html``."""
        return self.root / f"leaderboard.{kind}"

    def report(self, kind: str) -> Path:
        """Return the report as ``md`` or ``html``."""
        return self.root / f"report.{kind}"

    def baseline(self, task: str, regime: str, model: str, seed: int) -> Path:
        """Return the folder of a dense baseline: the cell ``dense/0`` of its group."""
        return self.cell(task, regime, model, seed, "dense", 0.0)

    def cell(
        self, task: str, regime: str, model: str, seed: int, method: str, sparsity: float
    ) -> Path:
        """Return the folder of one cell."""
        # in one call: large grids ask for hundreds of thousands
        return self.root.joinpath(
            "cells", task, regime, model, f"seed-{seed}", method, sparsity_name(sparsity)
        )

    def steps(self) -> dict[str, Path]:
        """Return the output that stands for each of STEPS, by the step's name."""
        return {name: self.root / step.output for name, step in STEPS.items()}

    def derived(self) -> list[Path]:
        """Return every file that is there and was made of the records, in a fixed order.

        What links lead to elsewhere was not, and would be described, copied and sent with them.
        """
        own = self.root.resolve()
        patterns = [pattern for step in STEPS.values() for pattern in step.files]
        found = (
            path
            for pattern in (*patterns, self.provenance.name)
            for path in sorted(self.root.glob(pattern))
        )
        # Snakemake leaves a hidden file in a folder that it asked for
        return [
            path for path in found
            if path.is_file()
            and not path.name.startswith(".")
            and path.resolve().is_relative_to(own)
        ]  # fmt: skip

    def records(self) -> list[Path]:
        """Return every record.json of the experiment that is there, in a fixed order."""
        return sorted((self.root / "cells").glob(f"*/*/*/seed-*/*/*/{RECORD}"))
