"""Reaching MLflow: a database that is whole, waiting times that end, errors of one line."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError
from prunebench.storage import mlflow_database
from prunebench.storage.files import unused
from prunebench.storage.layout import Layout
from prunebench.text.private import address, without_secrets
from prunebench.tracking.mlflow_runs import NOTE

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ROOT = "prunebench.artifacts"  # tag of an experiment made here: the place of its artifacts
# MLflow's own defaults wait for many minutes, and send usage statistics over the network
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# only its first line is seen before a click
_ABOUT = """`... the whole grid` holds tables, figures and leaderboard; beside it stands one run \
per curve, over its cells. If `Runs` is not in the menu, switch to *Model training*.

- **Error over sparsity:** chart view, filter `tags.level = 'curve'`, section *curve*; the step is \
the compression in hundredths (100 is dense, 200 is 2× or 50 % sparsity, 1000 is 10× or 90 %); \
a chart's menu has a logarithmic axis. *Group by* the tag `method` draws means over all runs. \
*Load more* if runs are missing.
- **Filter:** `tags.regime = 'noisy-40' and tags.model = 'seed-cnn'`; also `task`, `method`, \
`family`, `seed`, `sparsity`, `status`, `level` (experiment, baseline, curve, cell); \
`metrics.test_error < 0.1`.
- **Training curves:** `history/...` of a baseline or cell; the step is the epoch.
- *Duration* is the seconds of training and pruning, *Created* the time of the export.
- Made by `python -m prunebench track`, which replaces what is changed by hand here.
"""


def shown(uri: str) -> str:
    """Return an address as people may see it: of a file of SQLite its path, else its host."""
    path = sqlite_path(uri)
    return address(uri) if path is None else f"sqlite:///{path}"


@contextmanager
def reaching_mlflow(layout: Layout, uri: str) -> Iterator[None]:
    """Wait no longer than a person bears, and tell what fails in one line, with the way out.

    Args:
        layout: The folders of the experiment that is exported.
        uri: Where it is exported to.

    Raises:
        PrunebenchError: For whatever MLflow, the database or the network raise.
    """
    missing = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
    os.environ.update(missing)  # what the user set goes before
    level = logging.root.manager.disable
    logging.disable()  # MLflow, alembic and urllib3 say twice what the error says once
    from google.protobuf.json_format import Error as ProtobufError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # the last ones where a server answers something else than MLflow does
    faults = (
        MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError, ProtobufError,
        ValueError, TypeError, AttributeError, LookupError,
        OverflowError,  # of protobuf, for an infinite status
        SystemError,  # of protobuf, for half a character in a name
    )  # fmt: skip
    try:
        yield
    except PrunebenchError:
        raise
    except faults as error:
        text = str(error)
        # urllib3 wraps the cause in three layers of its own
        cause = re.search(r"Caused by \w+\([\"'](.*)[\"']\)", text)
        text = re.sub(r"HTTPS?Connection\w*\([^)]*\):? *", "", cause.group(1) if cause else text)
        lines = text.strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        if sqlite_path(uri) is None:  # before it is cut: half a password is one, too
            reason = without_secrets(reason, uri)
        reason = reason[:300]
        raise PrunebenchError(
            f"cannot export to MLflow at {shown(uri)}: {reason}; nothing is lost, "
            f"repeat with: python -m prunebench track {shlex.quote(str(layout.root))}"
        ) from error
    finally:
        logging.disable(level)
        for name in missing:
            os.environ.pop(name, None)


@contextmanager
def quick_commits(ours: bool) -> Iterator[None]:
    """Let SQLite hand its commits to the system without waiting for the disk.

    MLflow commits once or more for each run that its client changes, deletes or writes. A process
    that is killed loses nothing by it; a power cut may damage the file, which is then put aside and
    made again.

    Args:
        ours: whether the store is the file beside the results, which can be made again. Other
            stores wait for the disk.
    """
    if not ours:
        yield
        return
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _do_not_wait)
    try:
        yield
    finally:
        event.remove(Engine, "connect", _do_not_wait)


def _do_not_wait(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite address; None for other addresses and for memory."""
    match = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", uri)
    return Path(match.group(1)) if match and match.group(1) != ":memory:" else None


def connect(uri: str, ours: bool) -> MlflowClient:
    """Return a client; of SQLite, the file is whole, has its schema, and can be written.

    Args:
        uri: The address of the store.
        ours: Whether it is the file beside the results. Damaged, that one is put aside and a new
            one made: it holds nothing that another export could not bring back.

    Raises:
        sqlite3.Error: A file cannot be read or written; it is left as it is.
    """
    from mlflow import MlflowClient

    if (path := sqlite_path(uri)) is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and (fault := mlflow_database.fault(path, strict=True)):
            if not ours:
                raise sqlite3.DatabaseError(f"{fault}; move it away and a new one is made")
            _put_aside(path, fault)
        if not path.exists():
            _create_database(path)
        # MLflow itself tries ten times for two minutes where it cannot write
        with closing(sqlite3.connect(path, timeout=20)) as opened:
            opened.execute("BEGIN IMMEDIATE")
            opened.rollback()
    return MlflowClient(tracking_uri=uri)


def _put_aside(path: Path, fault: str) -> None:
    """Keep a damaged file, beside any that were kept before, with what SQLite mends it by."""
    kept = unused(path.with_name(f"{path.name}.damaged"), "-")
    # They would harm a new file of the old name, so they go first: killed after that, the next
    # export finds the name of the kept one still free, and brings the file to them.
    for ending in ("-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}{ending}").replace(kept.with_name(f"{kept.name}{ending}"))
    path.replace(kept)
    print(
        f"warning: {path} is damaged ({fault}): put aside as {kept.name}; a new one is made. The"
        " other experiments come back with: python -m prunebench track results/<experiment>",
        file=sys.stderr,
    )


def _create_database(path: Path) -> None:
    """Make the schema aside: killed halfway, its migrations cannot be taken up again."""
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory(prefix=".mlflow-", dir=path.parent) as folder:
        fresh = Path(folder) / path.name
        MlflowClient(tracking_uri=f"sqlite:///{fresh}").search_experiments(max_results=1)
        try:
            os.link(fresh, path)  # unlike a rename, never over what another export has begun
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            fresh.rename(path)


def open_experiment(client: MlflowClient, name: str, uri: str) -> str:
    """Return the id of the MLflow experiment, made or restored where need be.

    Args:
        client: Reaches MLflow.
        name: The name of the experiment in MLflow.
        uri: The address of the store: beside a SQLite file lie its artifacts; a server itself
            knows where.
    """
    path = sqlite_path(uri)
    root = (path.resolve().parent / "mlartifacts").as_uri() if path else None
    if found := client.get_experiment_by_name(name):
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        if found.tags.get(_ROOT, root) == root:
            return str(found.experiment_id)
        # the results were moved or copied: writing to the old place would harm its owner
        client.rename_experiment(found.experiment_id, f"{name} until {time.time():.0f}")
        client.delete_experiment(found.experiment_id)
    tags = {"mlflow.experimentKind": "custom_model_development", NOTE: _ABOUT}
    tags |= {_ROOT: root} if root else {}
    return str(client.create_experiment(name, artifact_location=root, tags=tags))
