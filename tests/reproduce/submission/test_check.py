"""The worked example passes; every way to spoil it is found, and said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from prunebench.errors import PrunebenchError
from prunebench.reproduce.submission.check import check, drawn
from prunebench.reproduce.submission.submission_findings import (
    BROKEN,
    NOT_RUN,
    PASSED,
    WARNING,
    SubmissionFinding,
    shown,
)
from prunebench.reproduce.submission.submission_folder import load
from prunebench.storage.files import read_json, sha256_file, write_json
from tests.messages import unsaid
from tests.reproduce.submission.conftest import Followed, Spoil, invoke

CHECKS = [
    "columns",
    "grid",
    "provenance",
    "shares",
    "budget",
    "status",
    "masks",
    "contract",
    "re-run",
]
ONE = {"method": "centred", "seed": "1", "sparsity": "0.9"}
WHERE = "cells.csv: digits/clean/seed-cnn/centred seed 1 sparsity 0.9"
MASK = "cells/digits/clean/seed-cnn/seed-1/centred/0.9/masks.safetensors"


def broken(folder: Path, followed: Followed, trust_code: bool = False) -> list[str]:
    """Where and what, of all that is broken; nothing is computed anew."""
    found = list(check(load(folder), followed.data, 0, 0, trust_code))
    return [f"{f.check}: {f.where}: {f.message}" for f in found if f.outcome == BROKEN]


# ------------------------------------------------------------------------- the worked example


def test_the_example_of_contributing(followed: Followed) -> None:
    for command, done in zip(followed.commands, followed.results, strict=True):
        assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception!r}"
    packing, checking = followed.results[-2:]
    assert "files," in packing.stdout
    lines = checking.stdout.splitlines()
    assert not [line for line in lines if line.startswith("broken")]
    passed = [line.split()[1] for line in lines if line.startswith("passed")]
    assert list(dict.fromkeys(passed)) == CHECKS
    # one cell of the method, one of the control; with their baselines all have the same bits
    assert "confirmed: 2 drawn" in lines[-1]
    assert lines[-1].count("different") == 0


def test_what_is_packed(followed: Followed) -> None:
    folder = followed.submission
    top = {path.name for path in folder.iterdir()}
    assert top == {
        "submission.yaml", "config.json", "cells.csv", "provenance.json", "my_criterion.py",
        "cells",
    }  # fmt: skip
    said = yaml.safe_load((folder / "submission.yaml").read_text())
    assert said["name"] == said["method"] == "centred"
    inside = [path for path in (folder / "cells").rglob("*") if path.is_file()]
    assert {path.name for path in inside} == {"masks.safetensors"}
    assert len(inside) == 3 * 2 * 2
    again = invoke("submit", "pack", str(followed.folder / "results/mine"), str(folder),
                   "--method", "centred")  # fmt: skip
    assert isinstance(again.exception, PrunebenchError)
    assert "exists already" in str(again.exception)


def test_half_of_the_sample_is_of_the_method(followed: Followed) -> None:
    submission = load(followed.submission)
    for sample, own in ((1, 1), (2, 1), (3, 2), (6, 3)):
        cells = drawn(submission, sample, 5)
        assert len(cells) == len(set(cells)) == sample
        assert sum(cell.method == "centred" for cell in cells) == own


# ------------------------------------------------------------------------------- what is broken


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"train_epochs": "15"}, "budget: WHERE: train_epochs is 15, the budget 14"),
        ({"commit": "abc"}, "provenance: WHERE: commit must be 40 hexadecimal digits"),
        ({"data_hash": None}, "provenance: WHERE: data_hash is empty"),
        ({"config_hash": "0" * 64}, "provenance: WHERE: config_hash differs"),
        ({"label_hash": "0" * 64}, "provenance: cells.csv: digits/clean/1: label_hash differs"),
        ({"threads": "7"}, "provenance: WHERE: threads is 7, but 1 in config.json"),
        ({"control": "True"}, "grid: WHERE: control is True, but False in config.json"),
        ({"sparsity_achieved": "0.95"}, "masks: MASK: sparsity_achieved is 0.95 in the record"),
        ({"params_kept": "1"}, "masks: MASK: params_kept is 1 in the record, "),
        ({"mask_hash": "0" * 64}, "masks: MASK: the mask is not that of the record"),
        ({"sparsity": "0.8"}, "grid: WHERE: the cell is missing"),
        ({"seed": "7"}, "grid: cells.csv: digits/clean/seed-cnn/centred seed 7"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_spoilt_row(spoilt: Spoil, followed: Followed, change: dict[str, Any], told: str) -> None:
    found = broken(spoilt(change, **ONE), followed)
    told = told.replace("WHERE", WHERE).replace("MASK", MASK)
    assert [line for line in found if line.startswith(told)], found


def test_a_missing_baseline(spoilt: Spoil, followed: Followed) -> None:
    folder = spoilt({})
    table = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    kept = table[~((table["method"] == "dense") & (table["seed"] == "2"))]
    kept.to_csv(folder / "cells.csv", index=False)
    [line] = broken(folder, followed)
    assert unsaid(line, "grid: cells.csv", "dense seed 2", "baseline is missing") == []


def test_a_column_that_is_missing(spoilt: Spoil, followed: Followed) -> None:
    folder = spoilt({})
    table = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    table.drop(columns=["code_hash", "flips"]).to_csv(folder / "cells.csv", index=False)
    found = list(check(load(folder), followed.data, 0, 0))
    lines = {f.outcome: f.message for f in found if f.check == "columns"}
    assert "code_hash is missing" in lines[BROKEN]
    assert "flips is missing" in lines[WARNING]


def rewrite(folder: Path, change: Any) -> None:
    """Change a mask, and the record's hash with it: as one who cheats would."""
    path = folder / MASK
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    table = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    row = (table[list(ONE)] == pd.Series(ONE)).all(axis=1)
    table.loc[row, "mask_hash"] = sha256_file(path)
    table.to_csv(folder / "cells.csv", index=False)


