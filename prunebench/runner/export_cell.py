"""A stored cell taken away: its network as a file, verified in a process of its own, and a card."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from prunebench.compression.export_formats import Deployed, Format, Package, format_of
from prunebench.compression.model_card import card
from prunebench.compression.smallest_network import CHECKED, smallest
from prunebench.compression.verify_export import SHARE, Agreement, agreement, predict_fresh
from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment.jobs import Baseline
from prunebench.experiment.plan import Plan
from prunebench.experiment.settings import Method
from prunebench.runner.card_facts import Cell, facts
from prunebench.runner.job_context import Job
from prunebench.storage import cell_files
from prunebench.storage.files import read_sealed, sha256_file, write_json, write_text
from prunebench.storage.layout import MASKS, PREDICTIONS, RECORD, WEIGHTS
from prunebench.storage.records import DENSE, DIVERGED, FAILED
from prunebench.storage.removed_files import missing

CARD, SAID = "README.md", "export.json"


@dataclass(frozen=True)
class Place:
    """Which cell a folder is."""

    folder: Path
    root: Path  # results/<experiment>
    key: tuple[str, str, str, int]  # task, regime, model, seed
    method: str
    sparsity: str  # as the folder is named

    @property
    def target(self) -> Path:
        """Where its exports lie, a folder for each format."""
        return self.root / "export" / self.folder.relative_to(self.root / "cells")


@dataclass(frozen=True)
class Taken:
    """An export that was verified."""

    folder: Path
    files: tuple[str, ...]
    kind: str
    agreement: Agreement


def locate(cell: Path) -> Place:
    """Read off a folder which cell it is. Raises PrunebenchError where it is none."""
    folder = cell.resolve()
    parts = folder.parts
    form = "results/<experiment>/cells/<task>/<regime>/<model>/seed-<n>/<method>/<sparsity>"
    if len(parts) < 8 or parts[-7] != "cells" or not parts[-3].removeprefix("seed-").isdigit():
        raise PrunebenchError(f"{cell} is no cell's folder: it would be {form}")
    missing = folder
    while not missing.parent.is_dir():
        missing = missing.parent
    if not missing.is_dir():
        there = sorted(path.name for path in missing.parent.iterdir())
        raise PrunebenchError(
            f"no such cell: {cell}: {missing.parent} has no {missing.name!r}"
            f"{suggest(missing.name, there)}"
        )
    if not (folder / RECORD).is_file():
        raise PrunebenchError(f"{cell} has no {RECORD}: the cell is not finished")
    task, regime, model, seed = parts[-6:-2]
    key = (task, regime, model, int(seed.removeprefix("seed-")))
    return Place(folder, folder.parents[6], key, parts[-2], parts[-1])


def take(plan: Plan, place: Place, kind: str, target: Path | None, prepared: Path) -> Taken:
    """Export a cell in the format ``kind`` with its card, once the file predicts what the cell did.

    ``target``: the folder to write into, by default ``results/<experiment>/export/…/<format>``;
    ``prepared``: the task's prepared data. Raises PrunebenchError where the cell failed or
    diverged, a file of it is damaged, the data are others, or the file's predictions differ on
    more than one test image in a thousand.
    """
    form = format_of(kind)
    target = place.target / kind if target is None else target
    cell = _cell(plan, place, prepared)
    package = _package(cell)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as name:
            folder = Path(name)
            said = form.write(package, folder)
            found = _verified(cell, form, folder)
            files = {path.name: _written(path) for path in sorted(folder.iterdir())}
            text = card(facts(cell, package, kind, folder / form.file, found))
            target.mkdir(exist_ok=True)
            for file in files:
                (folder / file).replace(target / file)
    except OSError as error:
        raise PrunebenchError(f"cannot write {target}: {error.strerror}") from error
    write_text(target / CARD, text)
    write_json(
        target / SAID,
        {
            "format": kind, "network": cell.network.kind,
            "cell": place.folder.relative_to(place.root.parent).as_posix(),
            "identity": cell.record["identity"], "agreement": asdict(found), "files": files, **said,
        },
    )  # fmt: skip
    return Taken(target, (*files, CARD, SAID), cell.network.kind, found)


def _written(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _cell(plan: Plan, place: Place, prepared: Path) -> Cell:
    record = _sound(place)
    baseline, method = _of_plan(plan, place)
    job = Job(plan, baseline.task, prepared)
    if record["data_hash"] != job.data.data_hash:
        raise PrunebenchError(f"{place.folder} was computed on other data than {prepared}")
    model, masks = _stored(job, baseline, place)
    network = smallest(model, masks, job.normalize(job.data.images["test"][:CHECKED]))
    return Cell(job, baseline, method, place.folder, record, masks, network)


def _sound(place: Place) -> dict[str, Any]:
    """The record of a cell that has a network, its files as they were written."""
    record = read_sealed(place.folder / RECORD)
    if record["status"] in (FAILED, DIVERGED):
        why = f": {record['message']}" if record["message"] else ""
        raise PrunebenchError(f"{place.folder} {record['status']}{why}; it has nothing to export")
    for name, expected in record["files"].items():
        path = place.folder / name
        if not path.is_file() or sha256_file(path) != expected:
            why = "its SHA-256 is not the record's: run the experiment again"
            raise PrunebenchError(missing(path, why))
    return record


def _of_plan(plan: Plan, place: Place) -> tuple[Baseline, Method | None]:
    baselines = [baseline for baseline in plan.baselines if baseline.key == place.key]
    methods = {method.name: method for method in plan.experiment.methods}
    if not baselines or place.method not in (DENSE, *methods):
        raise PrunebenchError(
            f"{plan.layout.config} does not have the cell {place.folder}: it is of an earlier"
            " configuration"
        )
    return baselines[0], methods.get(place.method)


def _stored(job: Job, baseline: Baseline, place: Place) -> tuple[nn.Module, dict[str, Tensor]]:
    """The cell's network with its masks applied, and these."""
    model = job.build(baseline)
    try:
        model.load_state_dict(cell_files.load_tensors(place.folder / WEIGHTS))
    except RuntimeError as error:
        raise PrunebenchError(f"{place.folder / WEIGHTS}: is of another network") from error
    stored = {} if place.method == DENSE else cell_files.load_tensors(place.folder / MASKS)
    return model.eval(), {name: mask.bool().to(job.device) for name, mask in stored.items()}


def _package(cell: Cell) -> Package:
    about = ("experiment", "task", "regime", "model", "method", "seed", "sparsity", "identity")
    data, baseline, network = cell.job.data, cell.baseline, cell.network
    return Package(
        deployed=Deployed(network.model, *data.moments),
        dense=cell.job.build(baseline),
        masks=cell.masks,
        model=baseline.model,
        width=baseline.regime.width,
        classes=data.names,
        shape=data.shape,
        about={name: str(cell.record[name]) for name in about} | {"network": network.kind},
    )


def _verified(cell: Cell, form: Format, folder: Path) -> Agreement:
    stored = cell_files.load_tensors(cell.folder / PREDICTIONS)["test"].numpy()
    images = cell.job.data.images["test"].cpu().contiguous().numpy()
    found = agreement(stored, predict_fresh(form.loader, folder, images))
    if found.share < SHARE:
        raise PrunebenchError(
            f"{cell.folder}: the exported {form.file} gives the stored class on {found.share:.2%}"
            f" of {found.images} test images, less than {SHARE:.1%}: nothing was written"
        )
    return found
