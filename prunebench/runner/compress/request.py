"""What is to be compressed and how far, and the experiment that finds out: a configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, shown
from prunebench.experiment import config
from prunebench.experiment.own_code import OwnCode
from prunebench.experiment.part_kinds import Allocation, Recovery, Schedule
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.runner.compress.size_budget import Budget
from prunebench.storage.files import sha256_file
from prunebench.storage.hashing import digest

SEARCH = "search"  # the experiment, in the folder of the output
METHODS = ("l1-filter", "taylor-filter", "budgeted-filter", "random-filter")
TOLERATED = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))  # sparsities, tested from low
DENSE_TUNED = "dense-tuned"  # nothing removed, trained as long: what training alone brings
RATE_SHARE = 0.1  # of the learning rate, in fine-tuning
REPEATS = 30


@dataclass(frozen=True)
class Request:
    """A network, its data, and what is asked of the smaller one."""

    network: str  # a name of ours or timm's, file.py:Class, hf:owner/name
    task: str | Mapping[str, Any]  # as in a configuration
    weights: str | None = None  # a file
    pretrained: bool = False
    budget: Budget | None = None
    tolerance: float | None = None  # in points of error
    training: bool = True  # whether what is pruned is fine-tuned
    methods: Sequence[str] = METHODS
    epochs: int = 10  # of fine-tuning
    dense_epochs: int = 0  # of training before, where there are no weights to load
    learning_rate: float = 0.01  # of fine-tuning
    optimizer: str = "sgd"
    batch_size: int = 128
    exclude: Sequence[str] = field(default_factory=tuple)  # layers to leave alone
    threads: int = 1  # of the processor, also where times are measured

    def __post_init__(self) -> None:
        if (self.budget is None) == (self.tolerance is None):
            raise PrunebenchError(
                "compress: give a budget (macs=0.5) or a tolerance (1.0 points of error), one of"
                " the two"
            )
        if self.tolerance is not None and not 0 < self.tolerance < 100:
            raise PrunebenchError(f"tolerance {self.tolerance:g}: must be points between 0 and 100")
        if not self.loads and not self.dense_epochs:
            raise PrunebenchError(
                f"compress: {self.network} has no trained weights: give weights, or pretrained, or"
                " dense_epochs to train it first"
            )
        if self.loads and self.dense_epochs:
            raise PrunebenchError("compress: dense_epochs is for a network without trained weights")

    @property
    def loads(self) -> bool:
        """Whether the network starts from weights that are loaded."""
        return self.weights is not None or self.pretrained

    @property
    def model(self) -> dict[str, Any]:
        """The network as a configuration names it."""
        own = OwnCode.named(self.network)
        name = self.network.removeprefix("hf:") if own is None else own.name
        found: dict[str, Any] = {
            "name": named(name), "architecture": self.network,
            "pretrained": self.pretrained,
        }  # fmt: skip
        return found | ({"weights": self.weights} if self.weights else {})

    @property
    def name(self) -> str:
        """A digest of all that decides which sparsities are looked at; weights by content."""
        return digest(
            {
                "model": self.model, "task": self.task, "budget": str(self.budget),
                "method": self.finder, "exclude": list(self.exclude), "threads": self.threads,
                "weights": self.weights and sha256_file(self.weights),
            }
        )  # fmt: skip

    def grid(self, sparsities: Sequence[float], recalibrates: bool) -> dict[str, Any]:
        """Return the configuration of the experiment.

        Args:
            sparsities: at which every method is tried.
            recalibrates: whether the network has batch norms to measure anew where nothing trains.
        """
        return {
            "experiment": SEARCH,
            "tasks": [self.task],
            "regimes": ["clean"],
            "models": [self.model],
            "seeds": [0],
            "methods": [
                *(self._entry(name, recalibrates) for name in self.methods),
                *self._controls(),
            ],
            "sparsities": list(sparsities),
            "training": {
                "epochs": self.dense_epochs,
                "recovery_epochs": self.epochs,
                # not 0.09999999999999999 for 0.01: people read it in the card
                "learning_rate": float(f"{self.learning_rate / RATE_SHARE:.12g}"),
                "optimizer": self.optimizer,
                "batch_size": self.batch_size,
            },
            "prunable": {"exclude": list(self.exclude)},
            "compute": {"threads": self.threads},
            "probes": {"run": ["shrunk"]},
            "latency": {"engines": ["eager"], "batches": [1], "repeats": REPEATS},
        }

    @property
    def finder(self) -> str:
        """The method that finds the sparsities of a budget: the first that tries no networks."""
        for name in self.methods:
            if not config.method(name).spec(Allocation).traits.tries:
                return name
        raise PrunebenchError(
            f"compress: {', '.join(self.methods)}: name a method beside whose allocation needs no"
            " search, e.g. l1-filter: it finds the sparsities"
        )

    def _entry(self, name: str, recalibrates: bool) -> dict[str, Any]:
        """A method as the configuration has it, with the budget where its allocation takes one."""
        entry: dict[str, Any] = {"name": name}
        parameter = config.method(name).spec(Allocation).traits.outcome
        if isinstance(parameter, str) and self.budget and self.budget.unit != "weights":
            own = config.method(name).allocation
            asked = {parameter: {self.budget.unit: self.budget.share}}
            entry["allocation"] = {"name": own.name, **own.parameters, **asked}
        if not self.training:
            entry["recovery"] = "batch-norm-recalibration" if recalibrates else "none"
        return entry

    def _controls(self) -> list[dict[str, Any]]:
        if not self.training:
            return []
        return [
            {
                "name": DENSE_TUNED, "criterion": "magnitude", "schedule": "dense",
                "recovery": "fine-tuning", "control": True,
                "description": "Nothing is removed; fine-tuned as long as what is pruned.",
            }
        ]  # fmt: skip


def named(text: str) -> str:
    """Return a text as the name of a task or a network."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text).strip("._-")[:64] or "own"


