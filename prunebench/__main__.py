"""``python -m prunebench``."""

import sys

from prunebench.runner.warm_client import run_warm

status = run_warm(sys.argv[1:])
if status is not None:
    sys.exit(status)

from prunebench.cli import main  # noqa: E402 - it takes a second, which a warm process saves

main()
