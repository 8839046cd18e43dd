"""Export of an experiment to MLflow: from its files only, by one writer, as often as wanted.

One MLflow experiment ``prunebench/<name>`` (or ``MLFLOW_EXPERIMENT_NAME``); in it one run for the
whole, with tables and figures; under it one per baseline; beside it one per curve, whose metrics
MLflow draws over sparsity; under each, one per cell. Apart from the first, a run is never changed:
other content replaces it. What a killed export leaves, the next one mends.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.storage.layout import Layout
from prunebench.tracking.connect import (
    artifact_root,
    connect,
    experiment_name,
    masked,
    one_line,
    open_experiment,
    patience,
    sqlite_path,
)
from prunebench.tracking.mlflow_runs import read_runs
from prunebench.tracking.sync import Sync


@dataclass(frozen=True)
class Exported:
    """What an export did: counts of cells' runs, baselines among them."""

    uri: str
    experiment: str
    created: int
    replaced: int
    removed: int
    unchanged: int
    seconds: float
    # of the store beside the results: the experiment's name in it, and its copies of the files
    beside: str | None = None
    files: tuple[Path, ...] = ()

    @property
    def total(self) -> int:
        """Cells that MLflow now shows."""
        return self.created + self.replaced + self.unchanged

    def __str__(self) -> str:
        done = {"new": self.created, "replaced": self.replaced, "removed": self.removed}
        what = ", ".join(f"{count} {word}" for word, count in done.items() if count)
        return (
            f"{self.total} cells in MLflow, experiment {self.experiment!r} at {masked(self.uri)} "
            f"({what or 'nothing new'}; {self.seconds:.0f} s)"
        )


def tracking_uri(layout: Layout) -> str:
    """``MLFLOW_TRACKING_URI``, else the SQLite file of all experiments beside this one.

    Raises PrunebenchError where no address can name that file.
    """
    if given := os.environ.get("MLFLOW_TRACKING_URI"):
        return given
    path = layout.database.resolve()
    # SQLAlchemy takes what follows for options, and decodes no "%3F": the file would lie elsewhere
    if "?" in str(path):
        raise PrunebenchError(
            f"cannot export to MLflow at {path}: its address may hold no '?'; rename the folder,"
            " or name another store with --uri or MLFLOW_TRACKING_URI"
        )
    return f"sqlite:///{path}"


def server_command(layout: Layout) -> str:
    """The command to run for a look at the runs; with a server of one's own, its address."""
    uri = tracking_uri(layout)
    if uri.startswith(("http:", "https:")):
        return masked(uri)
    if (path := sqlite_path(uri)) is not None and path.resolve().is_relative_to(Path.cwd()):
        uri = f"sqlite:///{path.resolve().relative_to(Path.cwd())}"
    program = Path(sys.executable).parent / "mlflow"
    known = shutil.which("mlflow")
    if program.exists() and not (known and Path(known).samefile(program)):
        # the environment is not activated; a pasted command shall work all the same
        with suppress(ValueError):
            program = program.relative_to(Path.cwd())
        return f"{shlex.quote(str(program))} ui --backend-store-uri {shlex.quote(uri)}"
    return f"mlflow ui --backend-store-uri {shlex.quote(uri)}"


def export(layout: Layout, uri: str | None = None) -> Exported:
    """Bring MLflow to what the files of an experiment say; a second export changes nothing.

    ``uri`` goes before ``MLFLOW_TRACKING_URI``, and that before the SQLite file of the results.
    Raises PrunebenchError where a file is missing or damaged, or MLflow cannot be reached or
    written, in bounded time; the same call made later completes what is there.
    """
    start = time.monotonic()
    runs = read_runs(layout)
    uri = uri or tracking_uri(layout)
    with patience(), one_line(layout, uri):
        ours = sqlite_path(uri) == layout.database.resolve()
        client = connect(uri, ours)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or f"prunebench/{experiment_name(layout)}"
        experiment = open_experiment(client, name, artifact_root(uri))
        sync = Sync(client, experiment, layout, runs)
        done = sync.run()
        files = _below(layout.artifacts, sync.artifacts()) if ours else ()
    seconds, beside = time.monotonic() - start, name if ours else None
    return Exported(uri, name, *done, seconds=seconds, beside=beside, files=files)


def _below(folder: Path, files: Sequence[Path]) -> tuple[Path, ...]:
    """The files that lie in ``folder``, their paths beginning with it as it is written."""
    here = folder.resolve()
    return tuple(folder / path.relative_to(here) for path in files if path.is_relative_to(here))
