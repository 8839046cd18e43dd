"""``python -m prunebench``, and the program ``prunebench``."""

from __future__ import annotations

import sys

from prunebench.runner.warm_client import run_warm
from prunebench.runner.watched import watched


def main() -> None:
    """Run the command line, watched over: in a warm process where there is one, else in a child."""
    status = run_warm(sys.argv[1:])
    sys.exit(watched(_command_line) if status is None else status)


def _command_line() -> None:
    from prunebench import cli  # it takes a second, which a warm process saves

    cli.main()


if __name__ == "__main__":
    main()
