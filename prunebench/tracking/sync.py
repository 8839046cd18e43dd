"""From the runs that MLflow has to those that it shall have, in an order that survives a kill."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from prunebench.storage.layout import Layout
from prunebench.text.progress_bars import watched
from prunebench.tracking.connect import NOTE, experiment_name
from prunebench.tracking.experiment_run import artifacts, description, experiment_digest
from prunebench.tracking.mlflow_runs import EXPERIMENT, EXPERIMENT_KEY, LEVEL, Run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Live

OWNER = "experiment"  # a server's experiment may hold runs of others
KEY = "prunebench.cell"
CONTENT = "prunebench.content"  # written last: a run without it is not whole
PARENT, SOURCE = "mlflow.parentRunId", "mlflow.source.name"
_BATCH, _SMALL_BATCH = 1000, 100  # MLflow's limits for metrics, and for parameters or tags
# An export that needs longer than this has a sick server; what is there stays, a repeat goes on.
GRACE, GRACE_PER_RUN = 60.0, 1.0  # seconds


class Done(NamedTuple):
    """Counts of cells' runs, baselines among them, curves not."""

    created: int
    replaced: int
    removed: int
    unchanged: int


class Sync:
    """One pass over one experiment."""

    def __init__(
        self, client: MlflowClient, experiment: str, layout: Layout, runs: Sequence[Run]
    ) -> None:
        self.client, self.experiment, self.layout, self.runs = client, experiment, layout, runs
        self.name = experiment_name(layout)
        self.limit = GRACE + GRACE_PER_RUN * len(runs)
        self.deadline = time.monotonic() + self.limit
        self.now = int(time.time() * 1000)
        self.files = artifacts(layout)
        self.ids: dict[str, str] = {}  # key -> id of the run that stays

    def run(self) -> Done:
        """Keep what is right, delete the rest, create what lacks; seal the experiment's run last.

        Raises TimeoutError when it takes far too long, and whatever MLflow raises.
        """
        kept, stale = self._sort_out()
        self._delete(stale)
        note = description(self.layout, self.runs, list(self.files))
        digest = experiment_digest(self.files, note)
        top = self._open(kept.pop(EXPERIMENT_KEY, None), digest)
        for number, run in enumerate(watched(self.runs, "to MLflow")):
            self._in_time(number)
            self.ids[run.key] = (
                self._keep(kept[run.key], run) if run.key in kept else self._create(run, number)
            )
        if top is not None:
            self._seal(top, note, digest)
        missing = {run.key for run in self.runs if run.key not in kept}
        if missing:
            self._delete_doubles()
        cells = {run.key for run in self.runs if run.is_cell}
        outdated = {live.data.tags.get(KEY, "") for live in stale if "sparsity" in live.data.tags}
        replaced = len(outdated & missing & cells)
        created = len(missing & cells) - replaced
        return Done(created, replaced, len(outdated - set(self.ids)), len(cells & set(kept)))

    # -- what is there ---------------------------------------------------------------------------

    def _live(self) -> list[Live]:
        """All runs of this experiment, whole or not."""
        found: list[Live] = []
        token = None
        while True:
            page = self.client.search_runs([self.experiment], max_results=1000, page_token=token)
            for run in page:
                if KEY in run.data.tags and run.data.tags.get(OWNER) == self.name:
                    found.append(run)
            token = page.token
            if not token:
                return found

    def _sort_out(self) -> tuple[dict[str, Live], list[Live]]:
        """Runs to keep, by key; and those to delete: outdated, doubled, gone or not whole."""
        wanted = {run.key: run.content for run in self.runs}
        kept: dict[str, Live] = {}
        stale: list[Live] = []
        for live in self._live():
            key = live.data.tags.get(KEY, "")
            content = live.data.tags.get(CONTENT)
            whole = live.info.status != "RUNNING" and content and content == wanted.get(key)
            if key not in kept and (whole or key == EXPERIMENT_KEY):
                kept[key] = live
            else:
                stale.append(live)
        return kept, stale

    def _delete(self, runs: Sequence[Live]) -> None:
        for number, live in enumerate(runs):
            self._in_time(number, "deleted")
            self.client.delete_run(live.info.run_id)

    def _delete_doubles(self) -> None:
        """A request that was answered too late was sent again, and may have made two runs."""
        ours = set(self.ids.values())
        self._delete([live for live in self._live() if live.info.run_id not in ours])

    def _in_time(self, number: int, what: str = "exported") -> None:
        if time.monotonic() > self.deadline:
            raise TimeoutError(
                f"too slow: {number} of {len(self.runs)} runs {what} in {self.limit:.0f} s"
            )

    # -- cells -----------------------------------------------------------------------------------

    def _keep(self, live: Live, run: Run) -> str:
        """Leave a run as it is, but for the run above it, which may be new."""
        parent = self.ids[run.parent] if run.parent else None
        if parent and live.data.tags.get(PARENT) != parent:
            self.client.set_tag(live.info.run_id, PARENT, parent)
        return str(live.info.run_id)

    def _create(self, run: Run, number: int) -> str:
        """Write one run; MLflow lists by start, the last first: so the table keeps its order."""
        from mlflow.entities import Metric, Param, RunTag

        start = self.now - number - 1
        tags = {**run.tags, OWNER: self.name, KEY: run.key, SOURCE: "prunebench"}
        if run.parent:
            tags[PARENT] = self.ids[run.parent]
        made = self.client.create_run(self.experiment, start, tags, run.name)
        run_id = str(made.info.run_id)
        metrics = [Metric(name, value, start, step) for name, value, step in run.metrics]
        params = [Param(name, value) for name, value in run.params.items()]
        while len(params) > _SMALL_BATCH:
            self.client.log_batch(run_id, params=params[:_SMALL_BATCH], synchronous=True)
            del params[:_SMALL_BATCH]
        room = _BATCH - len(params) - 1
        while len(metrics) > room:
            self.client.log_batch(run_id, metrics=metrics[:room], synchronous=True)
            del metrics[:room]
        done = [RunTag(CONTENT, run.content)]
        self.client.log_batch(run_id, metrics, params, done, synchronous=True)
        end = start + round(1000 * run.seconds)
        self.client.set_terminated(run_id, "FAILED" if run.failed else "FINISHED", end)
        return run_id

    # -- the experiment's own run ----------------------------------------------------------------

    def _open(self, live: Live | None, digest: str) -> str | None:
        """The run that all hang under; its id if it must be filled, None if it is right already.

        It is filled anew in place, so that its address stays, unless MLflow holds a file that
        is no more: artifacts cannot be taken away.
        """
        if live is not None:
            run_id = str(live.info.run_id)
            stored = self._stored(run_id)
            whole = live.info.status != "RUNNING" and live.data.tags.get(CONTENT) == digest
            whole = whole and all(
                stored.get(name, -1) in (None, path.stat().st_size)
                for name, path in self.files.items()
            )
            if whole or not set(stored) - set(self.files):
                self.ids[EXPERIMENT_KEY] = run_id
                if not whole:
                    self.client.set_tag(run_id, CONTENT, "")
                return None if whole else run_id
            self.client.delete_run(run_id)
        tags = {OWNER: self.name, KEY: EXPERIMENT_KEY, SOURCE: "prunebench", LEVEL: EXPERIMENT}
        name = f"{self.name}: the whole grid"
        made = self.client.create_run(self.experiment, self.now, tags, name)
        self.ids[EXPERIMENT_KEY] = str(made.info.run_id)
        return self.ids[EXPERIMENT_KEY]

    def _stored(self, run_id: str, folder: str | None = None) -> dict[str, int | None]:
        """Files that MLflow holds of a run, by their path, with their bytes where it knows them."""
        found: dict[str, int | None] = {}
        for item in self.client.list_artifacts(run_id, folder):
            inside = self._stored(run_id, item.path) if item.is_dir else {item.path: item.file_size}
            found |= inside
        return found

    def artifacts(self) -> list[Path]:
        """Where MLflow keeps the files of the experiment's run, if that is on this machine."""
        place = self.client.get_run(self.ids[EXPERIMENT_KEY]).info.artifact_uri or ""
        if not place.startswith("file:"):
            return []
        folder = Path(url2pathname(urlsplit(place).path))
        return [folder / name for name in self.files]

    def _seal(self, run_id: str, note: str, digest: str) -> None:
        for number, (name, path) in enumerate(self.files.items()):
            self._in_time(number, "uploaded")
            folder = name.rpartition("/")[0]
            self.client.log_artifact(run_id, str(path), folder or None)
        self.client.set_tag(run_id, NOTE, note)
        self.client.set_tag(run_id, CONTENT, digest)
        self.client.set_terminated(run_id)
