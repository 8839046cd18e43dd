"""The checklist of the field (Blalock 2020), answered from the records alone.

An item is a function of the records, marked with ``item``. This file is the registration: the
items are asked in its order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from prunebench.report.document.elements import (
    BAD,
    GOOD,
    OPEN,
    WORDS,
    CellText,
    Mark,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.error_names import CLASSES, kind_of
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics import SETTING
from prunebench.statistics.cells_table import flags
from prunebench.statistics.hypotheses.paired_cells import CONTROL_KINDS
from prunebench.storage.records import COMPOSITION, DENSE
from prunebench.text.numbers import first_few, number, plural
from prunebench.text.safe_names import file_part

FULFILLED, NOT_FULFILLED, CANNOT_TELL = "fulfilled", "not fulfilled", "cannot tell"
DOES_NOT_APPLY = "does not apply"
TONES = {FULFILLED: GOOD, NOT_FULFILLED: BAD, CANNOT_TELL: OPEN, DOES_NOT_APPLY: ""}
RATIOS = (2, 4, 8, 16, 32)  # that Blalock 2020 names
NEAR = 1.1  # a network so much smaller or larger still stands at one of them
PAIRS, SEEDS, TOP = 3, 3, 5
DISCLOSED = (
    "commit", "device", "processor", "threads", "python_version", "torch_version",
    "torchvision_version", "timm_version", "train_epochs", "train_seconds",
)  # fmt: skip
ALIKE = (
    "commit", "device", "threads", "python_version", "torch_version", "torchvision_version",
    "timm_version",
)  # fmt: skip
CURVES = ("error-compression", "error-speedup")


@dataclass(frozen=True)
class Records:
    """The cells and the stems of the figures drawn from them: what the items are answered from."""

    cells: pd.DataFrame
    figures: frozenset[str] = frozenset()

    def column(self, name: str) -> pd.Series:
        """Return a column of the cells; empty values where the table lacks it."""
        return self.cells.reindex(columns=[name])[name]

    @property
    def pruned(self) -> pd.DataFrame:
        """Return the measured cells of pruned networks."""
        there = (self.cells["sparsity"] > 0) & self.cells["test_error"].notna()
        return self.cells[there]


@dataclass(frozen=True)
class Answer:
    """The outcome of an item, and why."""

    outcome: str  # a key of TONES
    why: str


@dataclass(frozen=True)
class Item:
    """An item of the checklist, and the function that answers it."""

    asks: str
    answer: Callable[[Records], Answer]


def item(asks: str) -> Callable[[Callable[[Records], Answer]], Item]:
    """Mark a function of Records as an item of the checklist that asks ``asks``."""

    def made(answer: Callable[[Records], Answer]) -> Item:
        return Item(asks, answer)

    return made


def items() -> list[Item]:
    """Return every item of this file, in its order."""
    return [value for value in globals().values() if isinstance(value, Item)]


def checklist(records: Records) -> list[tuple[str, Answer]]:
    """Return every item with its answer."""
    return [(each.asks, each.answer(records)) for each in items()]


def _decided(holds: bool, why: str) -> Answer:
    return Answer(FULFILLED if holds else NOT_FULFILLED, why)


@item("The exact architectures, data sets and metrics are named.")
def named(records: Records) -> Answer:
    """Look for names, for the hash of the data and for the size of the networks."""
    lacking = [
        what
        for column, what in (("data_hash", "the hash of the data"), ("params_total", "weights"),
                             ("macs_dense", "multiply-accumulates"))
        if records.column(column).isna().all()
    ]  # fmt: skip
    tasks = sorted(map(str, records.cells["task"].unique()))
    models = sorted(map(str, records.cells["model"].unique()))
    first = "top-1 " if kind_of(records.cells) == CLASSES else ""
    said = f"{first_few(models)} on {first_few(tasks)}; {first}test error"
    if lacking:
        return Answer(CANNOT_TELL, f"{said}; the records lack {', '.join(lacking)}.")
    return Answer(FULFILLED, f"{said}; the data by their hash, the networks by their size.")


@item(f"A claim stands on at least {PAIRS} pairs of data set and architecture.")
def pairs(records: Records) -> Answer:
    """Count pairs of task and model; regimes of one data set are no further data sets."""
    count = len(records.pruned[["task", "model"]].drop_duplicates())
    return _decided(count >= PAIRS, f"{plural(count, 'pair')} with pruned networks.")


@item("Compression and theoretical speed-up are both reported for every pruned network.")
def both_ratios(records: Records) -> Answer:
    """Look for both ratios; weights alone say nothing of time, and time nothing of memory."""
    if records.pruned.empty:
        return Answer(CANNOT_TELL, "No pruned network was measured.")
    faster = records.pruned[~_looks_up(records.pruned)]
    lacking = {
        name: int(cells.reindex(columns=[name])[name].isna().sum())
        for name, cells in (("compression_ratio", records.pruned), ("theoretical_speedup", faster))
    }
    missing = [f"{name} of {count}" for name, count in lacking.items() if count]
    if missing:
        said = f"Of {len(records.pruned)} measured pruned cells, missing: {', '.join(missing)}."
        return Answer(NOT_FULFILLED, said)
    said = f"Both, for all {len(records.pruned)} measured pruned cells"
    if some := len(records.pruned) - len(faster):
        said += f"; {some} are of networks without multiply-accumulates, which have no speed-up"
    return Answer(FULFILLED, f"{said}.")


def _looks_up(cells: pd.DataFrame) -> pd.Series:
    """Return which cells are of networks that look embeddings up and multiply no weights."""
    return cells.reindex(columns=["macs_dense"])["macs_dense"].astype("float64") == 0


@item("Top-1 and top-5 error are both reported.")
def top_five(records: Records) -> Answer:
    """Look for top-5 errors; with five classes or fewer every answer is among the first five.

    Of other kinds of tasks than classification there is no such error.
    """
    if (kind := kind_of(records.cells)) != CLASSES:
        return Answer(DOES_NOT_APPLY, f"No sample of this kind of task ({kind}) has one class.")
    measured = records.cells[records.cells["test_error"].notna()]
    if "classes" not in measured.columns or measured["classes"].isna().all():
        return Answer(CANNOT_TELL, "The records do not say how many classes a task has.")
    many = measured[~(measured["classes"].astype("float64") <= TOP)]
    if many.empty:
        return Answer(FULFILLED, f"No task has more than {TOP} classes: top-1 says all.")
    lacking = int(many.reindex(columns=["test_top5_error"])["test_top5_error"].isna().sum())
    if lacking:
        return Answer(NOT_FULFILLED, f"test_top5_error is missing in {lacking} cells.")
    return Answer(FULFILLED, "test_error and test_top5_error of every measured cell.")


@item("The dense control is reported, raw and as the difference to it.")
def dense_control(records: Records) -> Answer:
    """Look for the baseline of each pruned network's own seed."""
    key = [*SETTING, "seed"]
    dense = records.cells[(records.cells["method"] == DENSE) & records.cells["test_error"].notna()]
    known = set(dense[key].itertuples(index=False, name=None))
    alone = [row for row in records.pruned[key].itertuples(index=False, name=None)
             if row not in known]  # fmt: skip
    if alone:
        return Answer(NOT_FULFILLED, f"{len(alone)} pruned cells lack their dense network.")
    if dense.empty:
        return Answer(NOT_FULFILLED, "No dense network was measured.")
    return Answer(FULFILLED, f"{len(dense)} dense networks, one for each setting and seed.")


