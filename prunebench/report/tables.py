"""The tables of a paper: generalization and compression, as .csv (tidy), .md and .tex."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from prunebench.files import write_text
from prunebench.records import DENSE
from prunebench.report import markup
from prunebench.report.style import mean_std, number, percent, seeds_text
from prunebench.settings import Analysis
from prunebench.statistics import SETTING, bands, score
from prunebench.statistics.bands import paired_difference
from prunebench.statistics.cells import flags

KEY = [*SETTING, "method", "family", "sparsity"]


@dataclass(frozen=True)
class Measure:
    """A column to show: how it is named, in which unit, and by what it is multiplied."""

    column: str
    title: str
    scale: float = 1
    digits: int = 1
    spread: bool = False  # show the standard deviation


GENERALIZATION = (
    Measure("test_error", "Test error (%)", 100, 1, spread=True),
    Measure("difference", "Test error minus that of dense, same seed (points)", 1, 1, spread=True),
    Measure("generalization_gap", "Generalization gap: test minus training error (points)", 100),
    Measure("memorized", "Mislabelled training samples memorized (%)", 100),
)
COMPRESSION = (
    Measure("sparsity_achieved", "Sparsity (%)", 100, 2),
    Measure("params_kept", "Weights kept", 1, 0),
    Measure("compression_ratio", "Ratio", 1, 2),
    Measure("macs_kept", "MACs (M)", 1e-6, 2),
    Measure("theoretical_speedup", "Speed-up", 1, 2),
    Measure("bytes_kept", "kB", 1e-3, 0),
    Measure("train_epochs", "Epochs", 1, 0),
    Measure("train_seconds", "Seconds", 1, 1),
)


def write(cells: pd.DataFrame, folder: Path, analysis: Analysis) -> list[Path]:
    """Write generalization, compression and scores into ``folder``; return the paths.

    The .csv files are tidy (a row per setting, method, sparsity), in the units of the record and
    full precision; .md and .tex are for readers. The LaTeX needs booktabs and longtable.
    """
    generalization = summary(cells, GENERALIZATION)
    compression = summary(cells, COMPRESSION)
    made = {
        "generalization": (generalization, _matrices(generalization)),
        "compression": (compression, _lists(compression)),
    }
    written = []
    for name, (tidy, shown) in made.items():
        texts = {
            "csv": tidy.to_csv(index=False, lineterminator="\n"),
            "md": "\n".join(markup.markdown(table) for table in shown),
            "tex": markup.LATEX_HEAD + "\n".join(markup.latex(table) for table in shown),
        }
        for kind, text in texts.items():
            written.append(folder / f"{name}.{kind}")
            write_text(written[-1], text)
    written.append(folder / "scores.csv")
    scores = score(cells, **analysis.model_dump())
    write_text(written[-1], scores.to_csv(index=False, lineterminator="\n"))
    return written


def summary(cells: pd.DataFrame, measures: tuple[Measure, ...]) -> pd.DataFrame:
    """Tidy means, standard deviations, bands and counts of ``measures``, dense first."""
    table = bands(paired_difference(cells), [measure.column for measure in measures])
    rank = {method: place for place, method in enumerate(methods_in_order(cells))}
    return table.sort_values(
        [*SETTING, "method", "sparsity"],
        key=lambda column: column.map(rank) if column.name == "method" else column,
    ).reset_index(drop=True)


def methods_in_order(cells: pd.DataFrame) -> list[str]:
    """Dense, the other controls as far as the records say, and the rest, each by name."""
    control = flags(cells["control"]).fillna(False).groupby(cells["method"]).any()
    return sorted(control.index, key=lambda name: (name != DENSE, not control[name], name))


def _matrices(tidy: pd.DataFrame) -> list[markup.Table]:
    """Per setting and measure one matrix: methods down, sparsities across."""
    tables = []
    for setting, rows in tidy.groupby(SETTING, sort=True):
        for measure in GENERALIZATION:
            there = rows[rows[f"{measure.column}_n"] > 0]
            if len(there):
                tables.append(_matrix(" / ".join(map(str, setting)), there, measure))
    return tables


def _matrix(setting: str, rows: pd.DataFrame, measure: Measure) -> markup.Table:
    shown = rows.assign(text=_texts(rows, measure))
    wide = shown.pivot(index="method", columns="sparsity", values="text").fillna(number(None))
    wide = wide.reindex(rows["method"].unique())  # the order of the tidy table
    how = "mean ± standard deviation" if measure.spread else "mean"
    counts = seeds_text(rows[f"{measure.column}_n"])
    lost = int(rows["failed"].sum())
    fate = "count as a constant predictor" if measure.spread else "are left out"
    note = f"; {lost} cells failed, diverged or collapsed: unmeasured ones {fate}" if lost else ""
    return markup.Table(
        title=f"{measure.title}: {setting}",
        caption=f"{how} over {counts}, by sparsity{note}",
        header=["method", *(percent(float(s)) for s in wide.columns)],
        rows=[[str(name), *values] for name, *values in wide.itertuples(name=None)],
    )


def _lists(tidy: pd.DataFrame) -> list[markup.Table]:
    """Per setting one long table: a row for each method and sparsity."""
    tables = []
    for setting, rows in tidy.groupby(SETTING, sort=True):
        columns = [_texts(rows, measure) for measure in COMPRESSION]
        body = [
            [str(method), percent(sparsity), *texts]
            for method, sparsity, *texts in zip(
                rows["method"], rows["sparsity"], *columns, strict=True
            )
        ]
        tables.append(
            markup.Table(
                title=f"Compression and cost: {' / '.join(map(str, setting))}",
                caption=f"mean over {seeds_text(rows['cells'])}; ratio is all weights over kept "
                "weights, speed-up is theoretical (dense over kept multiply-accumulates)",
                header=["method", "target", *(measure.title for measure in COMPRESSION)],
                rows=body,
                long=True,
            )
        )
    return tables


def _texts(rows: pd.DataFrame, measure: Measure) -> list[str]:
    means = rows[f"{measure.column}_mean"] * measure.scale
    if not measure.spread:
        return [number(mean, measure.digits) for mean in means]
    spreads = rows[f"{measure.column}_std"] * measure.scale
    return [mean_std(m, s, measure.digits) for m, s in zip(means, spreads, strict=True)]
