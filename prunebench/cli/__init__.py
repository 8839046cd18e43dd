"""The command line: one command for each rule of the workflow, and some for people. No logic.

``app.EXITS`` lists the exit statuses.
"""

from __future__ import annotations

# each of these files registers its commands
from prunebench.cli import (  # noqa: F401
    analyse_command,
    catalog_commands,
    compress_command,
    export_command,
    init_command,
    job_commands,
    page_commands,
    published_commands,
    race_command,
    results_commands,
    run_command,
    submit_command,
    track_commands,
    verify_command,
    workflow_command,
)
from prunebench.cli.app import app, main

__all__ = ["app", "main"]