def test_a_mask_that_keeps_more_than_is_claimed(spoilt: Spoil, followed: Followed) -> None:
    folder = spoilt({})
    kept = {}

    def keep_all_of_one(tensors: dict[str, torch.Tensor]) -> None:
        name = max(tensors, key=lambda name: tensors[name].numel())
        kept["count"] = int((tensors[name] == 0).sum())
        tensors[name] = torch.ones_like(tensors[name])

    rewrite(folder, keep_all_of_one)
    lines = broken(folder, followed)
    row = pd.read_csv(folder / "cells.csv").query(
        "method == 'centred' and seed == 1 and sparsity == 0.9"
    )
    claimed = int(row["params_kept"].iloc[0])
    counted = claimed + kept["count"]
    told = f"masks: {MASK}: params_kept is {claimed} in the record, {counted} by the mask"
    assert lines[0] == told
    assert "sparsity_achieved" in lines[1]
    assert "the target 0.9 asks for" in lines[2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.update({"x": torch.ones(1)}), "the network has no parameter 'x'"),
        (lambda t: t.update({n: m.float() for n, m in t.items()}), "must hold 0 and 1 as uint8"),
        (lambda t: t.update({n: m[:1].clone() for n, m in t.items()}), "has shape ("),
        (lambda t: t.update({n: m * 2 for n, m in t.items()}), "must hold 0 and 1"),
    ],
)
def test_a_mask_of_something_else(
    spoilt: Spoil, followed: Followed, change: Any, told: str
) -> None:
    folder = spoilt({})
    rewrite(folder, change)
    lines = broken(folder, followed)
    assert lines
    assert all(line.startswith(f"masks: {MASK}: ") and told in line for line in lines)


def test_a_mask_that_is_missing_or_no_safetensors(spoilt: Spoil, followed: Followed) -> None:
    folder = spoilt()
    (folder / MASK).unlink()
    [line] = broken(folder, followed)
    assert line.startswith(f"masks: {MASK}: the mask is missing")
    torch.save({"a": torch.ones(1)}, folder / MASK)  # a pickle, which could run anything
    lines = broken(folder, followed)
    assert len(lines) == 2
    assert "is missing or damaged" in lines[1]


