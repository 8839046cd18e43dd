"""Runs in a database that MLflow opens in this process: many read and written at once.

MLflow's client makes an object of SQLAlchemy of each tag, parameter and value that it reads or
writes, and opens twelve sessions for each run. The same rows in bulk, by MLflow's own tables and in
its own sessions, take a tenth of the processor. They are those that ``create_run``,
``update_run_info`` and ``log_batch`` of MLflow's ``SqlAlchemyStore`` write.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

from prunebench.tracking.mlflow_runs import MlflowRun
from prunebench.tracking.run_stores import ClientRuns, RunStore, StoredRun, end_of, status_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

# by name, since its import takes half a second, which a server does not need; another store, as
# that of workspaces, may do more with a run
_STORE = "mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore"
ROWS = 10_000  # that are written together, with those of the last run: of some 40 cells
_NAMED = {"run_uuid", "key", "value"}
_METRIC = {*_NAMED, "timestamp", "step", "is_nan"}
# the tables that hold a run, in the order in which they refer to each other, with all their columns
COLUMNS: Mapping[str, Set[str]] = {
    "runs": {
        "run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status",
        "start_time", "end_time", "deleted_time", "source_version", "lifecycle_stage",
        "artifact_uri", "experiment_id",
    },
    "tags": _NAMED,
    "params": _NAMED,
    "metrics": _METRIC,
    "latest_metrics": _METRIC,
}  # fmt: skip

_Row = dict[str, Any]  # a value for each column


def store_of(
    client: MlflowClient, experiment_id: str, columns: Mapping[str, Set[str]] = COLUMNS
) -> RunStore:
    """Return the runs of an experiment: in bulk, where MLflow's tables are as this module knows.

    Args:
        client: Reaches MLflow.
        experiment_id: The experiment's id in MLflow.
        columns: What is known of the tables that hold a run. Another version of MLflow may have
            others, and do more with a run than is known here: then its client does all.
    """
    store = client._tracking_client.store
    kind = type(store)
    if f"{kind.__module__}.{kind.__name__}" == _STORE and _as_known(store, columns):
        location = store.get_experiment(experiment_id).artifact_location
        return DatabaseRuns(store, int(experiment_id), location)
    return ClientRuns(client, experiment_id)


def _as_known(store: SqlAlchemyStore, columns: Mapping[str, Set[str]]) -> bool:
    from mlflow.store.tracking.dbmodels.models import SqlRun

    tables = SqlRun.metadata.tables
    there = {name: set(tables[name].columns.keys()) for name in tables.keys() & columns.keys()}
    # MLflow 3.12 had no sessions that only read, nor asked which those are
    return there == columns and "read_only" in signature(store.ManagedSessionMaker).parameters


@dataclass
class DatabaseRuns:
    """The runs of one experiment; a transaction holds whole runs."""

    store: SqlAlchemyStore
    experiment_id: int
    location: str  # below which its artifacts lie
    waiting: int = 0
    _rows: dict[str, list[_Row]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def pages(self) -> Iterator[list[StoredRun]]:
        """Yield all runs at once."""
        from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlRun, SqlTag
        from sqlalchemy import select

        here = (SqlRun.experiment_id == self.experiment_id, SqlRun.lifecycle_stage == "active")
        runs = select(SqlRun.run_uuid, SqlRun.status).where(*here)
        with self.store.ManagedSessionMaker() as session:

            def held(run: Any, *columns: Any) -> dict[str, list[Any]]:
                """What each run has in columns of another table."""
                found = defaultdict(list)
                for run_id, *values in session.execute(
                    select(run, *columns).join(SqlRun).where(*here)
                ):
                    found[run_id].append(values)
                return found

            tags = held(SqlTag.run_uuid, SqlTag.key, SqlTag.value)
            params = held(SqlParam.run_uuid, SqlParam.key)
            metrics = held(SqlLatestMetric.run_uuid, SqlLatestMetric.key)
            shown = session.execute(runs.order_by(SqlRun.start_time.desc(), SqlRun.run_uuid)).all()
        yield [
            StoredRun(
                run_id,
                status,
                dict(tags[run_id]),
                {name for (name,) in params[run_id]},
                {name for (name,) in metrics[run_id]},
            )
            for run_id, status in shown
        ]

    def add(self, run: MlflowRun, tags: Mapping[str, str], start: int) -> str:
        """Take a run; from time to time, write those that are waiting."""
        from mlflow.entities import Metric, Param
        from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
        from mlflow.utils.validation import _validate_batch_log_data

        # the tags that a run is created with are not checked
        _, params, _ = _validate_batch_log_data(
            [Metric(name, value, start, step) for name, value, step in run.metrics],
            [Param(*item) for item in run.params.items()],
            [],
        )
        run_id = uuid.uuid4().hex
        metrics = self._metrics(run, run_id, start)
        self._rows["runs"].append(self._run(run, run_id, start))
        self._rows["tags"] += _named(run_id, {**tags, MLFLOW_RUN_NAME: run.name})
        self._rows["params"] += _named(run_id, {param.key: param.value for param in params})
        self._rows["metrics"] += metrics
        self._rows["latest_metrics"] += _latest(metrics)
        self.waiting += 1
        if sum(map(len, self._rows.values())) >= ROWS:
            self.flush()
        return run_id

    def _run(self, run: MlflowRun, run_id: str, start: int) -> _Row:
        from mlflow.utils.uri import append_to_uri_path

        folder = self.store.ARTIFACTS_FOLDER_NAME
        return {
            "run_uuid": run_id,
            "name": run.name,
            "source_type": "UNKNOWN",
            "source_name": "",
            "entry_point_name": "",
            "user_id": "unknown",
            "status": status_of(run),
            "start_time": start,
            "end_time": end_of(run, start),
            "deleted_time": None,
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": append_to_uri_path(self.location, run_id, folder),
            "experiment_id": self.experiment_id,
        }

    def _metrics(self, run: MlflowRun, run_id: str, start: int) -> list[_Row]:
        """A row for each value; one that comes twice, as of two sparsities at one step, is one."""
        values = [
            (name, step, *self.store.sanitize_metric_value(value))
            for name, value, step in run.metrics
        ]
        return [
            {"run_uuid": run_id, "key": name, "value": value, "timestamp": start, "step": step,
             "is_nan": is_nan}
            for name, step, is_nan, value in dict.fromkeys(values)
        ]  # fmt: skip

    def flush(self) -> None:
        """Write the runs that are waiting, in one transaction."""
        from mlflow.store.tracking.dbmodels.models import SqlRun
        from sqlalchemy import insert

        if not self.waiting:
            return
        tables = SqlRun.metadata.tables
        with self.store.ManagedSessionMaker(read_only=False) as session:
            for name, rows in self._rows.items():
                if rows:  # in the table, not the model: the latter looks at each row again
                    session.execute(insert(tables[name]), rows)
        for rows in self._rows.values():
            rows.clear()
        self.waiting = 0


def _named(run_id: str, values: Mapping[str, str]) -> list[_Row]:
    return [{"run_uuid": run_id, "key": key, "value": value} for key, value in values.items()]


def _latest(metrics: list[_Row]) -> list[_Row]:
    """The row of each name with the greatest step, and of those the greatest value."""
    latest: dict[str, _Row] = {}
    for row in metrics:
        last = latest.setdefault(row["key"], row)
        if (row["step"], row["value"]) > (last["step"], last["value"]):
            latest[row["key"]] = row
    return list(latest.values())
