"""The tables of a paper: generalization, compression and scores, as .csv, .md and .tex.

In a column of a table the lowest error is bold where a test shows that every other is higher (see
``statistics.best_methods``). Otherwise a dagger marks it and those that no test tells from it.
With too few seeds for any test nothing is marked, and the caption says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.report import error_names
from prunebench.report.verdict_words import of_score
from prunebench.statistics import SETTING, bands, counted, score
from prunebench.statistics.best_methods import Leader, find_leader
from prunebench.statistics.cells_table import flags
from prunebench.statistics.counted_cells import paired_difference
from prunebench.statistics.label_scopes import shared_draws
from prunebench.statistics.published_results import MARK, own
from prunebench.statistics.recovery_lengths import all_lengths
from prunebench.statistics.setting_scores import run_scores
from prunebench.storage.files import write_text
from prunebench.storage.records import DENSE
from prunebench.text import markup
from prunebench.text.numbers import interval, mean_std, number, percent, seeds_text
from prunebench.text.safe_names import file_part

KEY = [*SETTING, "method", "family", "sparsity"]
Key = tuple[Any, ...]  # task, regime, model, sparsity
BEHIND = (
    "paired exact sign-flip test over independent units, Holm's correction over the others, level"
    " {:g}, and the 95 % bootstrap interval of the paired difference"
)


@dataclass(frozen=True)
class MeasureColumn:
    """A column of a table: its title, its factor and its format."""

    column: str
    title: str
    scale: float = 1
    digits: int = 1
    spread: bool = False  # show the standard deviation
    judged: bool = False  # lower is better: the best is marked where it is shown


GENERALIZATION = (
    MeasureColumn("test_error", "Test error (%)", 100, 1, spread=True, judged=True),
    MeasureColumn(
        "difference", "Test error minus that of dense, same seed (points)", 1, 1, True, True
    ),
    MeasureColumn(
        "generalization_gap", "Generalization gap: test minus training error (points)", 100
    ),
    MeasureColumn("memorized", "Mislabelled training samples memorized (%)", 100),
)
# of some kinds of tasks, under the names of their fields; a table where they are recorded
OF_KINDS = (
    MeasureColumn("test_auc", "Test area under the ROC curve (%)", 100, 1, spread=True),
    MeasureColumn(
        "test_rmse", "Test root mean squared error (units of the target)", 1, 3, spread=True
    ),
    MeasureColumn("test_perplexity", "Test perplexity", 1, 2, spread=True),
    MeasureColumn("test_bleu", "Test BLEU (0 to 100)", 100, 1, spread=True),
    MeasureColumn("test_word_error_rate", "Test word error rate (%)", 100, 1, spread=True),
    MeasureColumn(
        "test_map", "Test mean average precision, overlaps of 0.5 to 0.95 (%)", 100, 1, spread=True
    ),
    MeasureColumn("test_ndcg_at_10", "Test NDCG of the first ten (%)", 100, 1, spread=True),
)
COMPRESSION = (
    MeasureColumn("sparsity_achieved", "Sparsity (%)", 100, 2),
    MeasureColumn("params_kept", "Weights kept", 1, 0),
    MeasureColumn("compression_ratio", "Ratio", 1, 2),
    MeasureColumn("macs_kept", "MACs (M)", 1e-6, 2),
    MeasureColumn("theoretical_speedup", "Speed-up", 1, 2),
    MeasureColumn("shrunk_speedup", "Shrunk", 1, 2),
    MeasureColumn("measured_speedup", "Measured, 1", 1, 2),
    MeasureColumn("measured_speedup_batch", "Measured, batch", 1, 2),
    MeasureColumn("bytes_kept", "kB", 1e-3, 0),
    MeasureColumn("bytes_compressed", "File (kB)", 1e-3, 1),
    MeasureColumn("bytes_quantized", "In 8 bits (kB)", 1e-3, 1),
    MeasureColumn("quantized_error", "Its error (%)", 100, 1),
    MeasureColumn("quantized_speedup", "Its speed-up", 1, 2),
    MeasureColumn("train_epochs", "Epochs", 1, 0),
    MeasureColumn("train_seconds", "Seconds", 1, 1),
)


def write(
    cells: pd.DataFrame, folder: Path, analysis: Analysis, highlight: Sequence[str] = ()
) -> list[Path]:
    r"""Write the tables of generalization, compression and scores.

    The .csv files are tidy (a row per setting, method and sparsity; for scores, per method), in the
    units of the record and in full precision; .md and .tex are for readers. Each table of the .tex
    of all settings is also written by itself, as ``<measure>-<setting>.tex``, for ``\input``. The
    LaTeX needs booktabs, graphicx and longtable.

    Args:
        cells: the records, as ``statistics.read_cells`` returns them.
        folder: where the files go.
        analysis: how the records are judged.
        highlight: the methods whose names are in bold, at every length of recovery.

    Returns:
        The paths that were written.

    Raises:
        PrunebenchError: ``statistics.check_cells`` refuses the cells.
    """
    measures = (*GENERALIZATION, *_recorded(cells))
    generalization = summary(cells, measures)
    compression = summary(cells, COMPRESSION)
    scores = score(cells, **analysis.of_scores())
    shown = {
        "generalization": _matrices(
            generalization, measures, leads(cells, analysis.alpha), analysis.alpha
        ),
        "compression": _lists(compression),
        "scores": [scoreboard(cells, scores, analysis)],
    }
    tidy = {"generalization": generalization, "compression": compression, "scores": scores}
    made = {f"{name}.csv": table.to_csv(index=False, lineterminator="\n")
            for name, table in tidy.items()}  # fmt: skip
    mine = all_lengths(cells, highlight)
    for name, tables in ((name, markup.emphasised(t, mine)) for name, t in shown.items()):
        made |= markup.files(name, tables)
        made |= {f"{table.label}.tex": markup.LATEX_HEAD + markup.latex(table) for table in tables}
    for name, text in made.items():
        write_text(folder / name, error_names.named(text, cells))
    return [folder / name for name in made]


def label(what: str, setting: Iterable[str] = ()) -> str:
    """Return the name of a table: of its file, and of its LaTeX label behind ``tab:``."""
    return "-".join(file_part(str(part)) for part in (what, *setting))


def leads(cells: pd.DataFrame, alpha: float) -> dict[Key, Leader]:
    """Return the method of lowest test error by setting and sparsity, of two or more."""
    found = {}
    for key, rows in counted(own(cells)).groupby([*SETTING, "sparsity"], sort=True):
        best = find_leader(rows.dropna(subset=["test_error"]), "test_error", alpha)
        if best is not None:
            found[key] = best
    return found


def summary(cells: pd.DataFrame, measures: tuple[MeasureColumn, ...]) -> pd.DataFrame:
    """Return tidy means, standard deviations, bands and counts of the measures, dense first."""
    table = bands(paired_difference(cells), [measure.column for measure in measures])
    rank = {method: place for place, method in enumerate(methods_in_order(cells))}
    return table.sort_values(
        [*SETTING, "method", "sparsity"],
        key=lambda column: column.map(rank) if column.name == "method" else column,
    ).reset_index(drop=True)


def methods_in_order(cells: pd.DataFrame) -> list[str]:
    """Return dense, the other controls, the candidates and the published methods, each by name."""
    control = flags(cells["control"]).fillna(False).groupby(cells["method"]).any()
    mine = set(own(cells)["method"])
    order = {
        name: (name != DENSE, name not in mine, not control[name], name) for name in control.index
    }
    return sorted(order, key=lambda name: order[name])


def _recorded(cells: pd.DataFrame) -> list[MeasureColumn]:
    """Return the measures of kinds of tasks that these cells hold."""
    there = cells.reindex(columns=[measure.column for measure in OF_KINDS]).notna().any()
    return [measure for measure in OF_KINDS if there[measure.column]]


def _matrices(
    tidy: pd.DataFrame, measures: Sequence[MeasureColumn], best: dict[Key, Leader], alpha: float
) -> list[markup.PrintedTable]:
    """Return a matrix for each setting and measure: methods down, sparsities across."""
    tables = []
    for setting, rows in tidy.groupby(SETTING, sort=True):
        for measure in measures:
            there = rows[rows[f"{measure.column}_n"] > 0]
            if len(there):
                here = {key[-1]: found for key, found in best.items() if key[:-1] == setting}
                marked = here if measure.judged else {}
                said = f"; {meaning_of_marks(list(marked.values()), alpha)}" if marked else ""
                tables.append(_matrix(setting, there, measure, marked, said))
    return tables


def _matrix(
    setting: Key, rows: pd.DataFrame, measure: MeasureColumn, best: dict[float, Leader], said: str
) -> markup.PrintedTable:
    shown = rows.assign(text=_texts(rows, measure))
    wide = shown.pivot(index="method", columns="sparsity", values="text").fillna(number(None))
    wide = wide.reindex(rows["method"].unique())  # the order of the tidy table
    how = "mean ± standard deviation" if measure.spread else "mean"
    counts = seeds_text(rows[f"{measure.column}_n"])
    lost = int(rows["failed"].sum())
    cells = "cell" if lost == 1 else "cells"
    note = f"; {lost} {cells} failed, diverged or collapsed and left out" if lost else ""
    return markup.PrintedTable(
        title=f"{measure.title}: {' / '.join(map(str, setting))}",
        caption=f"{how} over {counts}, by sparsity{said}{note}{published_note(rows)}",
        header=["method", *(percent(float(s)) for s in wide.columns)],
        rows=[
            [
                str(name),
                *(cell(text, str(name), best.get(float(s)))
                  for text, s in zip(values, wide.columns, strict=True)),
            ]
            for name, *values in wide.itertuples(name=None)
        ],
        over="sparsity",
        label=label(measure.column, map(str, setting)),
    )  # fmt: skip


def published_note(rows: pd.DataFrame) -> str:
    """Return a caption's note on published results among the rows; "" where there are none."""
    whose = sorted(rows["published"].dropna().unique())
    names = "), (".join(map(str, whose))
    return f"; ({names}): {MARK}, compared with its own dense" if whose else ""