def check_methods(names: Sequence[str], training: bool) -> None:
    """Refuse methods that are unknown, or that train where nothing may be trained.

    Raises:
        PrunebenchError: in one line.
    """
    if not names:
        raise PrunebenchError("compress: no method is named")
    for name in names:
        method = config.method(name)
        if not training and method.spec(Schedule).traits.length != "none":
            raise PrunebenchError(
                f"compress: {name} trains while it prunes, and no training is allowed"
            )
        if method.spec(Schedule).traits.untrained or method.spec(Recovery).traits.from_scratch:
            raise PrunebenchError(f"compress: {name} has no use for trained weights")


def task_of(data: str | Mapping[str, Any], kind: str = "classification") -> str | dict[str, Any]:
    """Return the task that some data are, as a configuration has it.

    Args:
        data: the name of a task that ships, ``file.py:function``, an ``.npz`` file of arrays, a
            folder of images, a YAML file with the settings of a task, or these settings.
        kind: of task, where the data do not say it.

    Raises:
        PrunebenchError: it is none of these.
    """
    if isinstance(data, Mapping):
        return dict(data)
    if data in config.presets("tasks"):
        return data
    own, path = OwnCode.named(data), Path(data)
    name = named(path.stem if own is None else own.name)
    if name in config.presets("tasks"):  # whose settings a configuration would add
        name = f"own-{name}"
    entry = {"name": name, "kind": kind, "path": data}
    if own is not None or (path.suffix == ".npz" and path.is_file()):
        return entry | {"source": "own"}
    if path.is_dir():
        return entry | {"source": "folder"}
    if path.suffix in (".yaml", ".yml") and path.is_file():
        given = read_yaml(path)
        if not isinstance(given, Mapping):
            raise PrunebenchError(f"{path}: must be the settings of a task, found {shown(given)}")
        return {"name": name, **given}
    raise PrunebenchError(
        f"data {data!r}: no task that ships (docs/data.md lists them), no file.py:function, no file"
        " and no folder"
    )
