"""Snakemake on the workflow that ships: many jobs side by side, on one machine or a cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.storage.shipped import SNAKEFILE, shipped

# options that say how much runs at once, in any of Snakemake's spellings
_PARALLEL = ("--cores", "-c", "--jobs", "-j", "--profile", "--executor", "-e")
# what this command gives itself
_GIVEN = ("--configfile", "--configfiles", "--snakefile", "-s")


def command(config: Path, options: Sequence[str] = ()) -> list[str]:
    """Return the command line with which Snakemake runs an experiment.

    Args:
        config: a configuration that was checked before.
        options: further ones of Snakemake's; without one that says how much runs at once, all cores
            are used.

    Raises:
        PrunebenchError: an option names another configuration or another workflow.
    """
    for option in options:
        if _is_one_of(option, _GIVEN):
            raise PrunebenchError(
                f"{option}: this command takes one configuration, as its argument, and the workflow"
                " that ships; `extends: base.yaml` in a configuration joins two"
            )
    cores = [] if any(_is_one_of(o, _PARALLEL) for o in options) else ["--cores", "all"]
    # the file with the configuration comes first: that option takes all that follows it
    given = ["--configfile", str(config), "--snakefile", str(shipped(SNAKEFILE))]
    return [sys.executable, "-m", "snakemake", *given, *cores, *options]


def _is_one_of(option: str, names: Sequence[str]) -> bool:
    """Whether an argument is one of some options: ``--cores=4`` and ``-c4`` are, too."""
    short = option[:2] if option.startswith("-") and not option.startswith("--") else option
    return short.partition("=")[0] in names
