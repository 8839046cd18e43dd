"""Tables of measured times, and of pruning against quantization at equal bytes."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.report import error_names
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.trade_offs import at_equal_bytes
from prunebench.storage.files import local, require_plain, write_text
from prunebench.storage.layout import Layout
from prunebench.storage.records import DENSE, LATENCY_COLUMNS
from prunebench.text import markup, safe_names
from prunebench.text.numbers import NONE, mean_std, number, percent, seeds_text

POINT = [*SETTING, "seed", "method", "sparsity"]
_TEXTS = (
    "task", "regime", "model", "method", "layer", "place", "network", "engine", "device", "message",
)  # fmt: skip
NETWORKS = ("dense", "masked", "shrunk")


def read(path: Path, columns: tuple[str, ...] = LATENCY_COLUMNS) -> pd.DataFrame | None:
    """Read latency.csv, layers.csv or sensitivity.csv.

    Args:
        path: the file.
        columns: the columns that it must have.

    Returns:
        Its rows; None where the file is not there.

    Raises:
        PrunebenchError: the file is no such table, or holds a name that is not safe to show.
    """
    require_plain(path)
    try:
        # a regime may be called 40, which is no number
        texts = dict.fromkeys(_TEXTS, str)
        table = pd.read_csv(local(path), keep_default_na=False, na_values=[""], dtype=texts)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise PrunebenchError(f"{path} is no table: {error}") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise PrunebenchError(f"{path} lacks the column(s) {', '.join(missing)}; collect again")
    for column in (*SETTING, "method"):
        safe_names.check(table[column].unique(), column, str(path))
    return table


def write(cells: pd.DataFrame, layout: Layout) -> list[Path]:
    """Write tables/latency and tables/quantization, where they have data, as .csv, .md and .tex.

    Args:
        cells: the records.
        layout: the experiment's folder.

    Returns:
        The paths that were written.
    """
    times, budgets = read(layout.latency_csv), at_equal_bytes(cells)
    made = {} if budgets.empty else {"quantization": (budgets, quantization_tables(budgets))}
    if times is not None:
        made["latency"] = (speeds(times), latency_tables(times))
    written = []
    for name, (tidy, shown) in made.items():
        text = tidy.to_csv(index=False, lineterminator="\n")
        for file, content in ({f"{name}.csv": text} | markup.files(name, shown)).items():
            written.append(layout.tables / file)
            write_text(written[-1], error_names.named(content, cells))
    return written


def speeds(times: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each cell, engine and batch, with milliseconds and speed-ups.

    The columns are ``<network>_ms`` (median), ``<network>_low_ms`` and ``<network>_high_ms``
    (quartiles), and ``masked_speedup`` and ``shrunk_speedup`` (median of dense over own median).
    """
    taken = times[times["median_ms"].notna() & times["network"].isin(NETWORKS)]
    key = [*POINT, "engine", "batch"]
    wide = taken.pivot(index=key, columns="network", values=["median_ms", "low_ms", "high_ms"])
    found = pd.DataFrame(index=wide.index)
    for network in NETWORKS:
        for column, name in (("median_ms", "ms"), ("low_ms", "low_ms"), ("high_ms", "high_ms")):
            there = (column, network) in wide.columns
            found[f"{network}_{name}"] = wide[column, network] if there else float("nan")
    for network in NETWORKS[1:]:
        found[f"{network}_speedup"] = found["dense_ms"] / found[f"{network}_ms"]
    return found.reset_index()