@item(
    f"At least {len(RATIOS)} points of compression, extreme ones included:"
    f" {', '.join(map(str, RATIOS))} times."
)
def operating_points(records: Records) -> Answer:
    """Look for methods with a point at each ratio, as achieved: a nominal one hides what stays.

    A point is the mean over seeds; one stray network is no point of a curve.
    """
    pruned = records.pruned.reindex(columns=[*SETTING, "method", "sparsity", "compression_ratio"])
    if pruned.empty:
        return Answer(NOT_FULFILLED, "Nothing was pruned.")
    achieved = pruned["compression_ratio"]
    if achieved.isna().all():
        return Answer(CANNOT_TELL, "The records do not say which compression was achieved.")
    points = pruned.groupby([*SETTING, "method", "sparsity"], as_index=False).mean()
    curves: dict[str, dict[str, tuple[int, ...]]] = {}
    for (*setting, method), curve in points.groupby([*SETTING, "method"], sort=True):
        found = curves.setdefault("/".join(map(str, setting)), {})
        found[str(method)] = _lacking(curve["compression_ratio"])
    span = f"Achieved: {number(achieved.min(), 1)}× to {number(achieved.max(), 1)}×"
    for where, methods in curves.items():
        if lacking := min(methods.values(), key=len):
            said = f"in {where} no method has them all, at best not"
            return Answer(NOT_FULFILLED, f"{span}; {said} {', '.join(f'{r}×' for r in lacking)}.")
    whole = sorted({name for each in curves.values() for name in each if not each[name]})
    return Answer(FULFILLED, f"{span}; all within a tenth for {first_few(whole)}.")


def _lacking(achieved: pd.Series) -> tuple[int, ...]:
    """Return the ratios of RATIOS that a curve has no point near."""
    return tuple(want for want in RATIOS if not achieved.between(want / NEAR, want * NEAR).any())


@item("Trade-off curves are drawn, against compression and against speed-up.")
def trade_off(records: Records) -> Answer:
    """Look for both curves of each task."""
    if not records.figures:
        return Answer(CANNOT_TELL, "No figures lie beside the records.")
    faster = set(records.cells.loc[~_looks_up(records.cells), "task"].astype(str))
    wanted = [
        f"{curve}-{file_part(task)}"
        for task in sorted(map(str, records.cells["task"].unique()))
        for curve in (CURVES if task in faster else CURVES[:1])
    ]
    lacking = [name for name in wanted if name not in records.figures]
    if lacking:
        return Answer(NOT_FULFILLED, f"Missing: {first_few(lacking)}.")
    return Answer(FULFILLED, f"{first_few(wanted)}.")


