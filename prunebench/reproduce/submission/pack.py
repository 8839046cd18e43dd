"""Make the folder of a submission from a finished experiment."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import yaml

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment import absent_code
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.reproduce.submission.plugins import file_of, renamed
from prunebench.reproduce.submission.submission_folder import FORM, Form
from prunebench.reproduce.verify.derived_tables import derive
from prunebench.reproduce.verify.stored_experiment import load
from prunebench.storage import links
from prunebench.storage.coordinates import coordinates_of_row
from prunebench.storage.files import write_text
from prunebench.storage.layout import MASKS, Layout
from prunebench.storage.manifest import unreadable
from prunebench.storage.records import DENSE, FAILED


def pack(results: Path, target: Path, form: Form) -> list[Path]:
    """Copy what a submission needs into a new folder.

    Paths of Python files in the configuration are relative to the working directory.

    Args:
        results: folder of a finished experiment.
        target: folder to make.
        form: what its author says of the submission.

    Returns:
        The files that were written.

    Raises:
        PrunebenchError: a file or the method is missing, the target exists already, or the table is
            not what follows from the stored cells.
    """
    if target.exists():
        raise PrunebenchError(f"{target} exists already: name a new folder")
    if absent := absent_code.absent(read_yaml(Layout(results).config)):
        raise PrunebenchError(f"{results}: a submission {absent_code.where_from(absent)}")
    stored = load(results)
    names = [method.name for method in stored.experiment.methods]
    if form.method not in names:
        raise PrunebenchError(
            f"{results} has no method {form.method!r}{suggest(form.method, names)}"
        )
    _refuse_edited(results)
    here, there = Layout(results), Layout(target)
    wanted = [(here.config, there.config), (here.cells_csv, there.cells_csv)]
    wanted += [(here.provenance, there.provenance)] if here.provenance.is_file() else []
    wanted += [(path, target / path.name) for path in plugins(read_yaml(here.config))]
    for row in stored.cells.to_dict("records"):
        cell = coordinates_of_row(row)
        if cell.method != DENSE and row["status"] != FAILED:
            place = (*cell[:4], cell.method, float(row["sparsity"]))
            wanted.append((here.cell(*place) / MASKS, there.cell(*place) / MASKS))
    for source, copy in wanted:
        if copy.is_relative_to(there.root) and source.is_relative_to(here.root):
            links.refuse(source / source.name)  # what a link leads to is not of the results
        if not source.is_file():
            raise PrunebenchError(unreadable(source, "run the experiment again"))
    for source, copy in wanted:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    said = {key: value for key, value in form.model_dump().items() if value}
    write_text(target / FORM, yaml.safe_dump(said, sort_keys=False, allow_unicode=True))
    return [target / FORM, *(copy for _, copy in wanted)]


def _refuse_edited(results: Path) -> None:
    """Refuse a table with numbers that do not follow from the predictions stored beside it."""
    found = derive(results, trust_code=True, rows_alone=True)  # it is one's own
    faults = [*map(str, found.differing), *(f"{path} is damaged" for path in found.damaged)]
    faults += found.not_derived
    if found.mismatch:
        faults.append(found.mismatch)
    if faults:
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise PrunebenchError(
            f"{results}: cells.csv is not what follows from the stored cells: {faults[0]}{more}:"
            f" python -m prunebench verify {shlex.quote(str(results))} --tables names all; the"
            " experiment's command writes it again"
        )


def plugins(given: Any) -> list[Path]:
    """Return the Python files that a configuration names.

    Args:
        given: the configuration as YAML has it.

    Raises:
        PrunebenchError: two files have the same name, or a part is not in a file.
    """
    found: dict[str, Path] = {}

    def note(name: str) -> str:
        path = Path(file_of(name)[0])
        if found.setdefault(path.name, path) != path:
            raise PrunebenchError(f"two files are named {path.name}: {found[path.name]} and {path}")
        return name

    renamed(given, note)
    return list(found.values())
