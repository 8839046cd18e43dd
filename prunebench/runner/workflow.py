"""Snakemake's arguments for the workflow that ships: many jobs at once, here or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.errors import PrunebenchError
from prunebench.storage.shipped import PROFILES, SNAKEFILE, shipped

CONFIGFILE = ("--configfile", "--configfiles")
# options that say how much runs at once
_PARALLEL = ("--cores", "-c", "--jobs", "-j", "--profile", "--executor", "-e")
# with which Snakemake counts: nothing runs, jobs speak elsewhere, or it was asked
_COUNTS = (
    "--dry-run",
    "--dryrun",
    "-n",
    "--profile",
    "--executor",
    "-e",
    "--quiet",
    "-q",
    "--verbose",
)
_PROFILE = "--workflow-profile"
_CONFIGURATION = (".yaml", ".yml", ".json")


def arguments(options: Sequence[str] = ()) -> list[str]:
    """Return the arguments with which Snakemake runs an experiment.

    Args:
        options: of Snakemake's; the first may be a configuration, without an option before it.
            Without an option that says how much runs at once, all cores are used.

    Raises:
        PrunebenchError: a configuration stands first, and an option names another.
    """
    config, rest = None, list(options)
    if rest and not rest[0].startswith("-") and rest[0].endswith(_CONFIGURATION):
        config = rest.pop(0)
        if any(_is_one_of(option, CONFIGFILE) for option in rest):
            raise PrunebenchError(
                f"{config} and --configfile: name one configuration; `extends: base.yaml` in it"
                " joins two"
            )
    cores = [] if any(_is_one_of(o, _PARALLEL) for o in rest) else ["--cores", "all"]
    # else Snakemake takes profiles/default of the current folder, and runs what it holds as Python
    named = any(_is_one_of(option, (_PROFILE,)) for option in rest)
    profile = [] if named else [_PROFILE, str(shipped(PROFILES) / "default")]
    # another option follows the configuration, which would take all words up to the next
    given = ["--configfile", config] if config else []
    # one counter: the jobs' own, of cells and of all that follows
    counts = any(_is_one_of(option, _COUNTS) for option in rest)
    quiet = [] if counts else ["--quiet", "rules", "host", "progress"]
    return [*given, "--snakefile", str(shipped(SNAKEFILE)), *profile, *cores, *quiet, *rest]


def _is_one_of(option: str, names: Sequence[str]) -> bool:
    """Whether an argument is one of some options: ``--cores=4`` and ``-c4`` are, too."""
    short = option[:2] if option.startswith("-") and not option.startswith("--") else option
    return short.partition("=")[0] in names
