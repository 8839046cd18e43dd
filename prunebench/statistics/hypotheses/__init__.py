"""Judge the hypotheses of the protocol from the records alone. Never imports torch.

A file of this folder is the registration of what stands in it: ``findings`` asks every function
marked with ``hypothesis``.
"""

from __future__ import annotations

import importlib
import pkgutil

import pandas as pd

from prunebench.experiment.settings import Analysis
from prunebench.statistics.estimate import EQUIVALENT, UNRESOLVED
from prunebench.statistics.hypotheses.comparisons import EVIDENCE
from prunebench.statistics.hypotheses.judgements import (
    OPPOSITE,
    SHOWN,
    UNTESTED,
    VERDICTS,
    Finding,
    Hypothesis,
)
from prunebench.statistics.hypotheses.paired_cells import pair_cells
from prunebench.statistics.hypotheses.phases import phases

__all__ = [
    "EQUIVALENT", "EVIDENCE", "OPPOSITE", "SHOWN", "UNRESOLVED", "UNTESTED", "VERDICTS", "Finding",
    "Hypothesis", "findings", "hypotheses", "phases",
]  # fmt: skip


def hypotheses() -> list[Hypothesis]:
    """Return all hypotheses that are registered in the files of this folder, by number."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = {
        value.number: value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Hypothesis)
    }
    return [found[number] for number in sorted(found)]


def findings(cells: pd.DataFrame, analysis: Analysis) -> list[Finding]:
    """Judge all hypotheses on a table of cells; always all, by number.

    A method stands for pruning in general only if it is of the declared family
    (``analysis.primary``; empty: every method that is no control); a hypothesis about the methods
    is shown, or equivalent, when it is for every one of them, and the sentence counts the rest.
    Nothing is chosen on test data: a method's sparsity is the one with the lowest mean validation
    error. Holm adjusts the p-values of the methods that one hypothesis compares with one opponent.
    The order of rows, and methods outside the family that nothing is compared with, change nothing.

    Args:
        cells: As ``read_cells`` returns them.
        analysis: The declared family, level, and region of practical equivalence.

    Raises:
        PrunebenchError: ``check_cells`` refuses the table.
    """
    table = pair_cells(cells, analysis)
    return [each.find(table) for each in hypotheses()]