@item(f"Mean and standard deviation over at least {SEEDS} seeds are reported.")
def spread(records: Records) -> Answer:
    """Count the seeds of each point: the deviation of two is hardly known."""
    point = [*SETTING, "method", "sparsity"]
    if records.pruned.empty:
        return Answer(CANNOT_TELL, "No pruned network was measured.")
    counts = records.pruned.groupby(point)["seed"].nunique()
    few = int((counts < SEEDS).sum())
    if few:
        return Answer(NOT_FULFILLED, f"{few} of {len(counts)} points have fewer seeds.")
    low, high = int(counts.min()), int(counts.max())
    span = f"{low}" if low == high else f"{low} to {high}"
    return Answer(FULFILLED, f"{len(counts)} points, each over {span} seeds.")


@item("Random and magnitude pruning are among the methods, for each data set and architecture.")
def simple_baselines(records: Records) -> Answer:
    """Look for random and magnitude pruning by their parts; by name where no parts are recorded."""
    pruned = records.pruned
    parts = pruned.reindex(columns=list(COMPOSITION))
    said = bool(parts["criterion"].notna().any())
    is_ = {name: pruned["method"] == name for name in ("random", "magnitude")}
    if said:
        chosen = (parts["criterion"] == "magnitude") & (parts["recovery"] != "re-initialization")
        is_ = {
            "random": CONTROL_KINDS["random"](parts),
            "magnitude": chosen & ~CONTROL_KINDS["shuffled"](parts),
        }
    places = pruned[["task", "model"]].apply(tuple, axis=1)
    without = {name: set(places) - set(places[rows]) for name, rows in is_.items()}
    lacking = [
        name + (f" (in {'/'.join(map(str, min(where)))})" if where != set(places) else "")
        for name, where in without.items()
        if where or pruned.empty
    ]
    if lacking and not said:
        why = f"No method is named {' or '.join(lacking)}, and the records name no criteria."
        return Answer(CANNOT_TELL, why)
    if lacking:
        return Answer(NOT_FULFILLED, f"No method removes weights by: {', '.join(lacking)}.")
    shown = [
        f"{name}: {first_few(sorted(set(pruned.loc[rows, 'method'].astype(str))), 3)}"
        for name, rows in is_.items()
    ]
    return Answer(FULFILLED, f"{'; '.join(shown)}.")


@item("All methods were run by the same code, on the same data, with the same libraries.")
def alike(records: Records) -> Answer:
    """Compare commit, device, libraries and data; a difference between methods may be theirs."""
    differ = [name for name in ALIKE if records.column(name).nunique() > 1]
    data = records.cells.assign(data_hash=records.column("data_hash"))
    if (data.groupby("task")["data_hash"].nunique() > 1).any():
        differ.append("data_hash")
    if differ:
        return Answer(NOT_FULFILLED, f"Different between records: {', '.join(differ)}.")
    unknown = [name for name in (*ALIKE, "data_hash") if records.column(name).isna().any()]
    if unknown:
        return Answer(CANNOT_TELL, f"Not recorded for every cell: {', '.join(unknown)}.")
    said = "One commit, one device, one set of versions, one hash a data set"
    if flags(records.column("dirty")).fillna(True).any():
        return Answer(CANNOT_TELL, f"{said}; but the checkout differed from its commit.")
    return Answer(FULFILLED, f"{said}.")


@item("Software, hardware and the budget of training are disclosed.")
def disclosed(records: Records) -> Answer:
    """Look for software, hardware and epochs of every measured cell."""
    measured = records.cells[records.cells["test_error"].notna()]
    shown = measured.reindex(columns=list(DISCLOSED))
    lacking = [name for name in DISCLOSED if shown[name].isna().any()]
    if lacking:
        return Answer(NOT_FULFILLED, f"Not recorded for every cell: {', '.join(lacking)}.")
    epochs = shown["train_epochs"].astype("float64")
    span = f"{number(epochs.min(), 1)} to {number(epochs.max(), 1)} epochs a cell"
    return Answer(
        FULFILLED, f"Versions, device, processor, threads and commit of each cell; {span}."
    )


def section(inputs: ReportInputs) -> Section:
    """Return the checklist with its answers."""
    figures = frozenset(path.stem for path in inputs.layout.figures.glob("*.png"))
    answers = checklist(Records(inputs.cells, figures))
    rows: list[list[CellText]] = [
        [asks, Mark(answer.outcome, TONES[answer.outcome]), answer.why] for asks, answer in answers
    ]
    count = sum(answer.outcome == FULFILLED for _, answer in answers)
    asked = sum(answer.outcome != DOES_NOT_APPLY for _, answer in answers)
    words = TextBlock(
        f"What the field asks of a paper on pruning (Blalock 2020), answered from these records:"
        f" {count} of {asked} fulfilled."
    )
    columns = {"The checklist asks": WORDS, "Here": WORDS, "Why": WORDS}
    return Section("The checklist of the field", "checklist", [words, TableBlock(columns, rows)])
