"""The scores of all methods, with intervals, tests and costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from prunebench.report.document import figure_blocks
from prunebench.report.document.elements import (
    BAD,
    EVEN,
    GOOD,
    NAME,
    NUMBER,
    WORDS,
    Block,
    CellText,
    Mark,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.verdict_words import of_score, shortly
from prunebench.statistics import performance_profiles, robust_summaries
from prunebench.statistics.published_results import MARK
from prunebench.statistics.score import RANDOM
from prunebench.statistics.setting_scores import run_scores
from prunebench.storage.records import DENSE
from prunebench.text.numbers import NONE, interval, number, percent

COLUMNS = {
    "Rank": NAME, "Method": NAME, "Role": WORDS, "Score": NUMBER, "95 % interval": NUMBER,
    "Verdict": WORDS, "Against dense": WORDS, "Against random": WORDS,
    "At chosen sparsity": NUMBER, "Its 95 % interval": NUMBER,
    "Wins / ties / losses": NUMBER, "Cells": NUMBER, "Failed": NUMBER, "Under-trained": NUMBER,
    "Missing": NUMBER,
}  # fmt: skip
ROBUST = {
    "Method": NAME, "Runs": NUMBER, "Interquartile mean": NUMBER, "Its 95 % interval": NUMBER,
    "Probability of improvement": NUMBER, "Interval of that": NUMBER,
}  # fmt: skip
ENOUGH = 4  # seeds, from which on a middle half is one
TONES = {"better": GOOD, "equivalent": EVEN, "worse": BAD}


def section(inputs: ReportInputs) -> Section:
    """Return the table of scores, best first."""
    scores = inputs.scores
    controls = set(inputs.table.parts.index[inputs.table.parts["control"]])
    rows = [
        _row({**values, "control": values["method"] in controls})
        for values in scores.to_dict("records")
    ]
    caption = (
        "Score and differences in points of test error against dense, negative is better; p is"
        " adjusted by Holm over the candidates; the p of other methods is exploratory. The score"
        " counts under-trained cells as they are; the chosen sparsity is one at which most"
        " trainings came to their end."
    )
    words = (
        f"Means, standard deviations and costs of every cell are in {inputs.layout.tables.name}/,"
        " scores by task, regime and model in leaderboard.html."
    )
    blocks: list[Block] = [
        TableBlock(dict(COLUMNS), rows, caption),
        *_published(inputs),
        *_robust(inputs),
        TextBlock(words),
    ]
    if all(finding.figure != "forest" for finding in inputs.findings):
        blocks += figure_blocks.of_stem(inputs, "forest")
    return Section("All scores", "scores", blocks)


def _published(inputs: ReportInputs) -> Iterator[Block]:
    """Yield the published results, marked as such and without a rank."""
    rows = [_row({**v, "rank": math.nan, "control": False, "role": MARK})
            for v in inputs.published.to_dict("records")]  # fmt: skip
    if rows:
        yield TableBlock(
            dict(COLUMNS), rows,
            "Published results, not re-run: each against the dense results of its own source, on"
            " the sparsities that it reports; where seeds have no dense result of their own,"
            " interval and test are Welch's.",
        )  # fmt: skip


def _robust(inputs: ReportInputs) -> Iterator[Block]:
    """Yield the scores as rliable summarizes them, of seeds of settings; best first."""
    runs = run_scores(inputs.cells)
    thresholds = np.array([-inputs.analysis.equivalence, 0.0, inputs.analysis.equivalence])
    runs = runs[runs["method"] != DENSE]
    if inputs.seeds < ENOUGH or runs["value"].isna().all():
        return
    shares = performance_profiles(runs, thresholds).pivot(
        index="method", columns="threshold", values="share"
    )
    other = RANDOM if RANDOM in inputs.methods else None
    columns = {**ROBUST, **{f"Below {number(t, 1, sign=True)}": NUMBER for t in thresholds}}
    table = robust_summaries(runs, against=other).sort_values(["iqm", "method"])
    rows: list[list[CellText]] = [
        [
            str(v["method"]), str(v["runs"]), number(v["iqm"], 2, sign=True),
            interval(v["iqm_low"], v["iqm_high"]), number(v["improvement"], 2),
            interval(v["improvement_low"], v["improvement_high"], sign=False),
            *(percent(share, 0) for share in shares.loc[v["method"]]),
        ]
        for v in table.to_dict("records")
    ]  # fmt: skip
    yield TableBlock(
        columns, rows,
        "The same scores, of each seed in each setting, as rliable summarizes them (Agarwal et al."
        " 2021), which one seed that goes very well or badly moves little: the mean of the middle"
        " half, the probability that a run does better than one of random pruning, and the share"
        " of runs whose score lies below (better than) each number of points. Intervals: 95 %,"
        " bootstrap over seeds within settings.",
    )  # fmt: skip


def _row(v: dict[Any, Any]) -> list[CellText]:
    """Return the cells of a method, in the order of COLUMNS."""
    dense = v["method"] == DENSE
    role = v.get("role") or ("reference" if dense else "control" if v["control"] else "candidate")
    tally = NONE if dense else f"{v['wins']} / {v['ties']} / {v['losses']}"
    verdict = of_score(v)
    return [
        NONE if math.isnan(v["rank"]) else f"{v['rank']:.0f}",
        str(v["method"]),
        role,
        number(v["score"], 2, sign=True),
        interval(v["low"], v["high"]),
        Mark(verdict, TONES[verdict]) if verdict in TONES else verdict,
        shortly(v["against_baseline"], DENSE),
        shortly(v["against_reference"], RANDOM),
        number(v["chosen"], 2, sign=True),
        interval(v["chosen_low"], v["chosen_high"]),
        tally,
        str(v["cells"]),
        str(v["failed"]),
        str(v["under_trained"]),
        str(v["missing"]),
    ]