def cell(text: str, method: str, best: Leader | None) -> str | markup.MarkedText:
    """Return the text, marked as the best or as a tie where a test could tell."""
    if best is None or best.unable or method not in (best.method, *best.tied):
        return text
    return markup.MarkedText(text, best=best.alone, tied=not best.alone)


def meaning_of_marks(best: Sequence[Leader], alpha: float) -> str:
    """Return what bold and the dagger mean, or why there are none."""
    behind = f" ({BEHIND.format(alpha)})"
    able = [each for each in best if not each.unable]
    if not able:
        return f"no number is bold: differences {best[0].unable}"
    said = []
    if any(each.alone for each in able):
        said.append(f"bold: the lowest of its column, shown to be below every other{behind}")
    if not all(each.alone for each in able):
        once = "" if said else behind
        said.append(f"†: the lowest, and what is not shown to differ from it{once}")
    if len(able) < len(best):
        said.append(f"elsewhere differences {next(e.unable for e in best if e.unable)}")
    return "; ".join(said)


def scoreboard(
    cells: pd.DataFrame, scores: pd.DataFrame, analysis: Analysis
) -> markup.PrintedTable:
    """Return the scores with their intervals, best first.

    The best is marked among the methods of which no cell is missing.
    """
    complete = set(scores.loc[scores["complete"], "method"]) - {DENSE}
    values = run_scores(own(cells))
    best = find_leader(
        values[values["method"].isin(complete)], alpha=analysis.alpha, shared=shared_draws(cells)
    )
    controls = flags(cells["control"]).fillna(False).groupby(cells["method"]).any()
    rows = [
        [
            f"{method} *" if controls.get(method) else str(method),
            cell(number(v["score"], 2, sign=True), str(method), best),
            interval(v["low"], v["high"]),
            number(v["chosen"], 2, sign=True),
            of_score(v.to_dict()),
        ]
        for method, v in scores.set_index("method").iterrows()
        if method != DENSE
    ]  # fmt: skip
    seeds = seeds_text(own(cells).groupby(SETTING)["seed"].nunique())
    over = ", ".join(sorted(set(scores.loc[scores["published"].isna(), "interval_over"])))
    said = f"; {meaning_of_marks([best], analysis.alpha)}" if best else ""
    return markup.PrintedTable(
        title="Score: change of test error by pruning, in points; negative is better than dense",
        caption=f"mean over log₂ compression, over all settings and {seeds}, with its 95 %"
        f" bootstrap interval over {over}; beside it the change at the sparsity chosen on"
        f" validation; *: a control; equivalent: the interval lies inside"
        f" ±{analysis.equivalence:g}{said}{published_note(scores)}",
        header=["method", "score", "95 % interval", "at chosen", "verdict"],
        rows=rows,
        label=label("scores"),
    )


