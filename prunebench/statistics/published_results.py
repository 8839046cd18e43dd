"""Results that were imported: read beside one's own, compared with their own dense results only."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import read_cells, read_text, typed
from prunebench.statistics.own_and_published import COLUMN, named
from prunebench.storage.layout import Layout
from prunebench.storage.records import DENSE, OK
from prunebench.text import safe_names

# of an imported file: whose it is, the file it came from, and in which units that was
SOURCE, FILE, SHA256, UNITS = "source", "source_file", "source_sha256", "source_units"
PROVENANCE = (SOURCE, FILE, SHA256, UNITS)


def read_all(layout: Layout) -> pd.DataFrame:
    """The cells of an experiment, as ``read_cells`` does, and behind them what was imported.

    Imported methods are named as ``named`` does, with ``published`` the source's name.
    Raises PrunebenchError as ``read_cells`` does, for every file that is there.
    """
    cells = read_cells(layout.cells_csv)
    paths = sorted(layout.published.glob("*.csv"))
    if not paths:
        return cells
    experiment = str(cells["experiment"].iloc[0])
    tables = [cells, *(read_published(path, experiment) for path in paths)]
    raw = pd.concat([table.astype(object) for table in tables], ignore_index=True)
    return typed(raw, str(layout.root))


def read_published(path: Path, experiment: str) -> pd.DataFrame:
    """An imported file as cells of ``experiment``; raises PrunebenchError where it is damaged."""
    raw = read_text(path)
    lacking = [column for column in PROVENANCE if column not in raw.columns]
    if lacking:
        raise PrunebenchError(
            f"{path} lacks the column(s) {', '.join(lacking)}: import the results, do not copy them"
        )
    cells = typed(raw.assign(experiment=experiment), str(path))
    sources = set(cells[SOURCE].fillna(""))
    if len(sources) != 1 or sources == {""}:
        raise PrunebenchError(f"{path}: {SOURCE} must be one name in all rows; import it again")
    safe_names.check(sources, SOURCE, str(path))
    [source] = sources
    cells["method"] = [named(method, source) for method in cells["method"]]
    return cells.assign(**{COLUMN: source})


def is_paired(group: pd.DataFrame) -> bool:
    """Whether every seed of a setting has its own dense result."""
    dense = group["family"] == DENSE
    return bool(dense.any()) and set(group.loc[~dense, "seed"]) <= set(group.loc[dense, "seed"])


def against_own_dense(rows: pd.DataFrame) -> pd.DataFrame:
    """``reference_error`` and ``difference`` (points) of one source's counted rows.

    A setting in which every seed has its own dense result is paired by seed. In any other the
    difference is that of the means, which has no spread: it stands in the first row of each cell,
    the others have none. A setting without dense results has no differences.
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
    """The settings of one source's counted rows that have a dense result, all rows ``ok``.

    (What was lost is counted already.) In settings that are not paired the seeds are averaged to
    one: means can be compared; spread and tests cannot be had of them.
    """
    kept = []
    for _, group in rows.groupby(SETTING, sort=True):
        if not (group["family"] == DENSE).any():
            continue
        if not is_paired(group):
            cell = group.groupby(["method", "sparsity"], sort=True)
            group = cell.first().assign(seed=0, **cell[["test_error", "val_error"]].mean())
            group = group.reset_index()
        kept.append(group.assign(status=OK))
    return pd.concat(kept, ignore_index=True) if kept else rows.iloc[:0]