def test_another_configuration(spoilt: Spoil, followed: Followed) -> None:
    folder = spoilt()
    config = read_json(folder / "config.json")
    config["training"]["learning_rate"] = 0.2
    write_json(folder / "config.json", config)
    lines = broken(folder, followed)
    assert sum("config_hash differs from that of config.json" in line for line in lines) == 3 * 5
    assert lines[-1].startswith("provenance: provenance.json: config_sha256 does not fit")


def test_a_method_that_breaks_its_contract(spoilt: Spoil, followed: Followed) -> None:
    """Its masks are another time others; the records cannot show that, the contract does."""
    folder = spoilt()
    (folder / "my_criterion.py").write_text(
        "CALLS = []\n\n\ndef centred(view):\n"
        "    CALLS.append(1)\n"
        "    sign = (-1) ** len(CALLS)\n"
        "    return {name: sign * weight.abs() for name, weight in view.weights.items()}\n"
    )
    lines = broken(folder, followed, trust_code=True)
    assert [line for line in lines if line.startswith("contract: centred on mlp: same seed, same")]
    assert {line.partition(":")[0] for line in lines} == {"contract"}


def test_records_that_another_method_made(spoilt: Spoil, followed: Followed) -> None:
    """All that stands in the folder agrees; only computing it anew shows it."""
    folder = spoilt()
    (folder / "my_criterion.py").write_text(
        "def centred(view):\n"
        "    return {name: -weight.abs() for name, weight in view.weights.items()}\n"
    )
    done = invoke("submit", "check", str(folder), "--sample", "1", "--seed", "0", "--json",
                  "--data", str(followed.data), "--trust-code")  # fmt: skip
    assert done.exit_code == 1, done.output
    found = [SubmissionFinding(**line) for line in json.loads(done.stdout)]
    assert {f.check for f in found if f.outcome == BROKEN} == {"re-run"}
    # the baseline is right, the pruned cell is not
    assert [f.outcome for f in found if f.check == "re-run" and "seed-cnn" in f.where] == [
        PASSED, BROKEN,
    ]  # fmt: skip


def test_code_of_others_runs_only_where_it_is_trusted(spoilt: Spoil, followed: Followed) -> None:
    folder = spoilt()
    sprung, file = folder / "sprung", folder / "my_criterion.py"
    file.write_text(f"open({str(sprung)!r}, 'w')\n{file.read_text()}")
    found = list(check(load(folder), followed.data, 1, 0))
    left = {f.check: f.message for f in found if f.outcome == NOT_RUN and f.where}
    assert left.keys() == {"contract", "re-run"}
    for message in left.values():
        assert f"{file} (sha256 {sha256_file(file)})" in message
        assert "--trust-code" in message
    assert not sprung.exists()
    done = invoke("submit", "check", str(folder), "--sample", "1", "--data", str(followed.data))
    assert done.exit_code == 1
    assert not sprung.exists()


def test_masks_of_a_network_of_others_are_not_counted_untrusted(
    spoilt: Spoil, followed: Followed
) -> None:
    folder = spoilt()
    sprung, file = folder / "sprung", folder / "net.py"
    file.write_text(f"open({str(sprung)!r}, 'w')\nclass Net: ...\n")
    config = read_json(folder / "config.json")
    config["models"][0]["architecture"] = f"{file}:Net"
    write_json(folder / "config.json", config)
    found = list(check(load(folder), followed.data, 0, 0))
    [left] = [f for f in found if f.check == "masks"]
    assert (left.outcome, left.where) == (NOT_RUN, "digits seed-cnn")
    assert f"needs code: {file} (sha256 " in left.message
    assert not sprung.exists()