def _lists(tidy: pd.DataFrame) -> list[markup.PrintedTable]:
    """Return a long table for each setting: a row for each method and sparsity."""
    tables = []
    for setting, rows in tidy.groupby(SETTING, sort=True):
        shown = [m for m in COMPRESSION if rows[f"{m.column}_mean"].notna().any()]
        columns = [_texts(rows, measure) for measure in shown]
        body = [
            [str(method), percent(sparsity), *texts]
            for method, sparsity, *texts in zip(
                rows["method"], rows["sparsity"], *columns, strict=True
            )
        ]
        tables.append(
            markup.PrintedTable(
                title=f"Compression and cost: {' / '.join(map(str, setting))}",
                caption=f"mean over {seeds_text(rows['cells'])}; ratio is all weights over kept "
                "weights, speed-up is theoretical (dense over kept multiply-accumulates), shrunk is"
                " dense over verified shrunk ones, measured is dense over own time"
                f"{published_note(rows)}",
                header=["method", "target", *(measure.title for measure in shown)],
                rows=body,
                long=True,
                label=label("compression", map(str, setting)),
            )
        )
    return tables


def _texts(rows: pd.DataFrame, measure: MeasureColumn) -> list[str]:
    means = rows[f"{measure.column}_mean"] * measure.scale
    if not measure.spread:
        return [number(mean, measure.digits) for mean in means]
    spreads = rows[f"{measure.column}_std"] * measure.scale
    return [mean_std(m, s, measure.digits) for m, s in zip(means, spreads, strict=True)]
