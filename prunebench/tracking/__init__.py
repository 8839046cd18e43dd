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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.storage import mlflow_database
from prunebench.storage.layout import Layout
from prunebench.tracking.connect import (
    connect,
    open_experiment,
    quick_commits,
    reaching_mlflow,
    shown,
    sqlite_path,
)
from prunebench.tracking.database_runs import store_of
from prunebench.tracking.experiment_run import experiment_run
from prunebench.tracking.mlflow_export import CellCounts, RunSync
from prunebench.tracking.mlflow_runs import read_runs

_HERE = "http://127.0.0.1:5000"  # where ``mlflow ui`` answers


@dataclass(frozen=True)
class Exported:
    """Result of an export."""

    uri: str
    experiment: str  # its name in MLflow
    number: str  # the id of that
    cells: CellCounts
    seconds: float
    pages: bool = False  # whether tables, figures and pages were exported anew
    # of the store beside the results: the experiment's name in it, and its copies of the files
    beside: str | None = None
    files: tuple[Path, ...] = ()

    def __str__(self) -> str:
        created, replaced, removed, unchanged = self.cells
        done = {"new": created, "replaced": replaced, "removed": removed}
        what = ", ".join(
            [f"{count} {word}" for word, count in done.items() if count]
            + ["tables and figures"] * self.pages
        )
        return (
            f"{created + replaced + unchanged} cells in MLflow, experiment {self.experiment!r}"
            f" at {shown(self.uri)} ({what or 'nothing new'}; {self.seconds:.0f} s)"
        )


def tracking_uri(layout: Layout) -> str:
    """Return ``MLFLOW_TRACKING_URI``, else the SQLite file of all experiments beside this one.

    Args:
        layout: The folders of the experiment.

    Raises:
        PrunebenchError: No address can name that file.
    """
    if given := os.environ.get("MLFLOW_TRACKING_URI"):
        return given
    path = layout.database.resolve()
    unnamed = (
        # SQLAlchemy takes what follows for options, and decodes no "%3F": it would lie elsewhere
        ("its address", path, "?"),
        # MLflow writes it into a statement of SQL, whose text ends there
        ("the working directory", Path.cwd(), "'"),
    )
    for what, where, sign in unnamed:
        if sign in str(where):
            raise PrunebenchError(
                f"cannot export to MLflow at {path}: {what} may hold no {sign!r}; rename the"
                " folder, or name another store with --uri or MLFLOW_TRACKING_URI"
            )
    return f"sqlite:///{path}"


def exported(layout: Layout) -> bool:
    """Return whether there may be runs to look at: not where the store beside the results is none.

    Args:
        layout: The folders of the experiment.

    Raises:
        PrunebenchError: As ``tracking_uri``.
    """
    path = sqlite_path(tracking_uri(layout))
    return path is None or path.exists()


def server_command(layout: Layout) -> str:
    """Return the command to run for a look at the runs; with a server of one's own, its address.

    Args:
        layout: The folders of the experiment.

    Raises:
        PrunebenchError: As ``tracking_uri``.
    """
    uri = tracking_uri(layout)
    if uri.startswith(("http:", "https:")):
        return shown(uri)
    path = sqlite_path(uri)
    named = shlex.quote(uri)
    if path is None or uri != f"sqlite:///{path}":  # may hold a password
        named = '"$MLFLOW_TRACKING_URI"'
    elif path.resolve().is_relative_to(Path.cwd()):
        named = shlex.quote(f"sqlite:///{path.resolve().relative_to(Path.cwd())}")
    program = Path(sys.executable).parent / "mlflow"
    known = shutil.which("mlflow")
    if not program.exists() or (known and Path(known).samefile(program)):
        program = Path("mlflow")
    with suppress(ValueError):  # of an environment that is not activated: shorter where it can be
        program = program.relative_to(Path.cwd())
    return f"{shlex.quote(str(program))} ui --backend-store-uri {named}"


def _refuse_links(layout: Layout) -> None:
    """Refuse a store beside the results that lies elsewhere: it would be written there."""
    for path in (layout.database, layout.artifacts):
        if path.is_symlink():
            raise PrunebenchError(
                f"{path} is a symbolic link: nothing is written through it; remove it, or name the"
                " store itself with --uri or MLFLOW_TRACKING_URI"
            )


def _page(number: str) -> str:
    """Return the address, behind that of the server, of the runs as a classic experiment.

    MLflow opens on its pages for language models where nobody chose the others yet, whatever kind
    of experiment it holds.
    """
    return f"#/experiments/{number}/runs?workflowType=machine_learning"


def _name(layout: Layout) -> str:
    """The name of the experiment in MLflow."""
    named = os.environ.get("MLFLOW_EXPERIMENT_NAME")
    return named or f"prunebench/{layout.root.resolve().name}"


def where_to_look(layout: Layout) -> str:
    """Return how to see what was exported before: the server's command, and the runs' address.

    Args:
        layout: The folders of the experiment.

    Raises:
        PrunebenchError: As ``tracking_uri``.
    """
    command, path = server_command(layout), sqlite_path(tracking_uri(layout))
    number = mlflow_database.number_of(path, _name(layout)) if path else ""
    return f"{command}, then {_HERE}/{_page(number)}" if number else command


def way_to(layout: Layout, exported: Exported) -> str:
    """Return how to see what was exported: its address, with what starts a server of a database.

    Args:
        layout: The folders of the experiment.
        exported: What became of the export.
    """
    server, page = shown(exported.uri), _page(exported.number)
    if exported.uri.startswith(("http:", "https:")) and exported.uri.rstrip("/") == server:
        return f"{server}/{page}"
    if exported.uri == tracking_uri(layout) and sqlite_path(exported.uri) is not None:
        return f"{server_command(layout)}, then {_HERE}/{page}"
    return f"{page}, behind the server's address"


def export(layout: Layout, uri: str | None = None, whole: bool = True) -> Exported:
    """Bring MLflow to what the files of an experiment say; a second export changes nothing.

    Args:
        layout: The folders of the experiment.
        uri: The address of MLflow; before ``MLFLOW_TRACKING_URI``, and that before the SQLite file
            of the results.
        whole: Also the run of the whole experiment, with tables and figures; without it, that one
            is only opened, for the others to hang under, as long as the files are not there yet.

    Returns:
        What was done.

    Raises:
        PrunebenchError: A file is missing or damaged, the store beside the results is a link, or
            MLflow cannot be reached or written, in bounded time; the same call made later completes
            what is there.
    """
    start = time.monotonic()
    runs = read_runs(layout)
    top = experiment_run(layout, runs)
    uri, owner, name = uri or tracking_uri(layout), layout.root.resolve().name, _name(layout)
    files: tuple[Path, ...] = ()
    ours = sqlite_path(uri) == layout.database.resolve()
    if ours:
        _refuse_links(layout)
    with reaching_mlflow(layout, uri), quick_commits(ours):
        client = connect(uri, ours)
        number = open_experiment(client, name, uri)
        store, remote = store_of(client, number), sqlite_path(uri) is None
        sync = RunSync(client, store, number, owner, top, runs, remote, whole)
        cells = sync.apply()
        copies = Path(client.download_artifacts(sync.ids[top.key], "")) if ours and whole else None
        here = layout.artifacts.resolve()
        if copies and copies.is_relative_to(here):
            files = tuple(layout.artifacts / copies.relative_to(here) / file for file in top.files)
    return Exported(
        uri,
        name,
        number,
        cells,
        time.monotonic() - start,
        sync.filled,
        name if ours else None,
        files,
    )
