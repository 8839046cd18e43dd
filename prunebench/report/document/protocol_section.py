"""The protocol in words: what is measured, compared with what, and by which statistics."""

from __future__ import annotations

import math

from prunebench.report.document.elements import (
    BAD,
    GOOD,
    OPEN,
    WORDS,
    Block,
    Cell,
    Facts,
    Mark,
    Points,
    Section,
    Table,
    Text,
)
from prunebench.report.document.inputs import Material
from prunebench.report.style import NONE, percent
from prunebench.statistics import DRAWS, smallest_p
from prunebench.statistics.hypotheses.paired_cells import KINDS
from prunebench.statistics.hypotheses.paired_cells import Table as Prepared
from prunebench.storage.records import COST, MEMORIZED_AT, QUALITY, SIZE

CONTROLS = {
    "random": "random pruning",
    "shuffled": "random weights with a criterion's shares of the layers (shuffled)",
    "dense-long": "the dense network trained as long (equal budget)",
    "early-stopping": "early stopping of the dense network",
    "tuned-weight-decay": "the dense network with tuned weight decay",
    "small-dense": "a small dense network with as many weights",
}


def section(material: Material) -> Section:
    """What was measured and how it is judged."""
    blocks: list[Block] = [
        Points(rules()),
        Text("What each record holds, by column of cells.csv:"),
        Facts(_measured(material)),
        _controls(material.table),
        Text("How it is judged:"),
        Points(statistics(material)),
        Text(power(material)),
    ]
    return Section("The protocol", "protocol", blocks)


def rules() -> tuple[str, ...]:
    """What makes the comparison fair, a sentence or more each."""
    return (
        "Training, validation and test images are disjoint. What is chosen is chosen on validation;"
        " the test images are read once, from the last network of the training.",
        "Every method prunes the same dense baselines; a difference is that of two networks with"
        " the same seed.",
        "Gate: where labels are noisy, or images not augmented, the dense network's error on the"
        f" labels it was trained on must be at most {percent(MEMORIZED_AT)}; otherwise a gain is"
        " spurious and the cell is under-trained.",
        "A cell that failed, diverged or collapsed counts against its method (one that could not be"
        " measured as a constant predictor); it never vanishes.",
    )


def _measured(material: Material) -> dict[str, str]:
    """Which measures of the record hold values, and which do not."""
    there = set(material.cells.columns[material.cells.notna().any()])
    groups = {"Quality": QUALITY, "Size": SIZE, "Cost": COST}
    found = {
        f"{name}, measured": ", ".join(column for column in columns if column in there) or NONE
        for name, columns in groups.items()
    }
    every = [column for columns in groups.values() for column in columns]
    lacking = [column for column in every if column not in there]
    found["Not measured"] = ", ".join(lacking) or "nothing"
    return found


def _controls(table: Prepared) -> Table:
    """Each control of the protocol with the methods that are it."""
    rows: list[list[Cell]] = []
    for kind in KINDS:
        names = table.kind(kind)
        absent = Mark("missing", BAD) if table.composed else Mark("cannot tell", OPEN)
        there = Mark("in this grid", GOOD) if names else absent
        rows.append([CONTROLS.get(kind, kind), there, ", ".join(names) or NONE])
    caption = "Controls, without which a gain proves nothing; recognized by what they are made of."
    return Table({"Control": WORDS, "There": WORDS, "As": WORDS}, rows, caption)


def family(material: Material) -> str:
    """The methods that Holm adjusts for, and who chose them."""
    names = [str(name) for name in material.scores.loc[material.scores["primary"], "method"]]
    how = "declared before the run" if material.analysis.primary else "all that are no controls"
    return f"{', '.join(sorted(names)) or 'none'} ({how})"


def statistics(material: Material) -> tuple[str, ...]:
    """How records are judged; each begins with what it explains and a colon."""
    analysis = material.analysis
    declared = "" if material.experiment else " (the default: the run's own settings are not known)"
    return (
        "Score: test error minus that of the dense baseline with the same seed, in percentage"
        " points, mean over log₂ of the nominal compression ratio 1/(1 − sparsity) (trapezoid);"
        " seeds are averaged within a setting (task, regime, model), settings count equally."
        " Negative is better than dense.",
        "Gain, in the hypotheses: the same difference with the opposite sign, so that positive is"
        " better than dense, at the sparsity with the lowest mean validation error.",
        f"Interval: 95 %, bootstrap over seeds within each setting, {DRAWS:,} draws, the same for"
        " all methods, widened for few seeds. It speaks of seeds on these tasks; from 8 tasks on"
        " tasks are resampled.",
        "Significance: exact sign-flip test over seeds, two-sided, Holm's correction over the"
        f" family; level {analysis.alpha:g}{declared}.",
        f"Family: {family(material)}.",
        f"Region of practical equivalence: ±{analysis.equivalence:g} points{declared}. Equivalent"
        " means that the whole interval lies inside; no difference shown is not equivalence.",
    )


def seeds_needed(family_size: int, alpha: float) -> int:
    """The fewest seeds whose smallest p, times the family, is at most ``alpha``."""
    return max(1, math.ceil(1 + math.log2(family_size / alpha) - 1e-9))


def power(material: Material) -> str:
    """What the number of seeds can show at best."""
    size = max(1, int(material.scores["primary"].sum()))
    seeds, alpha = material.seeds, material.analysis.alpha
    least = min(1.0, smallest_p(seeds) * size)
    said = (
        f"With {seeds} seed{'' if seeds == 1 else 's'} the smallest two-sided p is"
        f" {smallest_p(seeds):.3g}"
    )
    said += f", and {least:.3g} after Holm over {size} methods. " if size > 1 else ". "
    if least <= alpha:
        return f"{said}Differences can be significant at the level {alpha:g}."
    return (
        f"{said}No difference of this family can be significant at the level {alpha:g};"
        f" {seeds_needed(size, alpha)} seeds are the fewest with which one could be."
    )