def test_a_submission_that_ends_the_check_has_not_passed(spoilt: Spoil, followed: Followed) -> None:
    folder = spoilt()
    file = folder / "my_criterion.py"
    file.write_text(f"import os; os._exit(0)\n{file.read_text()}")
    done = invoke("submit", "check", str(folder), "--sample", "0", "--json", "--trust-code",
                  "--data", str(followed.data))  # fmt: skip
    assert done.exit_code == 1
    [ended] = [f for f in json.loads(done.stdout) if f["outcome"] == BROKEN]
    assert ended["check"] == "contract"
    assert ended["message"] == "its process ended before it was done, with status 0"


def test_nothing_is_computed_anew_where_something_is_broken(
    spoilt: Spoil, followed: Followed
) -> None:
    folder = spoilt({"threads": "7"}, **ONE)
    *_, last = check(load(folder), followed.data, 3, 0)
    assert (last.outcome, last.check) == (WARNING, "re-run")
    assert "repair that first" in last.message


def test_of_many_findings_the_first_are_shown() -> None:
    many = [SubmissionFinding(BROKEN, "grid", str(n), "x") for n in range(9)]
    lines = shown([*many, SubmissionFinding(PASSED, "masks", "", "all")])
    assert len(lines) == 5 + 1 + 1
    assert lines[-1].endswith("and 4 more; --json has all")


def test_a_dirty_checkout_is_a_warning(spoilt: Spoil, followed: Followed) -> None:
    folder = spoilt({"dirty": "True"}, **ONE)
    found = list(check(load(folder), followed.data, 0, 0))
    assert not [f for f in found if f.outcome == BROKEN]
    assert [f for f in found if f.where == WHERE and f.message.startswith("dirty")]


# ------------------------------------------------------------- what a reviewer must not overlook


@pytest.mark.parametrize(("error", "whole"), [("0.3", True), ("0.31234", False)])
def test_an_error_is_of_a_whole_number_of_samples(
    spoilt: Spoil, followed: Followed, error: str, whole: bool
) -> None:
    samples = pd.read_csv(followed.submission / "cells.csv")["test_samples"].iloc[0]
    value = str(round(float(error) * samples) / samples) if whole else error
    found = broken(spoilt({"test_error": value}, **ONE), followed)
    told = [line for line in found if line.startswith("shares")]
    assert told == (
        [] if whole else [
            f"shares: {WHERE}: test_error is {error}: of {samples} samples that is"
            f" {float(error) * samples:.3f}, no whole number"
        ]
    )  # fmt: skip


def test_without_a_cell_that_was_run_again_nothing_passes(followed: Followed) -> None:
    done = invoke(
        "submit", "check", str(followed.submission), "--sample", "0", "--trust-code",
        "--data", str(followed.data),
    )  # fmt: skip
    assert done.exit_code == 1
    assert (
        "not run  re-run      no cell was computed again: --sample 0 asks for none" in done.stdout
    )


def test_what_is_the_same_of_all_rows_is_said_once(spoilt: Spoil, followed: Followed) -> None:
    folder = spoilt({"dirty": "True"})
    found = [f for f in check(load(folder), followed.data, 0, 0) if "dirty" in f.message]
    rows = len(pd.read_csv(folder / "cells.csv"))
    assert [(f.outcome, f.where) for f in found] == [(WARNING, f"cells.csv: {rows} rows")]


@pytest.mark.parametrize("edited", [True, False])
def test_an_edited_table_is_not_packed(
    followed: Followed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edited: bool
) -> None:
    monkeypatch.chdir(followed.folder)
    results = tmp_path / "results" / "mine"
    shutil.copytree(followed.folder / "results" / "mine", results)
    if edited:
        table = pd.read_csv(results / "cells.csv", dtype=str)
        table.loc[3, "test_error"] = "0.01"
        table.to_csv(results / "cells.csv", index=False)
    done = invoke("submit", "pack", str(results), str(tmp_path / "packed"), "--method", "centred")
    if not edited:
        assert done.exit_code == 0, done.exception
        return
    assert isinstance(done.exception, PrunebenchError)
    assert "cells.csv is not what follows from the stored cells" in str(done.exception)
    assert "test_error is 0.01, derived" in str(done.exception)
    assert "--tables names all" in str(done.exception)
    assert not (tmp_path / "packed").exists()
