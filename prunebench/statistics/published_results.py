"""Keep published results apart from one's own: read them, tell them apart, compare them.

The column ``published`` names the source of a row; it is empty in what was run here. No published
row changes a number of what was run here: another group's data, budget and seeds are not one's own.
Published results are compared with the dense results of their own source only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import read_cells, read_text, typed
from prunebench.storage import links
from prunebench.storage.files import require_plain
from prunebench.storage.layout import Layout
from prunebench.storage.manifest import Manifest
from prunebench.storage.records import DENSE
from prunebench.text import safe_names

COLUMN = "published"
MARK = "published, not re-run"
# of an imported file: whose it is, the file it came from, and in which units that was
SOURCE, FILE, SHA256, UNITS = "source", "source_file", "source_sha256", "source_units"
PROVENANCE = (SOURCE, FILE, SHA256, UNITS)


def origin(cells: pd.DataFrame) -> pd.Series:
    """Return the source of each row, as text; "" is what was run here."""
    if COLUMN not in cells.columns:
        return pd.Series("", cells.index, dtype=object)
    return cells[COLUMN].astype(object).where(cells[COLUMN].notna(), "")


def own(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that were run here."""
    return cells[origin(cells) == ""]


def others(cells: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name and the rows of each source of published results, in alphabetical order."""
    whose = origin(cells)
    for source in sorted(set(whose) - {""}):
        yield str(source), cells[whose == source]


def named(method: str, source: str) -> str:
    """Return the name under which a published method is shown: ``SynFlow (Tanaka 2020)``."""
    return f"{method} ({source})"


def read_all(layout: Layout) -> pd.DataFrame:
    """Read the cells of an experiment and, behind them, the published results imported into it.

    Imported methods are named as ``named`` does, with ``published`` the source's name.

    Args:
        layout: The experiment's folder.

    Returns:
        Cells as ``read_cells`` returns them.

    Raises:
        PrunebenchError: As ``read_cells`` does, for every file that is there.
    """
    cells = read_cells(layout.cells_csv)
    paths = published_files(layout)
    if not paths:
        return cells
    experiment = str(cells["experiment"].iloc[0])
    tables = [cells, *(read_published(path, experiment) for path in paths)]
    raw = pd.concat([table.astype(object) for table in tables], ignore_index=True)
    return typed(raw, str(layout.root))


def published_files(layout: Layout) -> list[Path]:
    """Return the files of published results that were imported, sorted.

    Raises:
        PrunebenchError: One is a link to elsewhere, or no plain file.
    """
    paths = sorted(layout.published.glob("*.csv"))
    for path in paths:
        links.refuse_outside(path, layout.root)
        require_plain(path)
    return paths


def read_published(path: Path, experiment: str) -> pd.DataFrame:
    """Read an imported file as cells of ``experiment``; a digit that was changed since is noticed.

    Raises:
        PrunebenchError: It does not say where it comes from, or ``read_cells`` would refuse it.
    """
    if published_manifest(path).damaged(thorough=True):
        raise PrunebenchError(f"{path} was changed since it was imported: import it again")
    raw = read_text(path)
    lacking = [column for column in PROVENANCE if column not in raw.columns]
    if lacking:
        raise PrunebenchError(
            f"{path} lacks the column(s) {', '.join(lacking)}: import the results, do not copy them"
        )
    cells = typed(raw.assign(experiment=experiment), str(path))
    sources = set(raw[SOURCE].astype(object).fillna(""))
    if len(sources) != 1 or sources == {""}:
        raise PrunebenchError(f"{path}: {SOURCE} must be one name in all rows; import it again")
    safe_names.check(sources, SOURCE, str(path))
    [source] = sources
    cells["method"] = [named(method, source) for method in cells["method"]]
    return cells.assign(**{COLUMN: source})


def published_manifest(path: Path) -> Manifest:
    """Return the manifest of an imported file; of one of an earlier version there is none."""
    root = path.parent.parent
    return Manifest(root / "jobs" / "noted" / f"published-{path.stem}.json", root)


def citation_file(path: Path) -> Path:
    """Return where the BibTeX entry of an imported file's paper lies, if it was given."""
    return path.with_suffix(".bib")


def is_paired(group: pd.DataFrame) -> bool:
    """Return whether every seed of a setting has its own dense result."""
    dense = group["family"] == DENSE
    return bool(dense.any()) and set(group.loc[~dense, "seed"]) <= set(group.loc[dense, "seed"])


def against_own_dense(rows: pd.DataFrame) -> pd.DataFrame:
    """Add ``reference_error`` and ``difference`` (points) to one source's counted rows.

    A setting in which every seed has its own dense result is paired by seed. In any other the
    difference is that of the means, whose spread is that of both (``score`` knows it): it stands in
    the first row of each cell, the others have none. A setting without dense results has no
    differences.
    """
    rows = rows.assign(reference_error=float("nan"), difference=float("nan"))
    for _, group in rows.groupby(SETTING, sort=True):
        dense = group[group["family"] == DENSE].set_index("seed")["test_error"]
        if is_paired(group):
            reference = group["seed"].map(dense)
            difference = 100 * (group["test_error"] - reference)
        else:
            reference = pd.Series(dense.mean(), group.index)
            means = group.groupby(["method", "sparsity"])["test_error"].transform("mean")
            again = group.duplicated(["method", "sparsity"])
            difference = (100 * (means - dense.mean())).mask(again)
        rows.loc[group.index, "reference_error"] = reference
        rows.loc[group.index, "difference"] = difference
    return rows


def comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one source's rows in the settings that have a dense result."""
    dense = (rows["family"] == DENSE).groupby([rows[axis] for axis in SETTING]).transform("any")
    return rows[dense]
