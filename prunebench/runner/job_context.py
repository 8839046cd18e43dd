"""What baselines and curves share: data, identities, networks, and how a cell is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.evaluation.size import size
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Method, Task
from prunebench.pruning.curve import Cost
from prunebench.pruning.layers import prunable_layers
from prunebench.pruning.masks import Masks
from prunebench.runner.device import set_up
from prunebench.storage import cell_files
from prunebench.storage.files import write_json
from prunebench.storage.hashing import derive_seed, digest
from prunebench.storage.layout import CHECKPOINTS, HISTORY, PREDICTIONS, WEIGHTS
from prunebench.storage.provenance import software
from prunebench.storage.records import DENSE, DIVERGED, OK, SPLITS
from prunebench.tasks.regimes import Regimen
from prunebench.tasks.regimes import apply as apply_regime
from prunebench.tasks.task_data import TaskData, load
from prunebench.training import models
from prunebench.training.checkpoints import Checkpoints
from prunebench.training.loop import Run, Samples, precision_of, predict


class Job:
    """Computes the cells of an experiment's task and stores them."""

    def __init__(self, plan: Plan, task: Task, data: Path) -> None:
        self.plan = plan
        self.device = set_up(plan.experiment.compute)
        self.data: TaskData = load(data).to(self.device)
        self.precision = precision_of(plan.experiment.compute, self.device)
        # the last baseline's data stay at hand for the next curve on it
        self._samples: tuple[Baseline, tuple[Samples, Regimen]] | None = None
        self.nondeterministic: set[str] = set()  # operations that the cell at hand has used

    # ------------------------------------------------------------------ identity

    def _identity(self, settings: dict[str, Any]) -> str:
        return digest({**settings, "data": self.data.data_hash})

    def baseline_identity(self, baseline: Baseline) -> str:
        """Names a baseline's result: settings, code, and the content of the data."""
        return self._identity(self.plan.baseline_settings(baseline))

    def cell_identity(self, baseline: Baseline, method: Method, sparsity: float) -> str:
        """Names a cell's result."""
        return self._identity(self.plan.cell_settings(baseline, method, sparsity))

    def folder(self, baseline: Baseline, method: str = DENSE, sparsity: float = 0.0) -> Path:
        """Where a cell's files lie."""
        return self.plan.layout.cell(*baseline.key, method, sparsity)

    def checkpoints(self, baseline: Baseline, method: str, identity: str) -> Checkpoints:
        """Where the trainings of a baseline or curve keep their state on the way."""
        folder = self.folder(baseline, method).parent / CHECKPOINTS
        minutes = self.plan.experiment.compute.checkpoint_minutes
        return Checkpoints(folder, identity, minutes)

    def finished(
        self, baseline: Baseline, method: Method, sparsity: float
    ) -> dict[str, Any] | None:
        """The record of a finished cell, None where it is missing or of other settings."""
        identity = self.cell_identity(baseline, method, sparsity)
        return cell_files.finished(self.folder(baseline, method.name, sparsity), identity)

    def record(self, baseline: Baseline, method: str, family: str, sparsity: float) -> dict:
        task, regime, model, seed = baseline.key
        return {
            "experiment": self.plan.experiment.experiment, "task": task, "regime": regime,
            "model": model, "method": method, "family": family, "seed": seed,
            "sparsity": sparsity, "status": OK, "message": "", "classes": self.data.classes,
            "config_hash": digest(baseline.settings()), "data_hash": self.data.data_hash,
            "device": self._device_name(), "threads": self.plan.experiment.compute.threads,
            "nondeterministic": ", ".join(sorted(self.nondeterministic)) or None,
            **software(),
        }  # fmt: skip

    def _device_name(self) -> str:
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

    # ---------------------------------------------------------------------- data

    def samples(self, baseline: Baseline) -> tuple[Samples, Regimen]:
        """What a baseline is trained on and looked at with."""
        if self._samples is None or self._samples[0] != baseline:
            self._samples = baseline, self._make_samples(baseline)
        return self._samples[1]

    def _make_samples(self, baseline: Baseline) -> tuple[Samples, Regimen]:
        regime, seed = baseline.regime, baseline.seed
        # the flips depend on task and seed alone: every model and method sees the same
        draw = torch.Generator().manual_seed(derive_seed("regime", baseline.task.name, seed))
        labels = self.data.labels
        train, val = (labels[split].cpu() for split in ("train", "val"))
        regimen = apply_regime(regime, train, val, self.data.classes, draw)
        chosen = regimen.indices.to(self.device)
        samples = Samples(
            images=self.data.images["train"][chosen],
            labels=regimen.given.to(self.device),
            val_images=self.data.images["val"],
            val_labels=labels["val"],
            normalize=self.normalize,
            augmentation=baseline.task.augmentation if regime.augmentation else None,
        )
        return samples, regimen

    def normalize(self, images: Tensor) -> Tensor:
        # convolutions are faster with channels last, on CPUs and GPUs alike
        return self.data.normalized(images).contiguous(memory_format=torch.channels_last)

    def build(self, baseline: Baseline) -> nn.Module:
        channels, side, _ = self.data.shape
        seed = derive_seed("init", *baseline.key)
        width = baseline.regime.width
        network = models.create(baseline.model, self.data.classes, channels, side, seed, width)
        return network.to(self.device).to(memory_format=torch.channels_last)

    def predictions(self, model: nn.Module, samples: Samples) -> dict[str, Tensor]:
        images = {"train": samples.images, "val": samples.val_images}
        images["test"] = self.data.images["test"]  # read once, here, from the last model
        return {split: predict(model, value, self.normalize) for split, value in images.items()}

    def size(self, model: nn.Module, samples: Samples, masks: Masks) -> dict[str, Any]:
        layers = prunable_layers(model, self.plan.experiment.prunable)
        return size(model, self.normalize(samples.images[:1]), masks, list(layers))

    def save(
        self, folder: Path, record: dict[str, Any], model: nn.Module,
        predictions: dict[str, Tensor], run: Run, cost: Cost, files: list[str],
    ) -> None:  # fmt: skip
        # just after its weights were removed a network may well overflow, and recover
        finite = all(predictions[split].isfinite().all() for split in SPLITS)
        if run.diverged or not finite:
            record |= {"status": DIVERGED, "message": f"after {run.epochs:g} epochs"}
        record |= {"train_epochs": cost.epochs, "train_seconds": cost.seconds}
        cell_files.save_tensors(folder / WEIGHTS, model.state_dict())
        cell_files.save_tensors(folder / PREDICTIONS, predictions)
        write_json(folder / HISTORY, run.history)
        cell_files.finish(folder, record, files)
