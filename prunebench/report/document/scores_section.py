"""The scores of all methods, with their intervals, tests and costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from prunebench.report.document import embedded_figures
from prunebench.report.document.elements import (
    BAD,
    EVEN,
    GOOD,
    NAME,
    NUMBER,
    WORDS,
    Block,
    Cell,
    Mark,
    Section,
    Table,
    Text,
)
from prunebench.report.document.inputs import Material
from prunebench.report.style import NONE, interval, number
from prunebench.statistics.published_results import MARK
from prunebench.storage.records import DENSE

COLUMNS = {
    "Rank": NAME, "Method": NAME, "Role": WORDS, "Score": NUMBER, "95 % interval": NUMBER,
    "Verdict": WORDS, "p (dense)": NUMBER, "Against dense": WORDS, "p (random)": NUMBER,
    "Against random": WORDS, "At chosen sparsity": NUMBER, "Its 95 % interval": NUMBER,
    "Wins / ties / losses": NUMBER, "Cells": NUMBER, "Failed": NUMBER, "Missing": NUMBER,
}  # fmt: skip
TONES = {"better": GOOD, "equivalent": EVEN, "worse": BAD}


def section(material: Material) -> Section:
    """The table of scores, best first, and where the full tables lie."""
    scores = material.scores
    ranks = scores["score"].round(9).where(scores["complete"]).rank(method="min")
    controls = set(material.table.made.index[material.table.made["control"]])
    rows = [
        _row({**values, "rank": rank, "control": values["method"] in controls})
        for values, rank in zip(scores.to_dict("records"), ranks, strict=True)
    ]
    caption = (
        "Score and differences in points of test error against dense, negative is better; p is"
        " adjusted by Holm over the candidates, that of the others is exploratory."
    )
    root = material.layout.root
    words = (
        f"Means, standard deviations and costs of every cell: {material.layout.tables.name}/"
        f" beside this report; scores by task, regime and model: leaderboard.html."
    )
    blocks: list[Block] = [Table(dict(COLUMNS), rows, caption), *_published(material), Text(words)]
    blocks += [
        embedded_figures.figure(path, root, material.captions)
        for path in embedded_figures.of_stem(material.layout.figures, "forest")
        if all(finding.figure != "forest" for finding in material.findings)
    ]
    return Section("All scores", "scores", blocks)


def _published(material: Material) -> Iterator[Block]:
    """What others published, marked as such, without a rank."""
    rows = [_row({**v, "rank": math.nan, "control": False, "role": MARK})
            for v in material.published.to_dict("records")]  # fmt: skip
    if rows:
        yield Table(
            dict(COLUMNS), rows,
            "Published results, not re-run: each against the dense results of its own source, on"
            " the sparsities that it reports; with an interval and a test only where every seed"
            " has its own dense result.",
        )  # fmt: skip


def _row(v: dict[Any, Any]) -> list[Cell]:
    """The cells of a method, in the order of COLUMNS."""
    dense = v["method"] == DENSE
    role = v.get("role") or ("reference" if dense else "control" if v["control"] else "candidate")
    tally = NONE if dense else f"{v['wins']} / {v['ties']} / {v['losses']}"
    verdict = str(v["verdict"])
    return [
        NONE if math.isnan(v["rank"]) else f"{v['rank']:.0f}",
        str(v["method"]),
        role,
        number(v["score"], 2, sign=True),
        interval(v["low"], v["high"]),
        Mark(verdict, TONES[verdict]) if verdict in TONES else verdict,
        _p(v["p_baseline"]),
        str(v["against_baseline"]),
        _p(v["p_reference"]),
        str(v["against_reference"]),
        number(v["chosen"], 2, sign=True),
        interval(v["chosen_low"], v["chosen_high"]),
        tally,
        str(v["cells"]),
        str(v["failed"]),
        str(v["missing"]),
    ]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else number(value, 3)
