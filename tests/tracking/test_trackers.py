"""TensorBoard and Weights & Biases get the runs that MLflow gets; without the package, one line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import before_work, config
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.storage.files import read_json, write_json
from prunebench.storage.layout import Layout
from prunebench.tracking.mlflow_runs import read_runs
from prunebench.tracking.trackers import export_to_others, trackers_of
from tests.conftest import ROOT
from tests.tracking import helpers as made_up


def experiment(root: Path, *trackers: str) -> Layout:
    layout, _ = made_up.experiment(root / "smoke", methods=("imp",))
    write_json(layout.config, {**read_json(layout.config), "tracking": list(trackers)})
    return layout


class FakeRun:
    """What a run of W&B is told."""

    def __init__(self, **said: Any) -> None:
        self.said, self.rows, self.summary = said, [], {}
        self.ended: int | None = None

    def define_metric(self, name: str, step_metric: str) -> None:
        assert (name, step_metric) in (("curve/*", "compression"), ("history/*", "epoch"))

    def log(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def finish(self, exit_code: int) -> None:
        self.ended = exit_code


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """A package that notes what it is told."""
    made: list[FakeRun] = []

    def init(**said: Any) -> FakeRun:
        made.append(FakeRun(**said))
        return made[-1]

    fake = SimpleNamespace(init=init, Settings=lambda **said: said, Error=RuntimeError)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return made


def test_wandb_gets_every_run_once(tmp_path: Path, wandb: list[FakeRun]) -> None:
    layout = experiment(tmp_path, "wandb")
    [said] = export_to_others(layout)
    assert said == "4 of 4 runs are new in W&B, project 'prunebench-smoke'"
    assert [run.said["job_type"] for run in wandb] == ["baseline", "curve", "cell", "cell"]
    assert len({run.said["id"] for run in wandb}) == 4
    assert {run.ended for run in wandb} == {0}
    dense, curve = wandb[0], wandb[1]
    errors = {run.key: {n: v for n, v, _ in run.metrics} for run in read_runs(layout)}
    group = "digits/noisy-40/test_resnet/seed-0"
    assert [row["compression"] for row in curve.rows] == [1.0, 2.0, 16.0]
    assert curve.rows[-1]["curve/test_error"] == errors[f"{group}/imp/0.9375"]["test_error"]
    assert dense.summary["test_error"] == errors[f"{group}/dense/0"]["test_error"]
    assert [row["epoch"] for row in dense.rows] == [0, 1, 2, 3]
    assert dense.said["config"]["training.epochs"] == "99"
    # again nothing; of another table what changed
    assert next(export_to_others(layout)).startswith("0 of 4")
    layout.cells_csv.write_text(layout.cells_csv.read_text().replace("3.25", "3.5", 1))
    assert next(export_to_others(layout)).startswith("1 of 4")
    assert len(wandb) == 5


def test_what_wandb_refuses_is_one_line(tmp_path: Path, wandb: list[FakeRun]) -> None:
    def refuse(**said: Any) -> FakeRun:
        raise RuntimeError("no API key\nand more")

    sys.modules["wandb"].init = refuse
    with pytest.raises(PrunebenchError, match=r"cannot export to W&B.*no API key; .wandb login"):
        list(export_to_others(experiment(tmp_path, "wandb")))


def test_real_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    layout = experiment(tmp_path, "wandb")
    assert next(export_to_others(layout)).startswith("4 of 4")
    assert len(list((layout.root / "wandb").glob("offline-run-*/run-*.wandb"))) == 4


def section(name: str) -> str:
    """The tag of a metric: TensorBoard makes a section of what stands before the first stroke."""
    return name if name.startswith(("curve/", "history/")) else f"cell/{name}"


def test_real_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    layout = experiment(tmp_path, "tensorboard")
    for _ in range(2):  # again: nothing is doubled
        [said] = export_to_others(layout)
        assert "4 runs in" in said
    for run in read_runs(layout):
        there = EventAccumulator(str(layout.root / "tensorboard" / run.key))
        there.Reload()
        found = {
            (tag, p.step): p.value for tag in there.Tags()["scalars"] for p in there.Scalars(tag)
        }
        assert found == {
            (section(n), step): pytest.approx(v, rel=1e-6) for n, v, step in run.metrics
        }


def test_tensorboard_gets_every_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[str, list[Any]] = {}

    class Writer:
        def __init__(self, folder: str) -> None:
            self.events = written.setdefault(folder.partition("-new/")[2], [])

        def add_event(self, event: Any) -> None:
            self.events.append(event)

        def close(self) -> None:
            pass

    class Summary(SimpleNamespace):
        Value = SimpleNamespace

    parts = {
        "tensorboard.compat.proto.event_pb2": {"Event": SimpleNamespace},
        "tensorboard.compat.proto.summary_pb2": {"Summary": Summary},
        "tensorboard.summary.writer.event_file_writer": {"EventFileWriter": Writer},
    }
    above = ("", ".compat", ".compat.proto", ".summary", ".summary.writer")
    for name, content in {**{f"tensorboard{part}": {} for part in above}, **parts}.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    layout = experiment(tmp_path, "tensorboard")
    list(export_to_others(layout))
    found = {
        key: [(v.tag, v.simple_value, e.step) for e in events for v in e.summary.value]
        for key, events in written.items()
    }
    assert found == {
        run.key: [(section(n), v, step) for n, v, step in run.metrics] for run in read_runs(layout)
    }
    tags = {tag for metrics in found.values() for tag, _, _ in metrics}
    assert {tag.partition("/")[0] for tag in tags} == {"cell", "curve", "history"}


def test_which_trackers(tmp_path: Path) -> None:
    layout, _ = made_up.experiment(tmp_path / "smoke", methods=("imp",))
    assert trackers_of(layout) == ["mlflow"]  # of an earlier version
    write_json(layout.config, {**read_json(layout.config), "tracking": ["tensorbord"]})
    with pytest.raises(PrunebenchError, match="no tracker 'tensorbord'; did you mean"):
        trackers_of(layout)


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_package_that_is_missing_is_told_before_any_job(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke = read_yaml(ROOT / "config" / "smoke.yaml")
    parsed = config.parse({**smoke, "tracking": ["mlflow", name, "mlflow"]})
    assert parsed.tracking == ["mlflow", name]
    find = before_work.importlib.util.find_spec  # type: ignore[attr-defined]
    monkeypatch.setattr(
        before_work.importlib.util, "find_spec",  # type: ignore[attr-defined]
        lambda wanted, *rest: None if wanted == name else find(wanted, *rest),
    )  # fmt: skip
    with pytest.raises(PrunebenchError, match=rf"tracking: {name} is not installed: pip install"):
        before_work.check(parsed)
    for module in [name, *(known for known in sys.modules if known.startswith(f"{name}."))]:
        monkeypatch.setitem(sys.modules, module, None)  # importing it fails
    with pytest.raises(PrunebenchError, match=rf"{name} is not installed"):
        list(export_to_others(experiment(tmp_path, name)))
