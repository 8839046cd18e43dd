"""The command line: one command for each rule of the workflow, and some for people. No logic.

``app.EXITS`` lists the exit statuses.
"""

from __future__ import annotations

import sys

# each of these files registers its commands
from prunebench.cli import (  # noqa: F401
    analyse_command,
    catalog_commands,
    compress_command,
    export_command,
    init_command,
    job_commands,
    published_commands,
    race_command,
    results_commands,
    submit_command,
    verify_command,
    workflow_command,
)
from prunebench.cli.app import app
from prunebench.errors import PrunebenchError, printable

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line.

    A PrunebenchError is printed as one line, with exit status 2, and so is an error of the system:
    a file of another user's, a full disk. This is its one door out.
    """
    try:
        app()
    except OSError as error:
        where = printable(str(error.filename or "a file or the network"))
        print(f"error: {where}: {error.strerror or printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except PrunebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