def latency_tables(times: pd.DataFrame) -> list[markup.PrintedTable]:
    """Return a long table for each setting: a row for each method, sparsity, engine and batch."""
    found = speeds(times)
    found = found[found["method"] != DENSE]
    tables = []
    for setting, rows in found.groupby(SETTING, sort=True):
        inside = times[(times[SETTING] == list(setting)).all(axis=1)]
        how = inside[inside["repeats"].notna()].iloc[0]
        body = [
            [
                str(row["method"]), percent(row["sparsity"]), str(row["engine"]),
                f"{row['batch']:g}", *(_spread(row, network) for network in NETWORKS),
                *(number(row[f"{network}_speedup"], 2) for network in NETWORKS[1:]),
            ]
            for row in rows.to_dict("records")
        ]  # fmt: skip
        tables.append(
            markup.PrintedTable(
                title=f"Measured times: {' / '.join(map(str, setting))}",
                caption=f"milliseconds a batch, median [quartiles] of {how['repeats']:g} runs,"
                f" networks in turns, {how['threads']:g} thread(s), {how['device']};"
                " shrunk only where verified; speed-up is dense over own",
                header=["method", "sparsity", "engine", "batch", *NETWORKS, "masked ×", "shrunk ×"],
                rows=body,
                long=True,
            )
        )
    return tables


def _spread(row: dict[Hashable, Any], network: str) -> str:
    middle, low, high = (row[f"{network}_{name}"] for name in ("ms", "low_ms", "high_ms"))
    if pd.isna(middle):
        return NONE
    return f"{_ms(middle)} [{_ms(low)}, {_ms(high)}]"


def _ms(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def unmeasured(times: pd.DataFrame) -> list[str]:
    """Return a sentence for each reason why times are missing, with how many are."""
    lacking = times[times["median_ms"].isna()]
    counted = lacking.groupby(["engine", "message"], sort=True).size().reset_index(name="n")
    return [
        f"{message} ({engine}, {n} times)."
        for engine, message, n in counted.itertuples(index=False, name=None)
    ]


def quantization_tables(budgets: pd.DataFrame) -> list[markup.PrintedTable]:
    """Return a table for each setting: the error of each way within each budget of bytes.

    Args:
        budgets: the rows of ``trade_offs.at_equal_bytes``.
    """
    if budgets.empty:
        return []
    tables = []
    for setting, rows in budgets.groupby(SETTING, sort=True):
        names = sorted(rows["way"].unique())
        body = []
        for ratio, inside in rows.groupby("ratio", sort=True):
            own = inside.set_index("way")
            cells = [_way(own.loc[name]) if name in own.index else NONE for name in names]
            body.append([f"{own['budget'].iloc[0] / 1e3:.3g} kB (1/{ratio})", *cells])
        tables.append(
            markup.PrintedTable(
                title=f"Prune, quantize or both at equal bytes: {' / '.join(map(str, setting))}",
                caption="test error (%), mean ± standard deviation over"
                f" {seeds_text(rows['n'])}, of the cell with the lowest validation error within"
                " the budget; ONNX files behind zstd, budgets are shares of the dense one",
                header=["bytes at most", *names],
                rows=body,
            )
        )
    return tables


def _way(row: pd.Series) -> str:
    error = mean_std(100 * row["error_mean"], 100 * row["error_std"], 1)
    at = f" {percent(row['sparsity'])}" if row["sparsity"] else ""
    return f"{error} ({row['method']}{at})"


def verdict(budgets: pd.DataFrame) -> str:
    """Return a sentence on the way with the lowest error at equal bytes, counted over budgets."""
    if budgets.empty:
        return "Nothing was quantized: the configuration's probes do not name it."
    contested = budgets.groupby([*SETTING, "ratio"])["way"].transform("nunique") > 1
    rows = budgets[contested]
    total = len(rows.drop_duplicates([*SETTING, "ratio"]))
    wins = rows[rows["first"]].groupby("way").size().sort_values(ascending=False)
    said = ", ".join(f"{way} in {count}" for way, count in wins.items())
    return (
        f"At equal bytes, over {total} pairs of a setting and a budget that more than one way"
        f" meets, the lowest mean test error has: {said or 'none'}. Means over seeds, without a"
        " test: what is close is not told apart."
    )
