r"""Every number that a text may quote, in LaTeX: ``\pb{digits/clean/seed-cnn/dense/error}``.

One macro takes a key, since names of settings and methods hold digits and hyphens, which a
macro's name must not. An unknown key is an error of LaTeX, never an empty text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.report.report_inputs import ReportInputs
from prunebench.report.tables.paper_tables import GENERALIZATION, summary
from prunebench.statistics import DRAWS, SETTING, best_on_validation, score_subsets, smallest_p
from prunebench.statistics.published_results import own
from prunebench.storage.records import ALL, DENSE, OK
from prunebench.text.markup import latex_text
from prunebench.text.numbers import NONE, interval, listed, number, percent, times
from prunebench.text.safe_names import file_part

HEAD = r"""% The numbers of one experiment, to quote in a text: \input{macros}, then \pb{key}.
% Points are percentage points of test error; a difference is to the dense network of the same
% seed, and negative where it is better. Names of tasks, regimes, models and methods are those of
% the configuration (a sign that is no ASCII letter, digit, ".", "_" or "-" is "_").
%
%   cells, lost (failed, diverged or collapsed), tasks, regimes, models, methods, candidates,
%   seeds, sparsities                                     counts
%   sparsity/min, sparsity/max      the grid, as targets
%   ratio/min, ratio/max      the compression achieved
%   alpha, equivalence, draws, smallest-p                 how it is judged
%   version/<package>, commit, device, threads            what computed it; hours: of training,
%              summed over cells, in each of which what it shares with others is counted
%   <method>/<score>                                      over all settings
%   <task>/<regime>/<model>/<method>/<score>              in one setting
%     <score>: score, score/low, score/high, score/interval, score/p (Holm-adjusted), verdict,
%              chosen, chosen/low, chosen/high, chosen/interval (at the sparsity that validation
%              chose), epochs (mean over cells)
%   <task>/<regime>/<model>/best/method, .../best/sparsity, .../best/difference
%              the candidate and sparsity of the lowest validation error, and its test error there
%              minus that of dense
%   <task>/<regime>/<model>/dense/<measure>
%   <task>/<regime>/<model>/<method>/<sparsity>/<measure> sparsity in per cent: 98.44
%     <measure>: error, difference, gap, memorized (percent or points), each alone the mean over
%              seeds, with /std, /low and /high the standard deviation and the 95 % interval
\makeatletter
\DeclareRobustCommand{\pb}[1]{\ifcsname pb@#1\endcsname\csname pb@#1\endcsname\else
  \PackageError{prunebench}{There is no number `#1'}{The keys stand in macros.tex.}\fi}
\newcommand{\pb@set}[2]{\expandafter\gdef\csname pb@#1\endcsname{#2}}
"""
TAIL = "\\makeatother\n"
NAMES = {
    "test_error": "error", "difference": "difference", "generalization_gap": "gap",
    "memorized": "memorized",
}  # fmt: skip
VERSIONS = {
    "python_version": "python", "torch_version": "torch", "torchvision_version": "torchvision",
    "timm_version": "timm",
}  # fmt: skip
Pair = tuple[str, str]  # a key and its text


def text(found: Mapping[str, str]) -> str:
    """Return the file that defines the numbers."""
    lines = [f"\\pb@set{{{name}}}{{{_anywhere(value)}}}%\n" for name, value in found.items()]
    return "".join([HEAD, *lines, TAIL])


def _anywhere(value: str) -> str:
    """Return a value so that it may stand in a text as well as in a formula."""
    return re.sub(r"(?<!\\)\$([^$]+)\$", r"\\ensuremath{\1}", latex_text(value))


def numbers(inputs: ReportInputs) -> dict[str, str]:
    """Return the text of every key; a key whose value is not known is left out.

    Raises:
        PrunebenchError: two names give the same key.
    """
    ours = own(inputs.cells)
    found: dict[str, str] = {}
    for source in (_counts, _origin, _scores, _best, _measures):
        for name, value in source(inputs, ours):
            if found.setdefault(name, value) != value:
                raise PrunebenchError(
                    f"macros.tex: two names give the key {name!r}; rename a task, regime, model or"
                    " method so that they differ in letters and digits"
                )
    return {name: value for name, value in found.items() if value != NONE}


def key(*parts: object) -> str:
    """Return the parts of a key with slashes between them, every sign harmless to LaTeX."""
    signs = "/".join(file_part(str(part)) for part in parts)
    return "".join(c if c.isascii() else "_" for c in signs)


def _counts(inputs: ReportInputs, cells: pd.DataFrame) -> Iterator[Pair]:
    pruned = cells.loc[cells["sparsity"] > 0, "sparsity"]
    yield "experiment", str(cells["experiment"].iloc[0])
    yield "cells", f"{len(cells):,}"
    yield "lost", f"{int((cells['status'] != OK).sum()):,}"
    for name in ("task", "regime", "model"):
        yield f"{name}s", str(cells[name].nunique())
    controls = set(inputs.table.parts.index[inputs.table.parts["control"]])
    methods = set(cells["method"]) - {DENSE}
    yield "methods", str(len(methods))
    yield "candidates", str(len(methods - controls))
    yield "seeds", str(inputs.seeds)
    yield "sparsities", str(pruned.nunique())
    if len(pruned):
        for name, value in (("min", pruned.min()), ("max", pruned.max())):
            yield f"sparsity/{name}", percent(float(value))
    for name, ratio in zip(("min", "max"), inputs.compression or (), strict=False):
        yield f"ratio/{name}", times(ratio)
    yield "alpha", f"{inputs.analysis.alpha:g}"
    yield "equivalence", f"{inputs.analysis.equivalence:g}"
    yield "draws", f"{DRAWS:,}"
    yield "smallest-p", f"{smallest_p(inputs.units):.3g}"


def _origin(inputs: ReportInputs, cells: pd.DataFrame) -> Iterator[Pair]:
    named = {**{c: f"version/{name}" for c, name in VERSIONS.items()},
             "commit": "commit", "device": "device", "threads": "threads"}  # fmt: skip
    for column, name in named.items():
        values = sorted(cells[column].dropna().astype(str).unique())
        if values:
            yield name, listed(values)
    yield "hours", number(float(cells["train_seconds"].sum()) / 3600, 1)


def _scores(inputs: ReportInputs, cells: pd.DataFrame) -> Iterator[Pair]:
    judged = inputs.analysis
    primary = [name for name in judged.primary if name in inputs.methods]
    # a regime over all models, say, is the leaderboard's
    keys = [(ALL, ALL, ALL), *sorted(cells[SETTING].itertuples(index=False, name=None))]
    found = score_subsets(
        cells, alpha=judged.alpha, primary=primary or None, equivalence=judged.equivalence,
        keys=list(dict.fromkeys(keys)),
    )  # fmt: skip
    epochs = cells.groupby([*SETTING, "method"])["train_epochs"].mean()
    for setting, table in found.items():
        whole = setting != keys[0]
        for values in table.to_dict("records"):
            method = values["method"]
            own_key = key(*setting, method) if whole else key(method)
            if whole:
                yield (
                    f"{own_key}/epochs",
                    number(float(epochs.get((*setting, method), math.nan)), 1),
                )
            if method != DENSE:
                yield from _score(own_key, values)


def _score(name: str, values: dict[Any, Any]) -> Iterator[Pair]:
    for column, ends in (("score", ""), ("chosen", "chosen_")):
        low, high = values[f"{ends}low"], values[f"{ends}high"]
        yield f"{name}/{column}", number(values[column], 2, sign=True)
        yield f"{name}/{column}/low", number(low, 2, sign=True)
        yield f"{name}/{column}/high", number(high, 2, sign=True)
        yield f"{name}/{column}/interval", interval(low, high)
    yield f"{name}/score/p", number(values["p_baseline"], 3)
    yield f"{name}/verdict", str(values["verdict"])


def _best(inputs: ReportInputs, cells: pd.DataFrame) -> Iterator[Pair]:
    made = inputs.table.parts
    controls = set(made.index[made["control"]]) - {DENSE}
    judged = cells[~cells["method"].isin(controls)]
    if set(judged["method"]) == {DENSE}:
        return
    for row in best_on_validation(judged, SETTING).to_dict("records"):
        name = key(*(row[each] for each in SETTING), "best")
        yield f"{name}/method", str(row["method"])
        yield f"{name}/sparsity", percent(row["sparsity"])
        yield f"{name}/difference", number(row["difference"], 2, sign=True)


def _measures(inputs: ReportInputs, cells: pd.DataFrame) -> Iterator[Pair]:
    """Yield mean, spread and band of every point that was measured."""
    table = summary(cells, GENERALIZATION)
    for measure in GENERALIZATION:
        digits, signed = (2, True) if measure.column == "difference" else (1, False)
        there = table[table[f"{measure.column}_n"] > 0]
        for row in there.to_dict("records"):
            if row["method"] == DENSE and signed:
                continue
            at = [] if row["method"] == DENSE else [f"{round(100 * row['sparsity'], 2):g}"]
            name = key(*(row[each] for each in SETTING), row["method"], *at, NAMES[measure.column])
            for end in ("mean", "std", "low", "high"):
                value = row[f"{measure.column}_{end}"] * measure.scale
                last = "" if end == "mean" else f"/{end}"
                yield f"{name}{last}", number(value, digits, signed and end != "std")
