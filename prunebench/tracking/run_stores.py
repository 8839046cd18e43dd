"""What an export asks of MLflow for its runs, and how MLflow's client does it, whatever serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from prunebench.tracking.mlflow_runs import MlflowRun

if TYPE_CHECKING:
    from mlflow import MlflowClient


class StoredRun(NamedTuple):
    """What is asked of a run that MLflow has."""

    run_id: str
    status: str
    tags: Mapping[str, str]
    params: set[str]  # their names
    metrics: set[str]  # their names


class RunStore(Protocol):
    """The runs of one experiment in MLflow."""

    waiting: int  # runs that were taken, and are not written yet

    def pages(self) -> Iterator[list[StoredRun]]:
        """Yield all runs that MLflow shows, the last started first."""

    def add(self, run: MlflowRun, tags: Mapping[str, str], start: int) -> str:
        """Take a run, which is finished; return the id that it has in MLflow.

        Args:
            run: What it holds.
            tags: All of its tags.
            start: When it began, in milliseconds; its metrics are of that time.

        Raises:
            mlflow.exceptions.MlflowException: A name or value is none for MLflow, or it cannot be
                written.
        """

    def flush(self) -> None:
        """Write the runs that were taken, each whole or not at all."""


def status_of(run: MlflowRun) -> str:
    """Return MLflow's word for how a run ended."""
    return "FAILED" if run.failed else "FINISHED"


def end_of(run: MlflowRun, start: int) -> int:
    """Return when a run ended that began at a time, in milliseconds."""
    return start + round(1000 * run.seconds)


@dataclass
class ClientRuns:
    """By the calls of MLflow's client, which a server answers as well; a run is written at once."""

    client: MlflowClient
    experiment_id: str
    waiting: int = 0

    def pages(self) -> Iterator[list[StoredRun]]:
        """Yield a thousand runs at a time."""
        token: str | None = None
        while token != "":
            page = self.client.search_runs([self.experiment_id], max_results=1000, page_token=token)
            yield [
                StoredRun(
                    str(run.info.run_id),
                    run.info.status,
                    run.data.tags,
                    set(run.data.params),
                    set(run.data.metrics),
                )
                for run in page
            ]
            token = page.token or ""

    def add(self, run: MlflowRun, tags: Mapping[str, str], start: int) -> str:
        """Write one run, in three calls.

        It ends before it is filled: MLflow reads all that a run holds when it ends.
        """
        from mlflow.entities import Metric, Param

        made = self.client.create_run(self.experiment_id, start, dict(tags), run.name)
        run_id = str(made.info.run_id)
        self.client.set_terminated(run_id, status_of(run), end_of(run, start))
        metrics = [Metric(name, value, start, step) for name, value, step in run.metrics]
        self.client.log_batch(run_id, metrics, [Param(*item) for item in run.params.items()])
        return run_id

    def flush(self) -> None:
        """Do nothing: no run is waiting."""
