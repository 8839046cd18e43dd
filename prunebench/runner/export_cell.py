"""Export of a stored cell: its network as a file, verified in a fresh process, and a model card."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from prunebench.compression.export_formats import Deployed, Format, Package, format_of
from prunebench.compression.model_card import CardRemarks, card
from prunebench.compression.smallest_network import CHECKED, smallest
from prunebench.compression.verify_export import SHARE, Agreement, agreement, predict_fresh
from prunebench.errors import PrunebenchError
from prunebench.experiment.cell import Cell
from prunebench.experiment.plan import Plan
from prunebench.runner.card_facts import RebuiltCell, facts
from prunebench.runner.channels import round_to
from prunebench.runner.job_context import JobContext
from prunebench.storage import cell_files, links
from prunebench.storage.files import put_folder, sha256_file, write_json, write_text
from prunebench.storage.layout import PREDICTIONS, RECORD
from prunebench.storage.manifest import Manifest, unreadable
from prunebench.storage.records import DIVERGED, FAILED
from prunebench.storage.sealed_content import read_record
from prunebench.training.loop import at_once

CARD, SAID = "README.md", "export.json"


@dataclass(frozen=True)
class Export:
    """Files that were written and verified."""

    folder: Path
    files: tuple[str, ...]
    kind: str  # of the network: dense, masked or shrunk
    agreement: Agreement


def export_cell(
    cell: Cell,
    kind: str,
    target: Path | None,
    prepared: Path,
    shared: bool = False,
    multiple: int | None = None,
    remarks: CardRemarks | None = None,
) -> Export:
    """Export a cell with its model card, once the file predicts what the cell did.

    Args:
        cell: a finished cell.
        kind: the format: ``onnx``, ``torch-export`` or ``safetensors``.
        target: the folder to write; None: ``results/<experiment>/export/…/<format>``.
        prepared: the prepared data of the cell's task.
        shared: whether the folder may hold other files, among which those of an earlier export
            are replaced.
        multiple: of channels that the network keeps; None: as it was measured.
        remarks: what the card says beside what the record knows.

    Raises:
        PrunebenchError: the folder is not empty, or holds a file of such a name; the cell failed
            or diverged, a file of it is damaged, the data are others, or the file's predictions
            differ on more than one test input in a thousand.
    """
    form = format_of(kind)
    root = cell.layout.root
    own = root / "export" / cell.folder.relative_to(root / "cells") / kind
    target = own if target is None else target.resolve()  # a link there is the user's own
    links.refuse(target)
    _refuse_taken(target, {CARD, SAID, form.file}, shared, again=target == own)
    rebuilt = rebuilt_cell(cell, prepared, multiple)
    package = _package(rebuilt)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as name:
            folder = Path(name) / "made"
            folder.mkdir()
            said = form.write(package, folder)
            found = _verified(rebuilt, form, folder)
            files = {path.name: _written(path) for path in sorted(folder.iterdir())}
            text = card(facts(rebuilt, package, kind, folder / form.file, found, remarks))
            write_text(folder / CARD, text)
            write_json(
                folder / SAID,
                {
                    "format": kind, "network": rebuilt.network.kind,
                    "cell": cell.folder.relative_to(root.parent).as_posix(),
                    "identity": rebuilt.record["identity"], "agreement": asdict(found),
                    "files": files, **said,
                },
            )  # fmt: skip
            # again: verifying takes long
            _refuse_taken(target, {CARD, *files}, shared, again=target == own)
            if shared:
                target.mkdir(exist_ok=True)
                for file in (SAID, CARD, *files):  # the first says whose the others are
                    (folder / file).replace(target / file)
            else:
                put_folder(folder, target)
    except OSError as error:
        raise PrunebenchError(f"cannot write {target}: {error.strerror}") from error
    return Export(target, (*files, CARD, SAID), rebuilt.network.kind, found)


def _refuse_taken(target: Path, names: set[str], shared: bool, again: bool) -> None:
    """Refuse to write over what no export has written.

    Args:
        target: the folder to write.
        names: of files that are written there.
        shared: whether it may hold other files.
        again: whether an earlier export may be replaced as a whole.
    """
    if (target / SAID).is_file() and (again or shared):
        return
    taken = sorted(path.name for path in target.iterdir()) if target.is_dir() else []
    if shared:
        taken = [name for name in taken if name in names]
    if taken or (target.exists() and not target.is_dir()):
        raise PrunebenchError(
            f"{target} is not empty ({', '.join(taken[:3]) or 'a file'}): name a new folder"
        )


def _written(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def rebuilt_cell(cell: Cell, prepared: Path, multiple: int | None = None) -> RebuiltCell:
    """Return a finished cell with its network, shrunk where that is exact.

    Args:
        cell: the cell.
        prepared: the prepared data of its task.
        multiple: of channels that it keeps; None: as it was measured.

    Raises:
        PrunebenchError: the cell failed or diverged, a file of it is damaged, or the data are
            others.
    """
    record = _checked_record(cell)
    plan = Plan(cell.experiment, cell.layout.root.parent)
    plan.layout = cell.layout  # of a copied folder too
    job = JobContext(plan, cell.baseline.task, prepared)
    if record["data_hash"] != job.data.data_hash:
        raise PrunebenchError(f"{cell.folder} was computed on other data than {prepared}")
    model, masks = job.network(cell), job.masks(cell)
    images = job.data.normalized(job.data.inputs["test"][:CHECKED])
    multiple = round_to(job, cell.baseline) if multiple is None else multiple
    network = smallest(model, masks, images, multiple)
    return RebuiltCell(cell, job, record, masks, network)


def _checked_record(cell: Cell) -> dict[str, Any]:
    """The record of a cell that has a network, its files as they were written."""
    record = read_record(cell.folder / RECORD, ["message"])
    if record["status"] in (FAILED, DIVERGED):
        why = f": {record['message']}" if record["message"] else ""
        raise PrunebenchError(f"{cell.folder} {record['status']}{why}; it has nothing to export")
    for path in Manifest.of_cell(cell.folder).damaged(thorough=True):
        why = "its SHA-256 is not the record's: run the experiment again"
        raise PrunebenchError(unreadable(path, why))
    return record


def _package(cell: RebuiltCell) -> Package:
    about = ("experiment", "task", "regime", "model", "method", "seed", "sparsity", "identity")
    data, baseline, network = cell.job.data, cell.cell.baseline, cell.network
    return Package(
        deployed=Deployed(network.model, *data.moments, data.form, data.kind),
        dense=cell.job.build(baseline),
        masks=cell.masks,
        model=baseline.model,
        width=baseline.regime.width,
        classes=data.names,
        example=data.inputs["test"][:2].cpu(),
        facts=data.facts,
        about={name: str(cell.record[name]) for name in about} | {"network": network.kind},
    )


def _verified(cell: RebuiltCell, form: Format, folder: Path) -> Agreement:
    stored = cell_files.load_tensors(cell.cell.folder / PREDICTIONS)["test"].numpy()
    kind, data = cell.job.data.kind, cell.job.data
    inputs, targets = (of["test"].cpu() for of in (data.inputs, data.targets))
    batch = at_once(kind, targets)
    answers = predict_fresh(form.loader, folder, inputs.contiguous().numpy(), batch)
    kept = [
        kind.keep(torch.from_numpy(part), wanted)
        for part, wanted in zip(answers, targets.split(batch), strict=True)
    ]
    found = agreement(kind, stored, torch.cat(kept).numpy())
    if found.share < SHARE:
        raise PrunebenchError(
            f"{cell.cell.folder}: the exported {form.file} gives the stored prediction on"
            f" {found.share:.2%} of {found.samples} test inputs, less than {SHARE:.1%}:"
            " nothing was written"
        )
    return found
