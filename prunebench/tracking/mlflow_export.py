"""From the runs that MLflow has to those that it shall have, in an order that survives a kill."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from prunebench.errors import shown
from prunebench.text.progress_bars import watched
from prunebench.tracking.mlflow_runs import MlflowRun
from prunebench.tracking.run_stores import RunStore, StoredRun

if TYPE_CHECKING:
    from mlflow import MlflowClient

# tags; an experiment of a server may hold runs of others
OWNER, KEY, DIGEST = "experiment", "prunebench.cell", "prunebench.content"
PARENT, SOURCE = "mlflow.parentRunId", "mlflow.source.name"
# An export that needs longer than this has a sick server; what is there stays, a repeat goes on.
GRACE, GRACE_PER_RUN = 60.0, 1.0  # seconds


class CellCounts(NamedTuple):
    """How many cells, baselines among them, an export wrote, took away and left alone."""

    created: int
    replaced: int
    removed: int
    unchanged: int


@dataclass
class RunSync:
    """One pass over the runs of one experiment.

    A run carries the digest of its content as a tag. One that is finished, has the right digest and
    holds all that it shall is left alone, any other is replaced. What must not be there is deleted
    last: a kill leaves too many runs, never too few.
    """

    client: MlflowClient
    store: RunStore  # of all runs but the top
    experiment_id: str  # in MLflow
    owner: str  # name of the experiment here
    top: MlflowRun  # of the whole experiment; filled in place, so that its address stays
    runs: Sequence[MlflowRun]  # all others, each after the one that it hangs under
    remote: bool  # whether requests go over a network
    whole: bool = True  # whether the top is filled, too, or only opened for the others
    filled: bool = False  # whether the top was
    ids: dict[str, str] = field(default_factory=dict)  # of the runs that stay, by their key
    now: int = field(default_factory=lambda: round(1000 * time.time()))  # milliseconds, of runs
    begun: float = field(default_factory=time.monotonic)

    def apply(self) -> CellCounts:
        """Keep what is right, create what lacks, delete the rest.

        Raises:
            TimeoutError: It takes far too long.
            mlflow.exceptions.MlflowException: MLflow cannot be reached or written.
        """
        there = self._find()
        wanted = {run.key: run for run in self.runs}
        right = {_key(live): live for live in there if _is_right(live, wanted.get(_key(live)))}
        self.filled = self._open_top(
            next((live for live in there if _key(live) == self.top.key), None)
        )
        for number, run in enumerate(watched(self.runs, "to MLflow"), 1):
            self._check_time()
            if run.key in right:
                self._keep(run, right[run.key])
            else:
                start = self.now - number  # MLflow lists the last first: in our order
                self.ids[run.key] = self.store.add(run, self._tags(run), start)
        self.store.flush()
        if self.filled:
            self._fill_top()
        stay, changed = set(self.ids.values()), self.filled or len(right) < len(self.runs)
        # a request that was answered too late was sent again, and may have made two runs; to look
        # for them costs as much as some of the runs
        for live in self._find() if changed and self.remote else there:
            if live.run_id not in stay:
                self._check_time()
                self.client.delete_run(live.run_id)
        before = {_key(live) for live in there if "sparsity" in live.tags}
        cells = {run.key for run in self.runs if run.is_cell}
        new, same, gone = len(cells - before), len(cells & right.keys()), len(before - cells)
        return CellCounts(new, len(cells) - new - same, gone, same)

    def _find(self) -> list[StoredRun]:
        """All runs of this experiment that MLflow shows, the last started first."""
        found: list[StoredRun] = []
        for page in self.store.pages():
            self._check_time()  # a sick server may name a next page for ever
            found += page
        ours = {OWNER: self.owner}.items()
        return [run for run in found if KEY in run.tags and ours <= run.tags.items()]

    def _check_time(self) -> None:
        limit = GRACE + GRACE_PER_RUN * len(self.runs)
        if time.monotonic() > self.begun + limit:
            done, total = len(self.ids) - self.store.waiting, len(self.runs) + 1
            raise TimeoutError(f"too slow: {done} of {total} runs exported in {limit:.0f} s")

    def _keep(self, run: MlflowRun, live: StoredRun) -> None:
        """Leave a run as it is, but for the run above it, which may be new."""
        self.ids[run.key] = live.run_id
        if run.parent and live.tags.get(PARENT) != self.ids[run.parent]:
            self.store.flush()  # none shall hang under a run that is not there
            self.client.set_tag(live.run_id, PARENT, self.ids[run.parent])

    def _tags(self, run: MlflowRun) -> dict[str, str]:
        own = {OWNER: self.owner, KEY: run.key, DIGEST: run.digest, SOURCE: "prunebench"}
        return run.tags | own | ({PARENT: self.ids[run.parent]} if run.parent else {})

    # -- the run of the whole experiment ---------------------------------------------------------

    def _open_top(self, live: StoredRun | None) -> bool:
        """Create it, or open again the one that is there; return whether it is to be filled."""
        stored = self._stored(live.run_id) if live and self.whole else {}
        if live is None or stored.keys() - self.top.files.keys():  # MLflow takes no file away
            tags, name = self._tags(self.top), self.top.name
            made = self.client.create_run(self.experiment_id, self.now, tags, name)
            self.ids[self.top.key] = made.info.run_id
            return self.whole
        self.ids[self.top.key] = live.run_id
        if not self.whole:
            return False
        sizes = {name: path.stat().st_size for name, path in self.top.files.items()}
        if _is_right(live, self.top) and all(
            stored.get(name, -1) in (None, size) for name, size in sizes.items()
        ):
            return False
        self.client.update_run(live.run_id, "RUNNING")
        return True

    def _fill_top(self) -> None:
        from mlflow.entities import RunTag

        run_id = self.ids[self.top.key]
        for name, path in self.top.files.items():
            self._check_time()
            self.client.log_artifact(run_id, str(path), name.rpartition("/")[0] or None)
        self.client.log_batch(run_id, tags=[RunTag(*tag) for tag in self._tags(self.top).items()])
        self.client.set_terminated(run_id)

    def _stored(self, run_id: str, folder: str | None = None) -> dict[str, int | None]:
        """Files that MLflow holds of a run, by their path, with their bytes where it knows them."""
        found: dict[str, int | None] = {}
        for item in self.client.list_artifacts(run_id, folder):
            self._check_time()
            if folder and not item.path.startswith(f"{folder}/"):
                raise ValueError(f"it lists {shown(item.path)} in the folder {shown(folder)}")
            inside = self._stored(run_id, item.path) if item.is_dir else {item.path: item.file_size}
            found |= inside
        return found


def _key(live: StoredRun) -> str:
    return str(live.tags[KEY])


def _is_right(live: StoredRun, wanted: MlflowRun | None) -> bool:
    """Return whether a run is as it shall be: if not whole, it lacks its metrics, written last."""
    return (
        wanted is not None
        and live.status != "RUNNING"
        and live.tags.get(DIGEST, "") == wanted.digest
        and live.params == wanted.params.keys()
        and live.metrics == {name for name, _, _ in wanted.metrics}
    )
