"""Import a table of published results as a file beside an experiment's own."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.published.column_mapping import NAMES, ColumnMapping
from prunebench.published.convert import convert, convert_dense
from prunebench.published.foreign_table import sha256_of
from prunebench.published.read_foreign import read_text_table
from prunebench.statistics import SETTING, read_cells
from prunebench.statistics.published_results import (
    FILE,
    SHA256,
    SOURCE,
    UNITS,
    citation_file,
    is_paired,
    published_manifest,
)
from prunebench.storage.files import remove_file, write_text
from prunebench.storage.layout import Layout
from prunebench.storage.records import DENSE
from prunebench.text import safe_names

NEW, REPLACED, SAME = "written", "replaced", "unchanged"


@dataclass(frozen=True)
class Imported:
    """The outcome of an import, for people and programs."""

    path: Path
    outcome: str  # NEW, REPLACED or SAME
    cells: pd.DataFrame
    notes: list[str]


def import_results(
    source: Path, name: str, layout: Layout, mapping: ColumnMapping, replace: bool = False,
    dense: Path | None = None,
) -> Imported:  # fmt: skip
    """Read, check and write ``source`` as ``published/<name>.csv`` of an experiment.

    The same file may be imported again, with another mapping. The same input gives the same bytes,
    and a file that would not change is not written.

    Args:
        source: The table, or a folder of open_lth.
        name: Of the source, as tables show it.
        layout: The experiment's folder.
        mapping: Of the file's columns and units.
        replace: Whether another file of the same name may be overwritten.
        dense: The table of the dense results, where they stand in one of their own.

    Raises:
        PrunebenchError: Something cannot be right, in one line.
    """
    if not (layout.cells_csv.is_file() or layout.config.is_file()):
        raise PrunebenchError(f"{layout.root} is no experiment{_known(layout)}")
    sources = [source, dense] if dense else [source]
    for what, text in (("the name", name), *(("the file's name", path.name) for path in sources)):
        try:
            safe_names.name(text)
        except ValueError as error:
            raise PrunebenchError(f"{what} {shown(text)} {error}") from None
    cells, notes = convert(source, mapping)
    digests = {path: sha256_of(path) for path in sources}
    origins = pd.Series([source] * len(cells))
    if dense:
        more, said = convert_dense(dense, mapping, cells)
        both = [table.astype(object) for table in (cells, more)]
        cells = pd.concat(both, ignore_index=True)
        _one_dense(cells, dense)
        origins = pd.concat([origins, pd.Series([dense] * len(more))], ignore_index=True)
        notes = [*notes, *(f"{dense.name}: {note}" for note in said)]
    path = layout.published / f"{slug(name)}.csv"
    if metric := mapping.unit("test_error").metric:
        # beside errors of one's own it must be told what these are
        name = f"{name}, {metric}"
    units = ", ".join(mapping.unit(column).name for column in ("test_error", "sparsity"))
    files = {FILE: [path.name for path in origins], SHA256: [digests[path] for path in origins]}
    table = cells.assign(**{SOURCE: name, **files, UNITS: units})
    text = table.to_csv(index=False, lineterminator="\n")
    outcome = _outcome(path, name, set(digests.values()), replace, text)
    if outcome != SAME:
        write_text(path, text)
    entry = citation_file(path)
    if mapping.bibtex:
        write_text(entry, f"{mapping.bibtex}\n")
    else:
        remove_file(entry)
    published_manifest(path).write([path, *([entry] if mapping.bibtex else [])])
    return Imported(path, outcome, cells, [*notes, *_pairing(cells), *_places(cells, layout)])


def _known(layout: Layout) -> str:
    """Name the experiments that the user may have meant."""
    there = sorted(path.parent.name for path in layout.root.parent.glob("*/cells.csv"))
    return f"; there is {', '.join(there)}: say --into" if there else ": run a grid first"


def slug(name: str) -> str:
    """Return a file name; names that differ in more than signs and case give different ones."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    short = re.sub(r"[^a-z0-9]+", "-", plain.casefold()).strip("-")[:60]
    if plain == name and short:
        return short
    return f"{short or 'published'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _outcome(path: Path, name: str, digests: set[str], replace: bool, text: str) -> str:
    """Return the outcome of writing; raises PrunebenchError where nothing must be written."""
    if not path.is_file():
        return NEW
    there = path.read_bytes()
    if there == text.encode():
        return SAME
    try:
        old = read_text_table(path)
        rows = [old.named(row) for row in old.rows]
    except PrunebenchError as error:
        if replace:
            return REPLACED
        raise PrunebenchError(f"{error}; say --replace to write it again") from None
    first = rows[0]
    if first.get(SOURCE) != name:
        raise PrunebenchError(
            f"{path} holds {shown(first.get(SOURCE))}: choose a name that differs in more than"
            " signs and case"
        )
    # a file of dense results may come to those that are there
    if not {row.get(SHA256) for row in rows} <= digests and not replace:
        raise PrunebenchError(
            f"{path} was imported from another file ({shown(first.get(FILE))}); say --replace"
        )
    return REPLACED


def _one_dense(cells: pd.DataFrame, dense: Path) -> None:
    """Refuse dense results of the same seed in both files."""
    again = cells[cells["method"] == DENSE].duplicated([*NAMES, "seed"])
    if again.any():
        raise PrunebenchError(f"both files have dense results of one seed: leave {dense.name} out")


def _pairing(cells: pd.DataFrame) -> list[str]:
    """Name the settings whose results cannot be tested, and why."""
    said: dict[str, list[str]] = {}
    for key, group in cells.groupby(SETTING, sort=True):
        where = "/".join(map(str, key))
        if not (group["family"] == DENSE).any():
            why = "no dense result, so absolute errors alone"
            if (group["sparsity"] == 0).any():
                why += "; if rows at sparsity 0 are the dense network's, say --dense-at-zero"
        elif not is_paired(group):
            why = "not every seed has a dense result, so differences of means, without interval"
        elif group["seed"].nunique() == 1:
            why = "one seed, so differences without interval"
        else:
            continue
        said.setdefault(why, []).append(where)
    return [f"{', '.join(places)}: {why}" for why, places in said.items()]


def _places(cells: pd.DataFrame, layout: Layout) -> list[str]:
    """Name the tasks, regimes and models that the experiment does not have."""
    if not layout.cells_csv.is_file():
        return []
    mine = read_cells(layout.cells_csv)
    said = []
    for column in NAMES:
        known = sorted(set(mine[column]))
        if new := sorted(set(cells[column]) - set(known)):
            near = suggest(new[0] if len(new) == 1 else "", known).lstrip("; ")
            said.append(f"{column} {', '.join(new)} ({near})")
    if not said:
        return []
    return [f"not run here, so beside none of your results: {'; '.join(said)}"]
