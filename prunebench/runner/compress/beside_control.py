"""Whether a control of the same cost did as well as the network that was taken."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.experiment.plan import Plan
from prunebench.report.compressed import UNITS
from prunebench.runner.compress.choice import LEVEL, SLACK, Choice, difference
from prunebench.storage.coordinates import coordinates_of_row
from prunebench.storage.records import OK
from prunebench.text.numbers import number, percent


@dataclass(frozen=True)
class BesideControl:
    """What comparing with a control says."""

    as_well: bool  # whether the control is not shown to be worse, or there is none to tell
    short: str  # for one line of a terminal; "" where there is nothing to warn of
    told: str  # a sentence or two


def beside_control(plan: Plan, table: pd.DataFrame, choice: Choice, unit: str) -> BesideControl:
    """Compare the taken network with the best control that costs no more, on validation.

    On validation the taken network is the best of several, which speaks for it; so a control that
    is not worse even there leaves nothing of which filters went.

    Args:
        plan: of the search.
        table: of ``tried``.
        choice: the network that was taken.
        unit: of the cost: ``weights``, ``macs`` or ``latency``.
    """
    column = f"kept_{unit}"
    largest = float(choice.row[column]) * (1 + SLACK[unit])
    controls = table[~table["candidate"] & table["status"].eq(OK) & table[column].le(largest)]
    if controls.empty:
        return BesideControl(
            True,
            "",
            "No control of the same cost was tried: whether it matters which filters go is not"
            " known. Name random-filter among the methods.",
        )
    control = controls.sort_values(["val_error", column]).iloc[0]
    taken, other = str(choice.row["method"]), str(control["method"])
    errors = [float(row["val_error"]) for row in (choice.row, control)]
    cell = plan.cell_at(coordinates_of_row({str(k): v for k, v in control.items()}))
    try:
        rise, low, high = difference(choice.cell, cell, "val")
    except PrunebenchError:  # errors of single samples have no bounds: no interval is known
        rise, low, within = 100 * (errors[1] - errors[0]), 100 * (errors[1] - errors[0]), ""
    else:
        ends = (number(value, 2, sign=True) for value in (low, high))
        within = f", {percent(LEVEL)} interval {' to '.join(ends)}"
    said = (
        f"{other}, a control that keeps {percent(float(control[column]), 1)} of the {UNITS[unit]},"
        f" has a validation error of {percent(errors[1])}, {taken} {percent(errors[0])}"
        f" ({number(rise, 2, sign=True)} points{within})"
    )
    if low > 0:
        return BesideControl(False, "", f"{said}: which filters go matters here.")
    words = "did as well" if rise <= 0 else "is not shown to be worse"
    return BesideControl(
        True,
        f"the control {other} {words} ({percent(errors[1])} against {percent(errors[0])} validation"
        " error)",
        f"The control {words}: {said}. Nothing shows that it matters here which filters go.",
    )
