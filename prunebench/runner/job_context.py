"""Context of a job: the data, device and networks that all its cells share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.evaluation.architecture import Architecture
from prunebench.evaluation.size import size
from prunebench.experiment.cell import Cell
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Task
from prunebench.experiment.training_gate import loss_fall
from prunebench.pruning.curve import Cost
from prunebench.pruning.held_networks import copied
from prunebench.pruning.layers import Layers, sort_layers
from prunebench.pruning.masks import Masks
from prunebench.runner.device import set_up
from prunebench.storage import cell_files
from prunebench.storage.files import write_json
from prunebench.storage.hashing import derive_seed, digest
from prunebench.storage.layout import (
    CHECKPOINTS,
    HISTORY,
    MASKS,
    PREDICTIONS,
    STOPPED,
    WEIGHTS,
)
from prunebench.storage.provenance import software
from prunebench.storage.records import DIVERGED, OK, SPLITS
from prunebench.tasks import hub
from prunebench.tasks.prepare import CALIBRATION
from prunebench.tasks.regimes import AppliedRegime
from prunebench.tasks.regimes import apply as apply_regime
from prunebench.tasks.task_data import TaskData, load
from prunebench.training import models
from prunebench.training.checkpoints import Checkpoints
from prunebench.training.loaded_weights import hash_of_tensors
from prunebench.training.loop import Run, Samples, predict


class JobContext:
    """Shared state of the cells of one task: data, device, networks; and how a cell is stored."""

    def __init__(self, plan: Plan, task: Task, data: Path) -> None:
        self.plan = plan
        self.device = set_up(plan.experiment.compute)
        self.data: TaskData = load(data).to(self.device)
        # the last baseline's data stay at hand for the next curve on it
        self._samples: tuple[Baseline, tuple[Samples, AppliedRegime]] | None = None
        self._weights: dict[str, str] = {}  # hashes of loaded weights, by the network's settings
        self._commits: dict[str, str | None] = {}  # of the hub, by the network's name there
        self._architectures: dict[str, Architecture] = {}  # by the network's settings
        self.nondeterministic: set[str] = set()  # operations that the cell at hand has used

    # -------------------------------------------------------------------- cells

    def identity(self, cell: Cell) -> str:
        """Return what names a cell's result: settings, code, and the content of what is fetched."""
        return cell.identity(self.data.data_hash, self.weights_hash(cell.baseline))

    def finished(self, cell: Cell, allow_removed: bool = False) -> dict[str, Any] | None:
        """Return the record of a finished cell, None where it is missing or of other settings.

        Args:
            cell: the cell.
            allow_removed: whether files may be missing that were removed on purpose.
        """
        return cell.finished(self.identity(cell), allow_removed)

    def weights_hash(self, baseline: Baseline) -> str | None:
        """Return a hash of the weights that a baseline starts from; None where they are drawn."""
        model, width = baseline.model, baseline.regime.width
        if not model.loads:
            return None
        key = digest([model.model_dump(), width])
        if key not in self._weights:
            # one seed for all: what is drawn beside them must not tell the seeds apart
            network = models.create(model, self.data.facts, 0, width)
            self._weights[key] = hash_of_tensors(network.state_dict())
        return self._weights[key]

    def _hub_commit(self, architecture: str) -> str | None:
        """Return the commit of the hub that a network comes from; None where it does not."""
        named = HubName.named(architecture)
        if named is None:
            return None
        if architecture not in self._commits:
            self._commits[architecture] = hub.commit(named)
        return self._commits[architecture]

    def checkpoints(self, cell: Cell, identity: str) -> Checkpoints:
        """Return where the trainings of a cell's curve keep their state on the way.

        Args:
            cell: any cell of the curve, or a dense baseline's own.
            identity: what names the trainings: another one does not go on from their states.
        """
        minutes = self.plan.experiment.compute.checkpoint_minutes
        return Checkpoints(cell.folder.parent / CHECKPOINTS, identity, minutes)

    def record(self, cell: Cell) -> dict[str, Any]:
        """Return what the record of a cell says before anything is known of its result."""
        return {
            "experiment": self.plan.experiment.experiment, **cell.coordinates._asdict(),
            "family": cell.family, "status": OK, "message": "",
            "kind": cell.baseline.task.kind, "classes": len(self.data.names) or None,
            "config_hash": digest(cell.baseline.settings()), "data_hash": self.data.data_hash,
            "weights_hash": self.weights_hash(cell.baseline),
            "hub_commit": self._hub_commit(cell.baseline.model.architecture),
            "device": self._device_name(), "threads": self.plan.experiment.compute.threads,
            "nondeterministic": ", ".join(sorted(self.nondeterministic)) or None,
            **software(),
        }  # fmt: skip

    def _device_name(self) -> str:
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

    # ---------------------------------------------------------------------- data

    def samples(self, baseline: Baseline) -> tuple[Samples, AppliedRegime]:
        """Return the samples of a baseline, and what its regime made of their labels."""
        if self._samples is None or self._samples[0] != baseline:
            self._samples = baseline, self._make_samples(baseline)
        return self._samples[1]

    def _make_samples(self, baseline: Baseline) -> tuple[Samples, AppliedRegime]:
        regime, seed = baseline.regime, baseline.seed
        # the flips depend on task and seed alone: every model and method sees the same
        draw = torch.Generator().manual_seed(derive_seed("regime", baseline.task.name, seed))
        targets = self.data.targets
        train, val = (targets[split].cpu() for split in ("train", "val"))
        held_out = targets[CALIBRATION].cpu() if CALIBRATION in targets else None
        applied = apply_regime(regime, train, val, self.data.kind, draw, held_out)
        chosen = applied.indices.to(self.device)
        samples = Samples(
            inputs=self.data.inputs["train"][chosen],
            targets=applied.given.to(self.device),
            val_inputs=self.data.inputs["val"],
            val_targets=targets["val"],
            kind=self.data.kind,
            normalize=self.data.normalized,
            augmentation=baseline.task.augmentation if regime.augmentation else None,
            noisy_val_targets=(
                None if applied.noisy_val is None else applied.noisy_val.to(self.device)
            ),
        )
        return samples, applied

    def build(self, baseline: Baseline) -> nn.Module:
        seed = derive_seed("init", *baseline.key)
        network = models.create(baseline.model, self.data.facts, seed, baseline.regime.width)
        return network.to(self.device).to(memory_format=torch.channels_last)

    def architecture(self, baseline: Baseline) -> Architecture:
        """Return what the networks of all methods and seeds on such a baseline have in common."""
        key = digest([baseline.model.model_dump(), baseline.regime.width])
        if key not in self._architectures:
            example = self.data.normalized(self.data.inputs["test"][:1])
            self._architectures[key] = Architecture(lambda: self.build(baseline).eval(), example)
        return self._architectures[key]

    def masks(self, cell: Cell) -> Masks:
        """Return the stored masks of a cell: parameter -> bool, True is kept; none if dense.

        Raises:
            Damaged: the file is missing, damaged or was removed on purpose.
        """
        stored = {} if cell.method is None else cell_files.load_tensors(cell.folder / MASKS)
        return {name: mask.bool().to(self.device) for name, mask in stored.items()}

    def network(self, cell: Cell) -> nn.Module:
        """Return the stored network of a cell, for evaluation.

        Raises:
            Damaged: the file is missing, damaged or was removed on purpose.
            PrunebenchError: the weights are of another network.
        """
        model = self.build(cell.baseline)
        path = cell.folder / WEIGHTS
        try:
            model.load_state_dict(cell_files.load_tensors(path))
        except RuntimeError as error:
            raise PrunebenchError(f"{path}: the weights are of another network") from error
        return model.eval()

    def predictions(self, model: nn.Module, samples: Samples) -> dict[str, Tensor]:
        """Return what is stored of a network's predictions of every split."""
        pairs = {
            "train": (samples.inputs, samples.targets),
            "val": (samples.val_inputs, samples.val_targets),
            # read once, here, from the last model
            "test": (self.data.inputs["test"], self.data.targets["test"]),
        }
        how = samples.kind, samples.normalize
        return {split: predict(model, *pair, *how) for split, pair in pairs.items()}

    def stopped_predictions(
        self, model: nn.Module, samples: Samples, run: Run
    ) -> dict[str, Tensor]:
        """Return predictions of the state at which early stopping would have ended a training.

        None where that is its last state. The test images are read here as well; they choose
        nothing.
        """
        if run.stopped is None or run.stopped.epoch == run.last_epoch:
            return {}
        earlier = copied(model)
        earlier.load_state_dict(run.stopped.state)
        found = self.predictions(earlier, samples)
        return {f"{STOPPED}{split}": stored for split, stored in found.items()}

    def layers(self, model: nn.Module, samples: Samples) -> Layers:
        """Return which layers of a network may be pruned, by the experiment's settings."""
        example = samples.normalize(samples.inputs[:1])
        return sort_layers(model, self.plan.experiment.prunable, example)

    def size(
        self, model: nn.Module, samples: Samples, masks: Masks, layers: Layers
    ) -> dict[str, Any]:
        """Return the size columns of a network, and its classifier."""
        example = samples.normalize(samples.inputs[:1])
        named = {"classifier": ", ".join(layers.classifier) or None}
        return size(model, example, masks, list(layers.prunable)) | named

    def save(
        self, folder: Path, record: dict[str, Any], model: nn.Module,
        predictions: dict[str, Tensor], run: Run, cost: Cost, files: list[str],
    ) -> None:  # fmt: skip
        """Write a cell: its network, its predictions, its history, and last its record.

        Args:
            folder: where it is written.
            record: what is known of it; its status and its cost are added.
            model: the network at its end.
            predictions: split -> what is stored of it, and of those around the removal of weights.
            run: the last training.
            cost: what it trained in all.
            files: names of all its files, also those that are written already.
        """
        # just after its weights were removed a network may well overflow, and recover
        finite = all(predictions[split].isfinite().all() for split in SPLITS)
        if run.diverged or not finite:
            record |= {"status": DIVERGED, "message": f"after {run.epochs:g} epochs"}
        record |= {
            "train_epochs": cost.epochs, "train_seconds": cost.seconds,
            "search_evaluations": cost.evaluations, "search_epochs": cost.search_epochs,
            "train_loss_fall": loss_fall(run.history),
            "stopped_epoch": run.stopped.epoch if run.stopped else run.last_epoch,
        }  # fmt: skip
        cell_files.save_tensors(folder / WEIGHTS, model.state_dict())
        cell_files.save_tensors(folder / PREDICTIONS, predictions)
        write_json(folder / HISTORY, run.history)
        cell_files.finish(folder, record, files)
