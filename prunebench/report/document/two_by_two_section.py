"""The first answer: dense and pruned networks, trained to the end and stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import pandas as pd

from prunebench.report.document.elements import (
    NAME,
    NUMBER,
    WORDS,
    Block,
    ListBlock,
    Section,
    TableBlock,
    TextBlock,
)
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.tables import training_tables
from prunebench.report.tables.training_tables import CORNERS
from prunebench.statistics.estimate import EQUIVALENT, HIGHER, LOWER, UNRESOLVED, decide_interval
from prunebench.statistics.training_outcomes import outcomes_recorded
from prunebench.statistics.two_by_two import (
    INTERACTION,
    STOPPED,
    TRAINED,
    of_one_setting,
)
from prunebench.text.numbers import NONE, plural

TITLE = "Dense and pruned, trained and stopped"
# the headline stands before what it is made of
FIRST = ("gain_trained", "gain_stopped", INTERACTION, "pruned_trained", "dense_trained",
         "pruned_stopped", "dense_stopped")  # fmt: skip
WORDS_OF = {HIGHER: "better", LOWER: "worse", EQUIVALENT: "equivalent", UNRESOLVED: "unresolved"}
ASKED = (
    "A network that has not finished training looks as if it generalized, so every training is"
    " judged twice: at its end, and where the same early stopping would have ended it. A gain of"
    " pruning counts where it is there in both, or survives training to the end."
)
NOT_SAID = (
    "These records do not say how trainings ended (no column training_outcome): every finished"
    " cell counts as trained, whether its training came to its end or not."
)
NO_STOP = (
    "They hold no states that early stopping chose (no column stopped_test_error): the half"
    " “stopped”, and with it what is left of a gain when both sides are stopped, is not known."
)


def section(inputs: ReportInputs) -> Section:
    """Return the two by two in words and as table; what is not recorded is said."""
    found = inputs.two_by_two
    blocks: list[Block] = []
    if found.empty:
        return Section(TITLE, "two-by-two", [TextBlock("There is no method beside dense.")])
    known = outcomes_recorded(inputs.cells)
    stopped = bool(found["gain_stopped"].notna().any())
    if known or stopped:
        blocks.append(TextBlock(ASKED))
    lacking = [*([] if known else [NOT_SAID]), *([] if stopped else [NO_STOP])]
    if lacking:
        blocks.append(ListBlock(tuple(lacking), warning=True))
    blocks.append(ListBlock((*_sentences(inputs, found), *_continued(inputs))))
    blocks += [_table(found), *_left_out(found, (TRAINED, STOPPED) if stopped else (TRAINED,))]
    return Section(TITLE, "two-by-two", blocks)


def _sentences(inputs: ReportInputs, found: pd.DataFrame) -> Iterator[str]:
    """Yield for each scope how many methods are better than dense, in either state."""
    analysis = inputs.analysis
    single = of_one_setting(found)
    pooled = set(found.loc[~single, "scope"])
    for scope, rows in found.groupby("scope", sort=False):
        if pooled and scope not in pooled and found.loc[single, "scope"].nunique() > 6:
            continue  # each setting of a large grid stands in the table
        said = []
        for state in (TRAINED, STOPPED):
            judged = Counter(
                decide_interval(
                    row[f"gain_{state}_low"], row[f"gain_{state}_high"], row[f"gain_{state}_p"],
                    analysis.equivalence, analysis.alpha,
                )
                for row in rows.dropna(subset=[f"gain_{state}"]).to_dict("records")
            )  # fmt: skip
            if judged:
                counts = ", ".join(f"{judged[d]} {w}" for d, w in WORDS_OF.items() if judged[d])
                said.append(f"{state}, of {plural(judged.total(), 'method')}: {counts}")
        if not said:
            yield (
                f"{where(str(scope), found)}: no pair, or no validation"
                " error to choose a sparsity by: nothing to compare."
            )
            continue
        yield f"{where(str(scope), found)}: {'; '.join(said)}. {_example(rows)}"


def _continued(inputs: ReportInputs) -> Iterator[str]:
    """Yield where the dense network loses too when it goes on from trained weights and is stopped.

    Such a training has learned its labels before it can be stopped, with pruning or without.
    """
    found = inputs.trained_longer
    if found.empty:
        return
    for row in found[found["gain_stopped_high"] < 0].to_dict("records"):
        yield (
            f"{where(row['scope'], found)}: {row['method']}, the dense network trained on from its"
            f" trained weights, is worse as well where it is stopped:"
            f" {training_tables.corner(row, 'gain_stopped')} points. What goes on from trained"
            " weights has learned its labels before it can be stopped: where such a method is"
            " worse stopped, that is not pruning's doing, and neither is its interaction."
        )


def _example(rows: pd.DataFrame) -> str:
    """Return a sentence on the method with the highest gain, trained where there is one."""
    state = TRAINED if rows["gain_trained"].notna().any() else STOPPED
    fair = comparable(rows.to_dict("records"), state)
    if not fair:
        return f"None is called the best: for want of pairs no gain, {state}, has an interval."
    best = max(fair, key=lambda row: float(row[f"gain_{state}"]))
    fewer = int(rows[f"gain_{state}"].notna().sum()) - len(fair)
    gain, other, both = (
        training_tables.corner(best, name)
        for name in (f"gain_{state}", "gain_stopped", INTERACTION)
    )
    ratio = best["compression_ratio" if state == TRAINED else "stopped_compression_ratio"]
    among = f" of those with {best[f'{state}_pairs']} pairs" if fewer else ""
    said = f"The best{among}, {state}: {best['method']} at {ratio:.3g}×"
    said += f", with a gain of {gain} points"
    if state == STOPPED or other == NONE:
        return f"{said}."
    beside = f"; stopped, it gains {other}"
    return f"{said}{beside}{'' if both == NONE else f' (interaction {both})'}."


def comparable(rows: Iterable[dict[Hashable, Any]], state: str) -> list[dict[Hashable, Any]]:
    """Return the rows of which one may be called the best in a state.

    The gain of one pair is one draw, and the largest of several such draws is large by chance: only
    gains with an interval count, and in each scope those of the most pairs.

    Args:
        rows: of ``two_by_two``.
        state: *trained* or *stopped*.
    """
    known = [row for row in rows if pd.notna(row[f"gain_{state}_low"])]
    most: dict[str, int] = {}
    for row in known:
        scope = str(row["scope"])
        most[scope] = max(most.get(scope, 0), int(row[f"{state}_pairs"]))
    return [row for row in known if row[f"{state}_pairs"] == most[str(row["scope"])]]


def where(scope: str, found: pd.DataFrame) -> str:
    """Return a scope's name; the regime alone where there is one task and one model."""
    settings = found[of_one_setting(found)]
    if (
        scope not in set(settings["scope"])
        or len(settings[["task", "model"]].drop_duplicates()) > 1
    ):
        return training_tables.place(scope)
    return str(settings.loc[settings["scope"] == scope, "regime"].iloc[0])


