"""From a finished experiment to the folder that is submitted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from prunebench.errors import PrunebenchError
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.reproduce.submission.plugins import file_of, renamed
from prunebench.reproduce.submission.submission_folder import FORM, Form
from prunebench.reproduce.verify.stored_experiment import load
from prunebench.storage.coordinates import coordinates_of_row
from prunebench.storage.files import write_text
from prunebench.storage.layout import MASKS, Layout
from prunebench.storage.manifest import unreadable
from prunebench.storage.records import DENSE, FAILED


def pack(results: Path, target: Path, form: Form) -> list[Path]:
    """Copy what a submission needs of ``results/<experiment>`` into ``target``; return the files.

    The configuration's own Python files are read from where it names them, seen from the working
    directory. Raises PrunebenchError where something is missing, or the target is there already.
    """
    if target.exists():
        raise PrunebenchError(f"{target} is there already: name a new folder")
    stored = load(results)
    names = [method.name for method in stored.experiment.methods]
    if form.method not in names:
        raise PrunebenchError(f"{results} has no method {form.method!r}: {', '.join(names)}")
    here, there = Layout(results), Layout(target)
    wanted = [(here.config, there.config), (here.cells_csv, there.cells_csv)]
    wanted += [(here.provenance, there.provenance)] if here.provenance.is_file() else []
    wanted += [(path, target / path.name) for path in plugins(read_yaml(here.config))]
    for row in stored.cells.to_dict("records"):
        cell = coordinates_of_row(row)
        if cell.method != DENSE and row["status"] != FAILED:
            place = (*cell[:4], cell.method, float(row["sparsity"]))
            wanted.append((here.cell(*place) / MASKS, there.cell(*place) / MASKS))
    for source, _ in wanted:
        if not source.is_file():
            raise PrunebenchError(unreadable(source, "run the experiment again"))
    for source, copy in wanted:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    said = {key: value for key, value in form.model_dump().items() if value}
    write_text(target / FORM, yaml.safe_dump(said, sort_keys=False, allow_unicode=True))
    return [target / FORM, *(copy for _, copy in wanted)]


def plugins(given: Any) -> list[Path]:
    """The Python files that a configuration names; PrunebenchError where two are named alike."""
    found: dict[str, Path] = {}

    def note(name: str) -> str:
        path = Path(file_of(name)[0])
        if found.setdefault(path.name, path) != path:
            raise PrunebenchError(f"two files are named {path.name}: {found[path.name]} and {path}")
        return name

    renamed(given, note)
    return list(found.values())
