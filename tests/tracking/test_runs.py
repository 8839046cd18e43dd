"""What people see: names, tags, metrics with steps, a description, artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from prunebench.storage import records
from prunebench.storage.files import read_json, write_json, write_text
from prunebench.storage.layout import HISTORY
from prunebench.tracking import export, tracking_uri
from prunebench.tracking.experiment_run import experiment_run
from prunebench.tracking.mlflow_runs import NOTE, MlflowRun, read_runs, step_of
from tests.tracking import helpers as made_up
from tests.tracking.looking import assert_equal_to_files, runs_of

# third parties' own, met inside mlflow
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*"),
]


def test_what_a_person_reads(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke")
    export(layout)
    runs = runs_of(layout)
    run = runs["digits/noisy-40/test_resnet/seed-0/imp/0.9375"]
    assert run.info.run_name == "imp 93.75 % · digits noisy-40 · test_resnet · seed 0"
    assert run.info.end_time - run.info.start_time == 3250  # the seconds of training
    wanted = {"family": "weight", "method": "imp", "regime": "noisy-40", "sparsity": "0.9375"}
    assert wanted.items() <= run.data.tags.items()
    assert run.data.tags["mlflow.note.content"] == "prunes by imp"
    assert len(run.data.tags["prunebench.identity"]) == 64
    assert run.data.params["method.criterion"] == "imp"
    assert run.data.params["method.criterion.power"] == "2"
    assert run.data.params["regime.label_noise"] == "0.4"
    assert run.data.params["training.epochs"] == "99"  # the model's own goes before the common
    assert "task.path" not in run.data.params
    ordered = sorted(runs.values(), key=lambda r: r.info.start_time, reverse=True)
    assert [run.info.run_name for run in ordered[:3]] == [
        "smoke: the whole grid",
        "dense · digits noisy-40 · test_resnet · seed 0",
        "magnitude · digits noisy-40 · test_resnet · seed 0",
    ]
    levels = {run.data.tags["level"] for run in ordered}
    assert levels == {"experiment", "baseline", "curve", "cell"}


@pytest.mark.parametrize(
    ("said", "order"),
    [
        ({}, ["magnitude", "imp", "random"]),  # a control is last
        ({"analysis": {"primary": ["imp"]}}, ["imp", "random", "magnitude"]),
        (
            {"analysis": {"primary": ["imp"]}, "report": {"highlight": ["random"]}},
            ["random", "imp", "magnitude"],
        ),
    ],
)
def test_the_first_curves_are_those_that_are_judged(
    tmp_path: Path, said: dict[str, Any], order: list[str]
) -> None:
    layout, rows = made_up.experiment(tmp_path / "smoke", methods=("random", "magnitude", "imp"))
    made_up.write_cells(layout, [r | {"control": r["method"] in ("dense", "random")} for r in rows])
    write_json(layout.config, read_json(layout.config) | said)
    curves = [run for run in read_runs(layout) if run.tags["level"] == "curve"]
    assert [run.tags["method"] for run in curves] == order


def test_history_has_steps_and_no_missing_values(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke")
    where = layout.cell("digits", "noisy-40", "test_resnet", 0, "imp", 0.5) / HISTORY
    write_json(where, made_up.history(3) + made_up.history(3))  # two rounds, each from epoch 0
    export(layout)
    client, runs = MlflowClient(tracking_uri(layout)), runs_of(layout)

    def steps(key: str, metric: str) -> list[int]:
        return [m.step for m in client.get_metric_history(runs[key].info.run_id, metric)]

    group = "digits/noisy-40/test_resnet/seed-0"
    assert sorted(steps(f"{group}/dense/0", "history/train_loss")) == [0, 1, 2, 3]
    assert sorted(steps(f"{group}/dense/0", "history/val_error")) == [1, 3]
    assert sorted(steps(f"{group}/imp/0.5", "history/train_loss")) == [0, 1, 2, 3, 4, 5]
    assert steps(f"{group}/imp/0.5", "test_error") == [200]
    assert "memorized" in runs[f"{group}/imp/0.5"].data.metrics
    assert "corrupted_error" not in runs[f"{group}/imp/0.5"].data.metrics


def test_artifacts_follow_the_files(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke", methods=())
    export(layout)
    client = MlflowClient(tracking_uri(layout))

    def stored() -> dict[str, bytes]:
        root = Path(client.download_artifacts(runs_of(layout)["experiment"].info.run_id, ""))
        files = [path for path in root.rglob("*") if path.is_file()]
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}

    names = {"cells.csv", "config.json", *(f"leaderboard.{kind}" for kind in ("csv", "html", "md"))}
    assert set(stored()) == names | {"figures/error.png", "tables/test_error.md"}
    layout.leaderboard("html").write_text("<p>new", encoding="utf-8")
    export(layout)
    assert stored()["leaderboard.html"] == b"<p>new"
    (layout.figures / "error.png").unlink()
    export(layout)
    assert set(stored()) == names | {"tables/test_error.md"}
    assert_equal_to_files(layout, runs_of(layout))


def test_names_that_pandas_would_take_for_missing(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke", regimes=("NA", "none"), methods=())
    export(layout)
    regimes = {run.data.tags.get("regime") for run in runs_of(layout).values()}
    assert regimes == {None, "NA", "none"}


def curve_of(runs: list[MlflowRun], method: str) -> MlflowRun:
    [found] = [run for run in runs if run.tags["level"] == "curve" and run.tags["method"] == method]
    return found


def test_a_curve_has_its_metrics_over_sparsity(results: Path) -> None:
    layout, rows = made_up.experiment(results / "smoke", sparsities=(0.9375, 0.5))
    export(layout)
    client, runs = MlflowClient(tracking_uri(layout)), runs_of(layout)
    live = runs["digits/noisy-40/test_resnet/seed-0/imp"]
    assert live.info.run_name == "imp · digits noisy-40 · test_resnet · seed 0"
    history = client.get_metric_history(live.info.run_id, "curve/test_error")
    expected = {
        {0.0: 100, 0.5: 200, 0.9375: 1600}[row["sparsity"]]: row["test_error"]
        for row in rows
        if row["method"] in ("imp", records.DENSE)
    }
    assert {point.step: point.value for point in history} == expected
    assert len(history) == 3
    assert live.data.tags["status"] == "ok"
    assert "sparsity" not in live.data.tags
    assert live.info.end_time - live.info.start_time == 2 * 3250


def test_a_curve_says_which_of_its_cells_failed(tmp_path: Path) -> None:
    layout, rows = made_up.experiment(tmp_path / "smoke", methods=("imp",))
    rows[2].update(status=records.FAILED, test_error=None, message="no")
    made_up.write_cells(layout, rows)
    curve = curve_of(read_runs(layout), "imp")
    assert curve.tags["status"] == "1 failed, 1 ok"
    assert curve.tags["mlflow.note.content"].endswith("2 sparsities: 1 failed, 1 ok")
    steps = [step for name, _, step in curve.metrics if name == "curve/test_error"]
    assert steps == [100, 200]


def test_a_curve_without_its_baseline(tmp_path: Path) -> None:
    layout, rows = made_up.experiment(tmp_path / "smoke", methods=("imp",))
    made_up.write_cells(layout, rows[1:])
    curve = curve_of(read_runs(layout), "imp")
    assert [step for name, _, step in curve.metrics if name == "curve/flips"] == [200, 1600]


def test_steps_part_neighbouring_sparsities() -> None:
    assert [step_of(s) for s in (0.0, 0.5, 0.75, 0.9, 0.984375, 0.99, 0.9922, 0.9961)] == [
        100, 200, 400, 1000, 6400, 10000, 12821, 25641,
    ]  # fmt: skip


def test_the_description_tells_question_grid_leaderboard_and_places(results: Path) -> None:
    layout, _ = made_up.experiment(results / "smoke", seeds=2)
    write_json(layout.config, {"tasks": [{"name": "digits"}], "seeds": [0, 1],
                               "sparsities": [0.5, 0.9375]})  # fmt: skip
    export(layout)
    text = runs_of(layout)["experiment"].data.tags["mlflow.note.content"]
    assert text.startswith("**Does pruning reduce overfitting")
    for line in (
        "- **Tasks** 1: digits", "- **Seeds** 2: 0, 1", "- **Sparsities** 50 %, 93.75 %",
        "- **Baselines** 2", "- **Cells** 10: 10 ok",
        "| 1&emsp; | imp&emsp; | weight&emsp; | -1.25&emsp; |", "| digits · noisy-40 · test_resnet",
        "- `leaderboard.html`: the whole leaderboard, to sort and filter", "- `figures/`: 1 file",
        "`results/smoke/`",
    ):  # fmt: skip
        assert line in text, line


def test_a_description_of_a_huge_grid_fits_a_tag(tmp_path: Path) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    names = [{"name": f"{'long' * 10}-{number}"} for number in range(500)]
    write_json(layout.config, {"methods": names, "regimes": names, "models": names})
    head = "rank,method,family,score,low,high,best_difference,best_cell\n"
    write_text(layout.leaderboard("csv"), head + f"1,{'x' * 300},w,0,0,0,0,a|b\n" * 9)
    text = experiment_run(layout, read_runs(layout)).tags[NOTE]
    assert len(text) < 8000
    assert "### Where to look" in text
    assert "460 more" in text


def test_a_description_without_leaderboard_or_configuration(tmp_path: Path) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    for path in (layout.config, layout.leaderboard("csv")):
        path.unlink()
    text = experiment_run(layout, read_runs(layout)).tags[NOTE]
    assert "### Leaderboard" not in text
    assert "- **Cells** 1: 1 ok" in text
    write_text(layout.leaderboard("csv"), "other,columns\n1,2\n")
    assert "### Leaderboard" not in experiment_run(layout, []).tags[NOTE]


def test_a_table_that_was_made_before_a_column_was_added(tmp_path: Path) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=())
    text = layout.cells_csv.read_text(encoding="utf-8")
    layout.cells_csv.write_text(text.replace("test_nll", "unknown"), encoding="utf-8")
    [run] = read_runs(layout)
    names = {name for name, _, _ in run.metrics}
    assert "test_error" in names
    assert "test_nll" not in names
