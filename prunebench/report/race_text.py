"""What a race says: who is left, what it saved, and the winner on seeds that did not choose it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from prunebench.statistics.race import Losses, Raced, Replayed
from prunebench.text.numbers import number, percent, plural


def text(found: Raced) -> str:
    """Return a race that was run, for the terminal."""
    left = found.result.left
    whole = len(found.methods) * found.instances
    lines = [
        f"winner: {found.winner}"
        + (f" (not told apart from {', '.join(left[1:])})" if left[1:] else ""),
        *(
            f"dropped after {plural(used, 'instance')}: {name}"
            for name, used in found.result.dropped.items()
        ),
        f"runs: {found.result.runs} of {whole} on the seeds that choose"
        f" ({percent(1 - found.result.runs / whole, 1)} saved), and one for each instance of"
        f" {plural(len(found.report_seeds), 'other seed')}",
        f"{found.winner} minus dense, in points: {number(found.selected, 2, sign=True)} on"
        f" validation where it was chosen, {number(found.reported, 2, sign=True)} on that of other"
        f" seeds (optimism {number(found.optimism, 2, sign=True)}),"
        f" {number(found.test, 2, sign=True)} on their test samples",
    ]
    return "\n".join(lines)


def as_json(found: Raced) -> dict[str, Any]:
    """Return a race that was run, for programs."""
    return {
        "winner": found.winner, "left": found.result.left, "dropped": found.result.dropped,
        "runs": found.result.runs, "runs_of_grid": len(found.methods) * found.instances,
        "report_seeds": found.report_seeds, "selected": found.selected,
        "reported": found.reported, "optimism": found.optimism, "test": found.test,
    }  # fmt: skip


def replay_summary(
    losses: Losses, found: Sequence[Replayed], halved: Sequence[Replayed]
) -> dict[str, Any]:
    """Return means over replays of races, and of successive halving beside them, for programs."""
    return {
        "replays": len(found), "methods": [str(name) for name in losses.choice.columns],
        "left_out": losses.left_out, "instances": len(losses.choice),
        **_saved(found),
        "choice_dropped": float(np.mean([each.of_grid in each.result.dropped for each in found])),
        "methods_left": float(np.mean([len(each.result.left) for each in found])),
        "optimism": float(np.mean([each.optimism for each in found])),
        "winners": dict(Counter(each.winner for each in found).most_common()),
        "halving": _saved(halved),
    }  # fmt: skip


def _saved(found: Sequence[Replayed]) -> dict[str, float]:
    regrets = [each.regret for each in found]
    return {
        "runs_saved": float(np.mean([1 - each.runs / each.runs_of_grid for each in found])),
        "seconds_saved": float(np.mean([1 - each.seconds_share for each in found])),
        "same_choice": float(np.mean([each.winner == each.of_grid for each in found])),
        "regret": float(np.mean(regrets)), "largest_regret": float(np.max(regrets)),
    }  # fmt: skip


def replay_text(losses: Losses, found: Sequence[Replayed], halved: Sequence[Replayed]) -> str:
    """Return means over replays, for the terminal."""
    said = replay_summary(losses, found, halved)
    other = said["halving"]
    winners = ", ".join(f"{name} {count}" for name, count in said["winners"].items())
    lines = [
        f"{plural(len(found), 'replay')}, each in its own order and with its own seeds for the"
        f" report; {plural(len(said['methods']), 'method')},"
        f" {plural(said['instances'], 'instance')}",
        f"runs saved: {percent(said['runs_saved'], 1)}, seconds saved:"
        f" {percent(said['seconds_saved'], 1)}, methods left at the end:"
        f" {number(said['methods_left'], 1)}",
        f"the choice of the full grid: the same in {percent(said['same_choice'], 1)}, dropped in"
        f" {percent(said['choice_dropped'], 1)}",
        f"regret against it, test error on other seeds, in points: {number(said['regret'], 2)} on"
        f" average, {number(said['largest_regret'], 2)} at most",
        f"optimism of the winner's validation error, in points: {number(said['optimism'], 2)}",
        f"winners: {winners}",
        "successive halving, which tests nothing, saves"
        f" {percent(other['runs_saved'], 1)} of the runs, {percent(other['seconds_saved'], 1)} of"
        f" the seconds; the same choice in {percent(other['same_choice'], 1)}, regret"
        f" {number(other['regret'], 2)} on average, {number(other['largest_regret'], 2)} at most",
    ]
    if said["left_out"]:
        lines.append(f"left out, not at every sparsity: {', '.join(said['left_out'])}")
    return "\n".join(lines)
