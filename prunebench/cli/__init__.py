"""The command line: one subcommand per rule of the workflow, and a few for people. No logic.

Exit status: 0 done, 1 a check that says no (``verify``, ``submit check``, ``compare``,
``check-files``) or a bug (with a traceback), 2 something that the user can mend (one line says
what).
"""

from __future__ import annotations

import sys

# each of these files registers its commands
from prunebench.cli import (  # noqa: F401
    analyse_command,
    catalog_commands,
    export_command,
    job_commands,
    published_commands,
    results_commands,
    submit_command,
    verify_command,
)
from prunebench.cli.app import app
from prunebench.errors import PrunebenchError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; a PrunebenchError is one line and exit status 2."""
    try:
        app()
    except PrunebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