def _table(found: pd.DataFrame) -> TableBlock:
    shown = [name for name in FIRST if name in training_tables.there(found)]
    columns = {"Where": NAME, "Method": NAME}
    columns |= {CORNERS[name].capitalize(): NUMBER for name in shown} | {"Pairs": NUMBER}
    rows = [
        [
            where(row["scope"], found), row["method"],
            *(training_tables.corner(row, name) for name in shown), training_tables.pairs_of(row),
        ]
        for row in found.to_dict("records")
    ]  # fmt: skip
    said = training_tables.CAPTION
    return TableBlock(columns, rows, f"{said[0].upper()}{said[1:]}.")


def _left_out(found: pd.DataFrame, states: tuple[str, ...]) -> Iterator[Block]:
    """Yield how many cells make no pair in each state, and why, setting by setting."""
    single = found[of_one_setting(found)]
    counts = {state: int(single[f"{state}_left_out"].sum()) for state in states}
    if not sum(counts.values()):
        yield TextBlock("Every pruned cell of these methods makes a pair with its dense baseline.")
        return
    rows = []
    for row in single.to_dict("records"):
        said = [(str(row[f"{state}_left_out"]), row[f"{state}_why"] or NONE) for state in states]
        if any(why != NONE for _, why in said):
            names = [where(row["scope"], found), row["method"]]
            rows.append([*names, *(text for pair in said for text in pair)])
    columns = {"Where": NAME, "Method": NAME}
    for state in states:
        columns |= {f"{state.capitalize()}, left out": NUMBER, f"{state.capitalize()}, why": WORDS}
    totals = ", ".join(f"{state} {count}" for state, count in counts.items())
    yield TableBlock(
        columns, rows,
        f"Cells that make no pair, over all sparsities ({totals}): one side failed or did not come"
        " to its end, so that both are left out.", folded=True,
    )  # fmt: skip
