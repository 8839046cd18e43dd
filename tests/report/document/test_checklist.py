"""Every item of the checklist on tables that fulfil it, do not, or cannot tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from prunebench.report.document import checklist
from prunebench.report.document.checklist import (
    CANNOT_TELL,
    DOES_NOT_APPLY,
    FULFILLED,
    NOT_FULFILLED,
    Records,
)
from prunebench.storage.records import COLUMNS, row

FIGURES = frozenset(f"{curve}-{task}" for curve in checklist.CURVES for task in "abc")
SPARSITIES = (0.5, 0.75, 0.875, 0.9375, 0.96875)
CRITERIA = {"r": "random", "m": "magnitude"}


def perfect() -> pd.DataFrame:
    """Three tasks, one model, three seeds, two methods at five sparsities: all is recorded."""
    rows = []
    for task in "abc":
        for seed in (0, 1, 2):
            points = [("dense", 0.0), *((m, s) for m in CRITERIA for s in SPARSITIES)]
            rows += [_cell(task, seed, method, sparsity) for method, sparsity in points]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _cell(task: str, seed: int, method: str, sparsity: float) -> dict:
    pruned = method != "dense"
    return row(
        {
            "experiment": "trial", "task": task, "regime": "clean", "model": "net",
            "method": method, "family": "weight" if pruned else "dense", "seed": seed,
            "sparsity": sparsity, "status": "ok", "classes": 10, "test_error": 0.1,
            "test_top5_error": 0.01, "compression_ratio": 1 / (1 - sparsity),
            "theoretical_speedup": 1 / (1 - sparsity), "params_total": 100, "macs_dense": 1000,
            "criterion": CRITERIA.get(method), "pattern": "weight" if pruned else None,
            "allocation": "global" if pruned else None, "schedule": "one-shot" if pruned else None,
            "recovery": "fine-tuning" if pruned else None, "control": method == "r",
            "train_epochs": 10.0, "train_seconds": 1.0, "data_hash": f"hash of {task}",
            "commit": "0" * 40, "dirty": False, "device": "cpu", "processor": "a", "threads": 1,
            "python_version": "3", "torch_version": "2", "torchvision_version": "0",
            "timm_version": "1",
        }
    )  # fmt: skip


def answer(name: str, cells: pd.DataFrame, figures: frozenset[str] = FIGURES) -> checklist.Answer:
    return getattr(checklist, name).answer(Records(cells, figures))


def test_a_table_that_lacks_nothing_fulfils_every_item() -> None:
    found = checklist.checklist(Records(perfect(), FIGURES))
    assert [asks for asks, got in found if got.outcome != FULFILLED] == []
    assert len(found) == len({asks for asks, _ in found}) == 11
    assert all(got.why.endswith(".") for _, got in found)


def _only(column: str, *values: object):
    return lambda cells: cells[cells[column].isin(values)]


def _empty(*columns: str):
    return lambda cells: cells.assign(**dict.fromkeys(columns, np.nan))


def _last(column: str, value: object):
    """In the last pruned cell alone."""
    return lambda cells: cells.assign(**{column: [*cells[column].tolist()[:-1], value]})


BROKEN = {
    "the data is not named": ("named", _empty("data_hash"), CANNOT_TELL, "hash of the data"),
    "two pairs": ("pairs", _only("task", "a", "b"), NOT_FULFILLED, "2 pairs"),
    "one pair": ("pairs", _only("task", "a"), NOT_FULFILLED, "1 pair with"),
    "a pair without pruned networks": (
        "pairs", lambda c: c[(c["method"] == "dense") | (c["task"] != "a")], NOT_FULFILLED,
        "2 pairs",
    ),
    "a ratio is missing": (
        "both_ratios", _last("theoretical_speedup", None), NOT_FULFILLED, "theoretical_speedup of"
    ),
    "nothing pruned": ("both_ratios", _only("method", "dense"), CANNOT_TELL, "No pruned"),
    "no top-5": ("top_five", _empty("test_top5_error"), NOT_FULFILLED, "99 cells"),
    "classes unknown": ("top_five", _empty("classes"), CANNOT_TELL, "how many classes"),
    "no dense": (
        "dense_control", lambda c: c[(c["method"] != "dense") | (c["task"] != "a")], NOT_FULFILLED,
        "30 pruned cells",
    ),
    "few points": (
        "operating_points", _only("sparsity", 0.0, 0.5, 0.75), NOT_FULFILLED, "not 8×, 16×, 32×"
    ),
    "what is not pruned keeps the achieved ratios below the nominal ones": (
        "operating_points",
        lambda c: c.assign(compression_ratio=1 / (0.02 + 0.98 / c["compression_ratio"])),
        NOT_FULFILLED, "at best not 8×, 16×, 32×",
    ),
    "16 times is missing": (
        "operating_points", lambda c: c[c["sparsity"] != 0.9375], NOT_FULFILLED, "not 16×."
    ),
    "no method has all points": (
        "operating_points",
        lambda c: c[(c["sparsity"] != 0.9375) | (c["method"] == "r")]
        [lambda c: (c["sparsity"] != 0.5) | (c["method"] == "m")],
        NOT_FULFILLED, "no method has them all",
    ),
    "one stray network at 16 times": (
        "operating_points",
        lambda c: c[(c["sparsity"] != 0.9375) | (c["method"] == "m")].assign(
            compression_ratio=lambda c: c["compression_ratio"].where(
                (c["sparsity"] != 0.9375) | (c["seed"] == 0), 11
            )
        ),
        NOT_FULFILLED, "not 16×.",
    ),
    "a setting has fewer points": (
        "operating_points",
        lambda c: c[(c["sparsity"] != 0.96875) | (c["task"] != "b")], NOT_FULFILLED,
        "in b/clean/net no method has them all, at best not 32×",
    ),
    "achieved compression unknown": (
        "operating_points", _empty("compression_ratio"), CANNOT_TELL, "which compression"
    ),
    "one seed": ("spread", _only("seed", 0), NOT_FULFILLED, "30 of 30 points"),
    "two seeds": ("spread", _only("seed", 0, 1), NOT_FULFILLED, "30 of 30 points"),
    "a seed is missing in one point": (
        "spread", lambda c: c.iloc[:-1], NOT_FULFILLED, "1 of 30 points"
    ),
    "no magnitude on one data set": (
        "simple_baselines", lambda c: c[(c["method"] != "m") | (c["task"] != "b")], NOT_FULFILLED,
        "by: magnitude (in b/net)",
    ),
    "no random": (
        "simple_baselines", _only("method", "dense", "m"), NOT_FULFILLED, "by: random"
    ),
    "magnitude only shuffled": (
        "simple_baselines",
        lambda c: c.assign(allocation=c["allocation"].mask(c["method"] == "m", "shuffled")),
        NOT_FULFILLED, "by: magnitude",
    ),
    "a small dense network is no random pruning": (
        "simple_baselines",
        lambda c: c.assign(recovery=c["recovery"].mask(c["method"] == "r", "re-initialization")),
        NOT_FULFILLED, "by: random",
    ),
    "parts unknown": ("simple_baselines", _empty("criterion"), CANNOT_TELL, "random or magnitude"),
    "two versions": ("alike", _last("torch_version", "3"), NOT_FULFILLED, "torch_version"),
    "two data sets by one name": ("alike", _last("data_hash", "x"), NOT_FULFILLED, "data_hash"),
    "a dirty checkout": ("alike", _last("dirty", True), CANNOT_TELL, "differed from its commit"),
    "no device": ("alike", _empty("device"), CANNOT_TELL, "device"),
    "no budget": ("disclosed", _empty("train_epochs"), NOT_FULFILLED, "train_epochs"),
    "no processor": ("disclosed", _empty("processor"), NOT_FULFILLED, "processor"),
    "no dense network at all": ("dense_control", lambda c: c.iloc[:0], NOT_FULFILLED, "No dense"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_lacking_is_found_and_named(case: str) -> None:
    name, change, outcome, words = BROKEN[case]
    got = answer(name, change(perfect()))
    assert (got.outcome, words in got.why) == (outcome, True), got


def test_curves_are_looked_for_task_by_task() -> None:
    assert answer("trade_off", perfect(), frozenset()).outcome == CANNOT_TELL
    got = answer("trade_off", perfect(), FIGURES - {"error-speedup-b"})
    assert (got.outcome, got.why) == (NOT_FULFILLED, "Missing: error-speedup-b.")


def test_with_five_classes_the_first_answer_says_all() -> None:
    few = perfect().assign(classes=5, test_top5_error=np.nan)
    assert answer("top_five", few).outcome == FULFILLED


def test_other_kinds_have_no_first_answers() -> None:
    """A detector has classes, too; its error is no top-1 error, and there is no top-5 error."""
    boxes = perfect().assign(kind="detection", test_top5_error=np.nan)
    assert answer("top_five", boxes).outcome == DOES_NOT_APPLY
    assert "top-1" in answer("named", perfect()).why
    assert "top-1" not in answer("named", boxes).why


def test_networks_that_only_look_up_have_no_speed_up() -> None:
    """Of matrix factorization every MAC count is 0: a ratio of them does not exist."""
    table = perfect()
    inside = table["task"] == "a"
    table.loc[inside, ["macs_dense", "theoretical_speedup"]] = [0, np.nan]
    got = answer("both_ratios", table)
    assert (got.outcome, "30 are of networks without" in got.why) == (FULFILLED, True)
    assert answer("trade_off", table, FIGURES - {"error-speedup-a"}).outcome == FULFILLED
    assert answer("trade_off", table, FIGURES - {"error-speedup-b"}).outcome == NOT_FULFILLED


def test_names_count_where_the_records_name_no_parts() -> None:
    bare = perfect().assign(criterion=np.nan)
    named = bare.assign(method=bare["method"].replace(CRITERIA))
    assert answer("simple_baselines", named).outcome == FULFILLED


def test_failed_cells_are_not_held_against_the_measures() -> None:
    lost = perfect()
    lost.loc[lost.index[-1], ["status", "test_error", "test_top5_error", "train_epochs",
                              "theoretical_speedup"]] = ["failed", *[np.nan] * 4]  # fmt: skip
    for name in ("both_ratios", "top_five", "disclosed"):
        assert answer(name, lost).outcome == FULFILLED, name


def test_a_bare_table_is_answered_too() -> None:
    key = ["experiment", "task", "regime", "model", "method", "family", "seed", "sparsity"]
    found = checklist.checklist(Records(perfect()[[*key, "status", "test_error"]]))
    assert len(found) == 11
    assert CANNOT_TELL in {got.outcome for _, got in found}
    assert all("nan" not in got.why for _, got in found)
