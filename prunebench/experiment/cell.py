"""Cell: one point of the grid, with its folder, its identity and its record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.code_identity import code_hash, with_helpers
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.named_files import by_content
from prunebench.experiment.part_kinds import Network
from prunebench.experiment.registry import builtin, from_package
from prunebench.experiment.settings import Experiment, Method
from prunebench.experiment.sources import BASELINE, HUB, PRUNING, SHRUNK_TRAINING, paths
from prunebench.storage import cell_files
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.hashing import digest
from prunebench.storage.layout import RECORD, Layout
from prunebench.storage.records import DENSE
from prunebench.storage.sealed_content import read_record


@dataclass(frozen=True, eq=False)
class Cell:
    """A method on a baseline at a sparsity, or the dense baseline itself."""

    experiment: Experiment
    layout: Layout
    baseline: Baseline
    method: Method | None = None  # None: the dense baseline
    sparsity: float = 0.0  # the target

    # ------------------------------------------------------------------ where it stands

    @cached_property
    def coordinates(self) -> Coordinates:
        """The values by which it is found in any table."""
        return Coordinates(*self.baseline.key, self.method_name, self.sparsity)

    @property
    def method_name(self) -> str:
        """The name of its method; ``dense`` for the baseline."""
        return self.method.name if self.method else DENSE

    @property
    def family(self) -> str:
        """The family of its method; ``dense`` for the baseline."""
        return self.method.family if self.method else DENSE

    @property
    def dense(self) -> Cell:
        """The baseline's own cell, on which this one stands."""
        return Cell(self.experiment, self.layout, self.baseline)

    @cached_property
    def folder(self) -> Path:
        """The folder that holds its files."""
        return self.layout.cell(*self.coordinates)

    # ------------------------------------------------------------------- what decides it

    def settings(self) -> dict[str, Any]:
        """Return everything that names its result, but its data and weights that are fetched.

        Files that settings name stand there by their content.
        """
        compute = self.experiment.compute
        baseline = self.baseline.settings()
        model = baseline["model"]
        model |= {key: by_content(model[key]) for key in ("arguments", "weights") if key in model}
        hub = HubName.named(model["architecture"])
        if hub:
            model["architecture"] = by_content(hub.content())
        settings = {
            "baseline": baseline,
            "precision": compute.precision,
            "threads": compute.threads,
            "code": code_hash([*paths(BASELINE), *with_helpers([self.baseline.task.kind_source])]),
        }
        named = self.baseline.model.architecture
        shipped = builtin(Network).get(named) or from_package(Network, named)
        if hub:
            settings["model_code"] = code_hash(paths(HUB))
        elif own := [shipped.source] if shipped else self.baseline.model.sources():
            settings["model_code"] = code_hash(with_helpers(own))
        if self.method is None:
            return settings
        calibration = self.experiment.calibration.settings()
        return {
            **settings,
            **({"calibration": calibration} if calibration else {}),
            "method": _files_by_content(self.method.settings()),
            "method_name": self.method.name,
            "recovery_epochs": self.baseline.training.recovery_epochs,
            "prunable": self.experiment.prunable.settings(),
            "sparsity": self.sparsity,
            "method_code": code_hash(method_sources(self.method)),
            **({"train_shrunk": False} if self.method.units and not compute.train_shrunk else {}),
        }

    @property
    def code(self) -> str:
        """The hash of the code that it adds to what it stands on: ``code_hash`` of its record."""
        return self.settings()["method_code" if self.method else "code"]

    def identity(self, data_hash: str, weights_hash: str | None = None) -> str:
        """Return the name of its result: a digest of settings, code and the content of the data.

        Args:
            data_hash: hash of the task's prepared data.
            weights_hash: hash of the weights from which training starts; None: they are drawn.
        """
        weights = {} if weights_hash is None else {"weights": weights_hash}
        return digest({**self.settings(), "data": data_hash, **weights})

    # ---------------------------------------------------------------------- its record

    def record(self) -> dict[str, Any] | None:
        """Return its record, whichever settings it is of; None where it is missing or damaged."""
        try:
            return read_record(self.folder / RECORD)
        except PrunebenchError:
            return None

    def finished(self, identity: str, allow_removed: bool = False) -> dict[str, Any] | None:
        """Return its record if it is whole and of that identity, else None.

        Args:
            identity: what ``identity`` returns.
            allow_removed: whether files may be missing that were removed on purpose once measured
                (``compute.keep``).
        """
        return cell_files.finished(self.folder, identity, allow_removed)


def _files_by_content(value: Any) -> Any:
    """A method's settings, with the content of the files that parameters of its parts name."""
    if not isinstance(value, dict):
        return value
    return {
        key: by_content(item) if key == "parameters" else _files_by_content(item)
        for key, item in value.items()
    }


def method_sources(method: Method) -> list[Path]:
    """Return the source files that a method's curves depend on, beyond those of its baselines."""
    shrunk = paths(SHRUNK_TRAINING) if method.units else []
    return with_helpers([*paths(PRUNING), *method.sources(), *shrunk])
