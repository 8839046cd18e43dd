"""The whole way in one process: regimes, curves, probes and measures of a tiny grid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file as save_torch

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.experiment.settings import Model
from prunebench.runner import curves, pipeline
from prunebench.runner.collect import collect
from prunebench.runner.job_context import JobContext
from prunebench.storage.files import write_sealed
from prunebench.storage.layout import PREDICTIONS, PROBES, RECORD, TARGETS
from prunebench.storage.records import COLUMNS
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models
from tests.hub import COMMIT, fetched, saved

GRID: dict[str, Any] = {
    "experiment": "tiny",
    "tasks": [{"name": "digits", "train": 120, "val": 50, "test": 80}],
    "regimes": [
        "clean",
        {"name": "swapped", "label_noise": 0.1, "noise": "asymmetric", "class_map": {3: 8, 8: 3},
         "width": 0.5, "train_samples": 100, "training": {"epochs": 7}},
    ],
    "models": ["seed-cnn"],
    "seeds": [0],
    "methods": ["magnitude", "gradual", "dense-stopped", "snip"],
    "sparsities": [0.5, 0.9],
    "training": {"epochs": 5, "recovery_epochs": 1, "batch_size": 20},
    "probes": {"run": ["corruptions", "distance", "sharpness"], "samples": 40},
}  # fmt: skip


GRID_AND_MINE = ("seed-cnn", "mine")


@dataclass
class Ran:
    """A finished grid and its table."""

    plan: Plan
    data: Path
    cells: pd.DataFrame

    def again(self, **changes: Any) -> Plan:
        """The same grid with other settings, in the same folders."""
        return Plan(config.parse({**GRID, **changes}), self.plan.layout.root.parent)

    def times(self, name: str) -> dict[str, int]:
        """When each file of a name was written."""
        found = self.plan.layout.root.rglob(name)
        return {str(path): path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("grid")
    plan, data = Plan(config.parse(GRID), folder / "results"), folder / "data"
    deterministic = torch.are_deterministic_algorithms_enabled()
    path = pipeline.run(plan, data)
    yield Ran(plan, data, pd.read_csv(path))
    torch.use_deterministic_algorithms(deterministic)


def test_every_cell_is_there_with_what_it_is_made_of(ran: Ran) -> None:
    cells = ran.cells.set_index(["regime", "method", "sparsity"])
    assert len(cells) == ran.plan.cell_count == 2 * (1 + 3 * 2 + 1)
    assert set(cells["status"]) == {"ok"}
    assert cells.loc[("clean", "dense", 0.0), "control"]
    assert cells.loc[("clean", "dense-stopped", 0.0), "control"]
    assert not cells.loc[("clean", "magnitude", 0.5), "control"]
    made = ["criterion", "pattern", "allocation", "schedule", "recovery"]
    assert cells.loc[("clean", "gradual", 0.9), made].tolist() == [
        "magnitude", "weight", "global", "gradual", "none",
    ]  # fmt: skip
    assert cells.loc[("clean", "dense", 0.0), made].isna().all()


def test_a_regime_is_told_in_numbers(ran: Ran) -> None:
    regime = ["label_noise", "noise", "train_samples", "augmentation", "width"]
    told = ran.cells.groupby("regime")[regime].first()
    assert told.loc["swapped"].tolist() == [0.1, "asymmetric", 100, False, 0.5]
    assert told.loc["clean"].drop("noise").tolist() == [0.0, 120, False, 1.0]
    assert ran.cells.loc[ran.cells["regime"] == "clean", "noise"].isna().all()
    dense = ran.cells[ran.cells["method"] == "dense"].set_index("regime")
    assert dense.loc["swapped", "train_epochs"] == 7
    assert dense.loc["clean", "train_epochs"] == 5
    # half the channels: about a quarter of the weights
    assert 0.2 < dense.loc["swapped", "params_total"] / dense.loc["clean", "params_total"] < 0.3


def test_noise_touches_the_labels_it_is_to_touch(ran: Ran) -> None:
    folder = ran.plan.layout.baseline("digits", "swapped", "seed-cnn", 0)
    targets = load_file(folder / TARGETS)
    wrong = targets["train"] != targets["train_clean"]
    assert wrong.sum() == 10
    assert set(targets["train_clean"][wrong]) | set(targets["train"][wrong]) <= {3, 8}
    clean = load_file(ran.plan.layout.baseline("digits", "clean", "seed-cnn", 0) / TARGETS)
    assert np.array_equal(targets["val"], clean["val"])
    assert np.array_equal(targets["test"], clean["test"])
    assert (targets["noisy_val"] != targets["val"]).sum() == 5
    assert "noisy_val" not in clean
    logits = load_file(folder / PREDICTIONS)["val"]
    row = ran.cells[(ran.cells["method"] == "dense") & (ran.cells["regime"] == "swapped")].iloc[0]
    assert row["noisy_val_error"] == (logits.argmax(1) != targets["noisy_val"]).mean()
    assert row["val_samples"] == len(logits)
    assert row["val_rise"] == 0


def test_changes_of_validation_are_against_the_cells_own_baseline(ran: Ran) -> None:
    pruned = ran.cells[(ran.cells["sparsity"] > 0) & (ran.cells["regime"] == "swapped")]
    assert len(pruned)
    for cell in pruned.itertuples():
        place = cell.task, cell.regime, cell.model, cell.seed, cell.method, cell.sparsity
        own = load_file(ran.plan.layout.cell(*place) / PREDICTIONS)["val"].argmax(1)
        baseline = ran.plan.layout.baseline(*place[:4])
        dense = load_file(baseline / PREDICTIONS)["val"].argmax(1)
        labels = load_file(baseline / TARGETS)["noisy_val"]
        wrong = ((dense == labels) & (own != labels)).mean()
        assert cell.val_flips_to_wrong == pytest.approx(wrong)
        assert cell.val_rise == pytest.approx((own != labels).mean() - (dense != labels).mean())


def test_a_cell_is_judged_at_its_end_and_where_it_would_have_stopped(ran: Ran) -> None:
    stopped_earlier = 0
    for cell in ran.cells.itertuples():
        place = cell.task, cell.regime, cell.model, cell.seed, cell.method, cell.sparsity
        folder = ran.plan.layout.cell(*place)
        baseline = ran.plan.layout.baseline(*place[:4])
        targets, logits = load_file(baseline / TARGETS), load_file(folder / PREDICTIONS)
        history = json.loads((folder / "history.json").read_text())
        labels = targets.get("noisy_val", targets["val"])
        column = "noisy_val_error" if "noisy_val" in targets else "val_error"
        errors = {entry["epoch"]: entry[column] for entry in history}
        if cell.method != "gradual":  # there the mask moves while it trains
            assert cell.stopped_epoch == min(errors, key=lambda epoch: errors[epoch])
        assert errors[cell.stopped_epoch] == pytest.approx(
            (logits.get("stopped_val", logits["val"]).argmax(1) != labels).mean()
        )
        there = logits.get("stopped_test", logits["test"]).argmax(1)
        assert cell.stopped_test_error == pytest.approx((there != targets["test"]).mean())
        stopped_earlier += cell.stopped_epoch < history[-1]["epoch"]
        if cell.method == "dense-stopped":
            assert cell.training_outcome == "stopped"
            assert cell.test_error == cell.stopped_test_error
        elif cell.train_error <= 0.01:
            assert cell.training_outcome == "trained-out"
        else:
            assert cell.training_outcome in ("under-trained", "failed-to-train", "trained-out")
        assert cell.plateau == (cell.training_outcome == "trained-out" and cell.train_error > 0.01)
    assert stopped_earlier  # else it would show little
    dense = ran.cells[ran.cells["method"] == "dense"]
    assert (dense["train_error"] > 0.01).any()  # five epochs are few
    assert set(dense["base_method"]) == {"dense"}
    assert set(ran.cells["recovery_length"]) == {1.0}


def test_instability_is_of_one_moment_at_trained_weights(ran: Ran) -> None:
    there = ran.cells.groupby("method")["instability"].apply(lambda values: values.notna().all())
    assert there["magnitude"]
    # nothing is removed, at many moments, or before anything was learned
    assert not there[["dense", "dense-stopped", "gradual", "snip"]].any()


def test_probes_look_at_every_cell_and_train_nothing(ran: Ran) -> None:
    probed = ["corrupted_error", "corrupted_blur_error", "distance", "sharpness"]
    assert ran.cells[probed].notna().all(axis=None)
    kinds = [f"corrupted_{kind}_error" for kind in ("noise", "blur", "contrast", "pixelation")]
    assert np.allclose(ran.cells[kinds].mean(axis=1), ran.cells["corrupted_error"])
    records, probes = ran.times(RECORD), ran.times(PROBES)
    assert len(probes) == len(records) == len(ran.cells)
    for name in ran.plan.probe_jobs:
        pipeline.probes(ran.plan, name, ran.data)
    assert ran.times(PROBES) == probes
    other = ran.again(probes={"run": ["distance"], "samples": 40})
    for name in other.probe_jobs:
        pipeline.probes(other, name, ran.data)
    assert all(ran.times(PROBES)[path] != time for path, time in probes.items())
    assert ran.times(RECORD) == records


def test_an_unknown_probe_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(PrunebenchError, match=r"sharpnes.*sharpness"):
        config.parse({**GRID, "probes": {"run": ["sharpnes"]}})


def test_a_family_names_methods_of_the_grid() -> None:
    with pytest.raises(PrunebenchError, match=r"primary: no method 'magnitud'.*magnitude"):
        config.parse({**GRID, "analysis": {"primary": ["magnitud"]}})


def test_records_name_the_classifier(ran: Ran) -> None:
    assert set(ran.cells["classifier"]) == {"head.weight"}


def test_records_name_the_commit_of_the_hub(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    saved(tmp_path / "model", "gpt2")
    fetched(tmp_path / "model", "me/tiny", tmp_path / "cache", monkeypatch)
    models = ["seed-cnn", {"name": "mine", "architecture": "hf:me/tiny"}]
    plan = ran.again(models=models, experiment="hub")
    own, hubs = (next(b for b in plan.baselines if b.model.name == n) for n in GRID_AND_MINE)
    job = JobContext(plan, own.task, prepared(own.task, ran.data))
    assert job.record(plan.cell(own))["hub_commit"] is None
    assert job.record(plan.cell(hubs))["hub_commit"] == COMMIT


def test_pretrained_weights_name_results_by_their_content(ran: Ran, tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    given = {"pretrained_cfg_overlay": {"file": str(file)}}
    mine = {"name": "mine", "architecture": "test_resnet", "pretrained": True, "arguments": given}
    plan = ran.again(models=["seed-cnn", mine], experiment="pretrained")
    drawn, loaded = (next(b for b in plan.baselines if b.model.name == n) for n in GRID_AND_MINE)

    def found(seed: int) -> tuple[str | None, str]:
        plain = models.create(Model(name="test_resnet"), NetworkFacts.of_images(10, 1, 8), seed)
        save_torch(plain.state_dict(), file)
        job = JobContext(plan, drawn.task, prepared(drawn.task, ran.data))
        assert job.weights_hash(drawn) is None
        return job.weights_hash(loaded), job.record(plan.cell(loaded))["weights_hash"]

    one, other, again = found(1), found(2), found(1)
    assert one == again
    assert one[0] == one[1] != other[0]


def test_a_measure_of_ones_own_is_a_column_and_harms_no_other(ran: Ran, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def right_ones(p):\n"
        "    return (p.stored['test'].argmax(1) == p.targets['test']).mean()\n"
        "def never(p):\n"
        "    return None\n"
        "def broken(p):\n"
        "    raise RuntimeError('no such luck')\n"
    )
    named = [f"{file}:{name}" for name in ("right_ones", "never", "broken")]
    plan = ran.again(report={"measures": named})
    rows = [row for name in plan.measure_jobs for row in pipeline.measure(plan, name)["cells"]]
    table = pd.DataFrame(rows)
    assert list(table.columns) == [*COLUMNS, "right_ones", "never", "broken"]
    assert np.allclose(table["right_ones"], 1 - table["test_error"])
    assert table[["never", "broken"]].isna().all(axis=None)
    assert table["message"].str.contains("broken: RuntimeError: no such luck").all()
    assert table["test_error"].tolist() == ran.cells["test_error"].tolist()
    assert plan.job_digest(plan.find("curves", "magnitude@digits-0")) == ran.plan.job_digest(
        ran.plan.find("curves", "magnitude@digits-0")
    )


def test_a_measure_or_a_probe_that_takes_a_columns_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from prunebench.experiment.registry import probe\n"
        "def test_error(p): ...\n"
        "def mine(p): ...\n"
        "@probe(columns={'mine': 'm'})\n"
        "def look(subject): ...\n"
    )
    with pytest.raises(PrunebenchError, match="has a column 'test_error' already"):
        config.parse({**GRID, "report": {"measures": [f"{file}:test_error"]}})
    both = {"report": {"measures": [f"{file}:mine"]}, "probes": {"run": [f"{file}:look"]}}
    assert config.parse({**GRID, "probes": both["probes"]}).own_columns == {"mine": f"{file}:look"}
    with pytest.raises(PrunebenchError, match="has a column 'mine' already"):
        config.parse({**GRID, **both})
    with pytest.raises(PrunebenchError, match="no function 'min'; did you mean 'mine'"):
        config.parse({**GRID, "report": {"measures": [f"{file}:min"]}})


@pytest.mark.parametrize(
    ("asked", "sizes"),
    [
        ({}, [20] * 6),  # 120 training samples, which are fewer than 512
        ({"samples": 50}, [20, 20, 10]),
        ({"samples": 50, "batch_size": 32}, [32, 18]),
        ({"batch_size": 100}, [100, 20]),
    ],
)
def test_as_many_samples_calibrate_as_are_asked(
    ran: Ran, asked: dict[str, int], sizes: list[int]
) -> None:
    plan = ran.again(calibration=asked)
    baseline = plan.baselines[0]
    job = JobContext(plan, baseline.task, prepared(baseline.task, ran.data))
    samples, _ = job.samples(baseline)
    batches = curves._calibration(job, samples, baseline)
    assert [len(targets) for _, targets in batches] == sizes
    whole = curves._calibration(ran_job(ran), samples, baseline)
    drawn = torch.cat([inputs for inputs, _ in batches])
    assert torch.equal(drawn, torch.cat([inputs for inputs, _ in whole])[: len(drawn)])


def ran_job(ran: Ran) -> JobContext:
    task = ran.plan.experiment.tasks[0]
    return JobContext(ran.plan, task, prepared(task, ran.data))


def test_more_calibration_than_there_is_is_refused(ran: Ran) -> None:
    plan = ran.again(calibration={"samples": 121})
    baseline = plan.baselines[0]
    job = JobContext(plan, baseline.task, prepared(baseline.task, ran.data))
    with pytest.raises(PrunebenchError, match="samples: 121 asked, only 120 are there"):
        curves._calibration(job, job.samples(baseline)[0], baseline)


def test_cells_of_other_settings_are_not_measured(ran: Ran) -> None:
    """Another command, started before these settings, may have written them meanwhile."""
    plan = ran.again(training={**GRID["training"], "recovery_epochs": 2})
    with pytest.raises(PrunebenchError, match=r"magnitude/0\.5 is of other settings or code than"):
        pipeline.measure(plan, "digits-0")


def test_cells_on_other_data_are_no_one_table(ran: Ran, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    found = pipeline.measure(ran.plan, "digits-0")
    found["cells"][-1]["data_hash"] = "0" * 64
    write_sealed(path, found)
    before = ran.plan.layout.cells_csv.read_bytes()
    with pytest.raises(PrunebenchError, match="task digits: its data were changed and prepared"):
        collect(ran.plan, [path])
    assert ran.plan.layout.cells_csv.read_bytes() == before


def test_a_recommenders_errors_by_popularity_are_those_of_its_training_ratings(
    tmp_path: Path,
) -> None:
    grid: dict[str, Any] = {
        "experiment": "rated", "regimes": [{"name": "few", "train_samples": 300}], "seeds": [0],
        "tasks": [{"name": "low-rank-ratings", "train": 600, "val": 50, "test": 200}],
        "models": ["matrix-factorization"], "methods": ["magnitude"], "sparsities": [0.5],
        "training": {"epochs": 8, "recovery_epochs": 1, "batch_size": 20, "optimizer": "adamw",
                     "learning_rate": 0.01},
    }  # fmt: skip
    plan = Plan(config.parse(grid), tmp_path / "results")
    cells = pd.read_csv(pipeline.run(plan, tmp_path / "data"))
    assert cells["test_rare_error"].notna().all()
    [baseline] = plan.baselines
    job = JobContext(plan, baseline.task, prepared(baseline.task, tmp_path / "data"))
    samples, _ = job.samples(baseline)
    rated = samples.inputs[:, 1].tolist()
    assert len(rated) == 300  # of the regime, not of the task
    counts = {item: rated.count(item) for item in set(rated)}
    folder = plan.layout.baseline(*baseline.key)
    targets, stored = load_file(folder / TARGETS), load_file(folder / PREDICTIONS)["test"]
    off: dict[str, list[float]] = {"popular": [], "middling": [], "rare": []}
    for (_, item), rating, found in zip(
        job.data.inputs["test"].tolist(), targets["test"], stored.ravel(), strict=True
    ):
        own = counts.get(item, 0)
        above = sum(count for count in counts.values() if count > own)
        equal = sum(count for count in counts.values() if count == own)
        place = (above + equal / 2) / len(rated) if own else 1.0
        name = "popular" if place < 0.2 else "middling" if place < 0.8 else "rare"
        off[name].append(float(found - rating) ** 2)
    dense = cells[cells["method"] == "dense"].iloc[0]
    for name, squares in off.items():
        wanted = np.sqrt(np.mean(squares)) / 4  # 1 to 5 stars
        assert dense[f"test_{name}_error"] == pytest.approx(wanted, rel=1e-5)
