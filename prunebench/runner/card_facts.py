"""CardFacts on the card of an exported cell: from its record, its predictions and its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from prunebench.compression.encoding import sizes
from prunebench.compression.export_formats import Package, format_of
from prunebench.compression.model_card import CardFacts, CardRemarks
from prunebench.compression.smallest_network import SmallestNetwork
from prunebench.compression.timing import Speed
from prunebench.compression.verify_export import Agreement
from prunebench.errors import PrunebenchError
from prunebench.evaluation.generalization import quality
from prunebench.experiment.cell import Cell
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.settings import PARTS, Method
from prunebench.pruning.macs import macs
from prunebench.pruning.masks import Masks
from prunebench.runner.job_context import JobContext
from prunebench.storage import cell_files
from prunebench.storage.layout import LATENCY, PREDICTIONS, TARGETS
from prunebench.storage.records import SPLITS
from prunebench.storage.sealed_content import read_looks
from prunebench.tasks.predictions import Predictions
from prunebench.text.numbers import value_text
from prunebench.text.private import without_paths


@dataclass(frozen=True)
class RebuiltCell:
    """A stored cell, with its network built again."""

    cell: Cell
    job: JobContext
    record: Mapping[str, Any]
    masks: Masks
    network: SmallestNetwork


def facts(
    cell: RebuiltCell,
    package: Package,
    kind: str,
    file: Path,
    found: Agreement,
    remarks: CardRemarks | None = None,
) -> CardFacts:
    """Return all that the card says of an export.

    Args:
        cell: the cell that was exported.
        package: its network with its preprocessing.
        kind: the format.
        file: the file that was written.
        found: how far the file predicts what the cell did.
        remarks: what is said beside.
    """
    form, method, network, record = format_of(kind), cell.cell.method, cell.network, cell.record
    return CardFacts(
        title=f"{record['model']} on {record['task']}, {record['method']} {record['sparsity']:g}",
        format=kind, file=form.file, library=form.library, loader=form.loader, record=record,
        task=cell.cell.baseline.task.name,
        data=_data(cell),
        composition={} if method is None else _composition(method),
        description="" if method is None else method.description,
        paper="" if method is None else method.paper,
        training=_texts(
            {
                **cell.cell.baseline.training.model_dump(exclude_none=True),
                "learning rate of the recovery": _recovery_rate(cell),
                "epochs in all": f"{record['train_epochs']:g}",
                "seconds in all": f"{record['train_seconds']:.3g}",
            }
        ),
        classes=package.classes, shape=package.shape,
        item=package.deployed.form.item, kind=package.deployed.kind.name,
        dtype=str(package.example.dtype).removeprefix("torch."),
        mean=package.deployed.mean.flatten().tolist(), std=package.deployed.std.flatten().tolist(),
        network=network.kind, reason=network.reason, removed=network.removed, notes=network.notes,
        quality=_quality(cell, cell.cell.folder),
        dense_quality=_quality(cell, cell.cell.dense.folder),
        sizes=_sizes(package, record, file), agreement=found,
        architecture=_architecture(cell, package), weights=_weights(cell),
        speed=_speeds(cell, form.engines, remarks or CardRemarks()),
        outcome=method is not None and method.outcome, remarks=remarks or CardRemarks(),
    )  # fmt: skip


def _architecture(cell: RebuiltCell, package: Package) -> str:
    """Return what was built: its name for whoever builds it again, and its class."""
    model, built = cell.cell.baseline.model, type(package.dense).__name__
    return f"{without_paths(model.architecture or model.name)} (class {built})"


def _weights(cell: RebuiltCell) -> str:
    """Return where the weights come from that the training of the baseline began with."""
    model = cell.cell.baseline.model
    known = cell.record.get("weights_hash")
    hashed = f", SHA-256 {known}" if known else ""
    if model.weights is not None:
        return f"the file {Path(model.weights).name}{hashed}"
    if model.pretrained:
        owner = "" if HubName.named(model.architecture) else "timm's "
        return f"pretrained, {owner}{model.architecture}{hashed}"
    if model.loads:
        return f"a checkpoint of the user's{hashed}"
    return f"drawn at random, seed {cell.cell.baseline.seed}"


def _speeds(
    cell: RebuiltCell, engines: Sequence[str], remarks: CardRemarks
) -> list[tuple[str, Speed]]:
    """Return the times of the cell's networks in the engines that run its file; none without."""
    if remarks.speed:
        return list(zip(("dense", cell.network.kind), remarks.speed, strict=True))
    found = stored_speeds(cell.cell, ("dense", cell.network.kind))
    return [(network, speed) for network, speed in found if speed.engine in engines]


