"""Provenance: commit, machine, versions, hashes, time, and the command that repeats the records."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Any

import pandas as pd

from prunebench.experiment import absent_code
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.report import reader_warnings
from prunebench.report.document.elements import (
    NAME,
    NUMBER,
    WORDS,
    Block,
    CellText,
    CommandsBlock,
    FactsBlock,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.storage.layout import Layout
from prunebench.storage.provenance import doubt_of, read
from prunebench.storage.records import DENSE
from prunebench.text.numbers import NONE, listed, number
from prunebench.text.private import without_paths

UNKNOWN = "not recorded"
HASHES = {
    "config_hash": "resolved configuration of a cell", "data_hash": "prepared data",
    "weights_hash": "weights that training starts from, where they are loaded",
    "label_hash": "labels trained on, flipped ones included", "mask_hash": "mask",
    "code_hash": "source files that a cell depends on", "identity": "all of these: the cell",
}  # fmt: skip
SHORT = 12  # of a hash's 64 digits


def section(inputs: ReportInputs) -> Section:
    """Return the section on the origin of the records."""
    cells = inputs.cells
    blocks: list[Block] = [
        FactsBlock(_facts(cells)),
        *_collected_by(inputs.layout),
        _hashes(cells),
    ]
    blocks += _how_to_repeat(inputs)
    return Section("Provenance", "provenance", blocks)


def _facts(cells: pd.DataFrame) -> dict[str, str]:
    found = {name: _counted(cells, column) for name, column in reader_warnings.MACHINE.items()}
    count = reader_warnings.dirty(cells)
    known = "dirty" in cells.columns and cells["dirty"].notna().any()
    found["Checkout"] = (
        UNKNOWN if not known
        else f"differed from its commit for {count} of {len(cells)} cells" if count
        else "as committed"
    )  # fmt: skip
    return found | {
        "Training": _hours(cells, "train_seconds")
        + ", summed over cells; shared training, such as a baseline's, counts in each cell",
        "Training, baselines": _hours(cells[cells["method"] == DENSE], "train_seconds"),
        "Pruning": _hours(cells, "prune_seconds"),
    }


def _collected_by(layout: Layout) -> list[Block]:
    """Return what provenance.json says of the command that collected the records.

    Where the file is missing or names other files, a warning says so.
    """
    stored = read(layout.provenance)
    told = doubt_of(layout.provenance, layout.config, layout.cells_csv)
    blocks: list[Block] = [TextBlock(f"Warning: {told}.")] if told else []
    if stored is None:
        return blocks
    machine = stored.get("machine") or {}
    parts = (machine.get("processor"), machine.get("architecture"), _cores(machine))
    made = {
        "Command": stored.get("command"),
        "Began": stored.get("started"),
        "Last record": stored.get("ended"),
        "Commit then": stored.get("commit"),
        "SHA-256 of what was not committed": stored.get("diff_hash"),
        "SHA-256 of the lock file": stored.get("lock_hash"),
        "Machine": ", ".join(filter(None, parts)),
        "System": stored.get("system"),
        "Packages": f"{len(stored.get('packages') or ())}, with their versions in"
        f" {layout.provenance.name}",
    }
    said = TextBlock(
        "The command that collected the records (earlier ones may have computed some):"
    )
    return [*blocks, said, FactsBlock({name: str(value) for name, value in made.items() if value})]


def _cores(machine: Mapping[str, Any]) -> str:
    return f"{machine['usable_cores']} cores" if machine.get("usable_cores") else ""


def _counted(cells: pd.DataFrame, column: str) -> str:
    """Return the values of a column, with their numbers of cells where there are several values."""
    there = cells[column].dropna() if column in cells.columns else pd.Series(dtype=object)
    if there.empty:
        return UNKNOWN
    counts = there.astype(str).value_counts().sort_index()
    if len(counts) == 1:
        return str(counts.index[0])
    return ", ".join(f"{value} ({count} cells)" for value, count in counts.items())


def _hours(cells: pd.DataFrame, column: str) -> str:
    total = cells[column].sum(min_count=1) if column in cells.columns else float("nan")
    if pd.isna(total):
        return UNKNOWN
    minutes = float(total) / 60
    return f"{number(minutes, 1)} minutes" if minutes < 120 else f"{number(minutes / 60, 1)} hours"


def _hashes(cells: pd.DataFrame) -> TableBlock:
    rows: list[list[CellText]] = []
    for column, what in HASHES.items():
        found = cells[column].dropna().astype(str) if column in cells.columns else pd.Series([])
        kinds = sorted(set(found))
        only = kinds[0][:SHORT] if len(kinds) == 1 else NONE
        rows.append([column, what, str(len(kinds)), only, f"{len(cells) - len(found)}"])
    columns = {
        "Column": NAME, "SHA-256 of": WORDS, "Distinct": NUMBER, "Value, if one": WORDS,
        "Cells without": NUMBER,
    }  # fmt: skip
    return TableBlock(columns, rows, "Hashes; each row of cells.csv holds them in full.")


def _how_to_repeat(inputs: ReportInputs) -> list[Block]:
    cells = inputs.cells
    commits = set(cells["commit"].dropna() if "commit" in cells.columns else [])
    if len(commits) != 1:
        said = "Several commits made these records" if len(commits) else "No commit was recorded"
        return [TextBlock(f"{said}, so no single command repeats all of them.")]
    lines = [f"git checkout {quote(str(commits.pop()))}"]
    if inputs.experiment is None:
        return [
            TextBlock("The configuration is not known here; with it, this repeats the records:"),
            CommandsBlock((*lines, "python -m prunebench workflow CONFIGURATION --cores all")),
        ]
    path = quote(str(inputs.layout.config))
    lines.append(f"python -m prunebench workflow {path} --cores all")
    words = (
        "This repeats the records: the same bits on the same machine, the same conclusions"
        " elsewhere."
    )
    if reader_warnings.dirty(cells):
        words = (
            "This repeats the records only in part: the checkout differed from its commit, and what"
            " was not committed is lost."
        )
    if own := _own_files(inputs.layout):
        words += (
            f" They need {listed(own)}, which {'is' if len(own) == 1 else 'are'} no part of the"
            " checkout: the author has them, and so has a folder made by submit pack. Put them at"
            " these paths in the checkout."
        )
    return [TextBlock(words), CommandsBlock(tuple(lines))]


def _own_files(layout: Layout) -> list[str]:
    """Return the Python files of the author's own that the configuration names."""
    return [without_paths(name) for name in absent_code.files(read_yaml(layout.config))]