def stored_speeds(cell: Cell, networks: Sequence[str]) -> list[tuple[str, Speed]]:
    """Return the times that were measured of a cell's networks; none where none were.

    Args:
        cell: a finished cell.
        networks: which: dense, masked, shrunk.
    """
    try:
        rows = read_looks(cell.folder / LATENCY).get("rows", [])
    except PrunebenchError:
        return []
    names = {field.name for field in fields(Speed)}
    return [
        (row["network"], Speed(**{name: row[name] for name in names}))
        for row in rows
        if row["network"] in networks and row.get("median_ms") is not None
    ]


def _data(cell: RebuiltCell) -> dict[str, str]:
    task, regime = cell.cell.baseline.task, cell.cell.baseline.regime
    given = regime.model_dump(exclude={"name", "training"}, exclude_defaults=True)
    item = cell.job.data.form.item
    counts = {f"{split} {item}s": len(cell.job.data.inputs[split]) for split in SPLITS}
    counts[f"train {item}s"] = len(cell.job.samples(cell.cell.baseline)[0].targets)  # of the regime
    named = {"task": task.name, "source": task.source, "dataset": task.dataset}
    return _texts({**named, "regime": regime.name, **given, **counts})


def _recovery_rate(cell: RebuiltCell) -> float | None:
    """Return the learning rate that a recovery begins with, which is a share of the training's."""
    method = cell.cell.method
    share = None if method is None else method.recovery.parameters.get("rate_share")
    return None if share is None else cell.cell.baseline.training.learning_rate * share


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    given = {key: value for key, value in values.items() if value is not None}
    return {key.replace("_", " "): without_paths(value_text(value)) for key, value in given.items()}


def _composition(method: Method) -> dict[str, str]:
    found = {}
    for kind in PARTS:
        part = getattr(method, kind)
        given = {key: value for key, value in part.parameters.items() if value is not None}
        settings = ", ".join(f"{key}={value_text(value)}" for key, value in given.items())
        found[kind] = f"{part.name} ({settings})" if settings else part.name
    if method.first is not None:
        found["before it"] = str(method.first.model_dump())
    return {kind: without_paths(said) for kind, said in found.items()}


def _quality(cell: RebuiltCell, folder: Path) -> dict[str, float | None]:
    """Return every measure of the predictions in ``folder``, on this cell's baseline."""
    own = cell.cell.dense.folder
    targets = {n: value.numpy() for n, value in cell_files.load_tensors(own / TARGETS).items()}
    stored = cell_files.load_tensors(folder / PREDICTIONS)
    return quality(
        Predictions(
            cell.job.data.kind,
            {split: stored[split].double().numpy() for split in SPLITS},
            {split: targets[split] for split in SPLITS},
            targets["train_clean"],
            cell_files.load_tensors(own / PREDICTIONS)["test"].double().numpy(),
            context={name: targets[name] for name in targets.keys() - {*SPLITS}},
        )
    )


def _sizes(
    package: Package, record: Mapping[str, Any], file: Path
) -> dict[str, tuple[int | None, int]]:
    """Return what is counted -> (in the dense network where it is known, in the exported one)."""
    network = package.deployed.network
    values = list(network.parameters())
    deployed = package.deployed
    example = deployed.form.normalized(package.example[:1], deployed.mean, deployed.std)
    return {
        "parameters": (record["params_total"], sum(value.numel() for value in values)),
        "parameters that are not zero": (None, sum(int(v.count_nonzero()) for v in values)),
        "MACs an input, dense kernels": (record["macs_dense"], macs(network, example, {})[0]),
        "bytes of the weights": (record["bytes_dense"], sum(v.nbytes for v in values)),
        "bytes of the weights, compressed without loss": (None, sizes(network).compressed),
        "bytes of the file": (None, file.stat().st_size),
    }
