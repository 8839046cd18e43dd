import math
import os
import re
import sys
from pathlib import Path
from shlex import quote

sys.path.insert(0, workflow.basedir)

from snakemake.exceptions import WorkflowError

from prunebench import config as settings
from prunebench import plan as planning
from prunebench import provenance
from prunebench.errors import PrunebenchError
from prunebench.identity import canonical
from prunebench.jobs import expected_epochs
from prunebench.pipeline import prepared

# Jobs run in the working directory, which need not be where the package stands. A function of the
# shell, not a parameter: moving the environment must not run anything again.
PYTHON = "python" if workflow.deployment_settings.deployment_method else sys.executable
shell.prefix(
    "set -euo pipefail; prunebench() {{"
    f' PYTHONPATH={quote(workflow.basedir)} {quote(PYTHON)} -m prunebench "$@"; }}}}; '
)

# for provenance.json; not parameters either: another command must not run anything again
os.environ.setdefault(provenance.COMMAND, provenance.command_line(sys.argv))
os.environ.setdefault(provenance.STARTED, provenance.now())


def read_experiment():
    """What --configfile and --config gave; the embedded default where no file was given."""
    if not workflow.configfiles:
        default = Path(workflow.basedir) / "config" / "default.yaml"
        return settings.parse(settings.read_yaml(default) | config, str(default))
    for file in workflow.configfiles:
        settings.read_yaml(
            file
        )  # Snakemake, which reads them too, overlooks keys given twice
    return settings.parse(dict(config), " + ".join(map(str, workflow.configfiles)))


try:
    PLAN = planning.Plan(read_experiment())
    PLAN.write()
except PrunebenchError as error:
    # not a WorkflowError, which Snakemake would show with a part of this file
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)

ROOT = PLAN.layout.root
CONFIG = str(PLAN.layout.config)
THREADS = PLAN.experiment.compute.threads
TASKS = {task.name: task for task in PLAN.experiment.tasks}


wildcard_constraints:
    task="|".join(map(re.escape, TASKS)),
    kind="baselines|curves",


def digest_of(kind):
    """What a job must compute, as one word: an edit of the configuration reruns only its jobs."""
    return lambda wildcards: PLAN.job_digest(PLAN.find(kind, wildcards.job))


def source_of(task):
    """What decides which files a download brings; as text, since the order of keys may differ."""
    return canonical(task.model_dump(include={"source", "dataset", "path"}))


def rule_name(name):
    """A name of the configuration as a name of a rule."""
    return re.sub(r"\W", "_", name)


def done(kind, jobs):
    """The files that say that jobs are done."""
    return [f"{ROOT}/jobs/{kind}/{job}.json" for job in jobs]


def baselines_of(kind):
    return lambda wildcards: done(
        "baselines", PLAN.baseline_jobs_of(PLAN.find(kind, wildcards.job))
    )


def curves_of(kind):
    return lambda wildcards: done(
        "curves", PLAN.curve_jobs_of(PLAN.find(kind, wildcards.job))
    )


def looks_of(wildcards):
    looks = PLAN.looks_of(PLAN.find(wildcards.kind, wildcards.job))
    return [f"{ROOT}/jobs/{kind}/{job}.json" for kind, job in looks]


def every_core():
    """All of this machine's; on a cluster, where none are counted, those that networks are given."""
    try:
        return workflow.cores
    except WorkflowError:
        return THREADS


def network_mb(wildcards, attempt):
    """Memory of a job that holds a network: 0.95 GB with the smoke grid's, 0.9 GB of it libraries."""
    return 2000 * 2 ** (attempt - 1)


# An epoch of what was measured took 1.4 s at most (results/reference, one thread); networks and data
# that take longer than a minute need --set-resources. A job that is cut off has twice the time when
# it is tried again, and goes on from its last finished cell.
MINUTES_PER_EPOCH = 1
START = 20  # minutes: imports, data, a slow file system
LOOK_MINUTES = 240


def minutes_of(kind):
    """How long the jobs of a rule that trains may take, from the epochs that they have to train."""

    def minutes(wildcards, attempt):
        job = PLAN.find(kind, wildcards.job)
        epochs = sum(
            (
                baseline.training.epochs
                if kind == "baselines"
                else expected_epochs(job.method, baseline.training)
                * len(PLAN.sparsities(job.method))
            )
            for baseline in job.baselines
        )
        return math.ceil(START + MINUTES_PER_EPOCH * epochs) * 2 ** (attempt - 1)

    return minutes


MEASURES = [
    str(path) for path in Path(workflow.basedir, "prunebench/measure").glob("*.py")
]


MEASURED = [
    f"{ROOT}/jobs/measures/{kind}/{job}.json"
    for kind, jobs in (("baselines", PLAN.baseline_jobs), ("curves", PLAN.curve_jobs))
    for job in jobs
]

REPORT = Path(workflow.basedir, "prunebench/report")
# how the records are judged is declared in the configuration: an edit judges them again
ANALYSIS = canonical(PLAN.experiment.analysis.model_dump())


def code_of(*names):
    """The source of statistics and of these modules or packages of the report."""
    places = [REPORT.with_name("statistics"), *(REPORT / name for name in names)]
    found = [
        path
        for place in places
        for path in ([place] if place.suffix else place.rglob("*.py"))
    ]
    return sorted(map(str, found))


def templates_of(name):
    return sorted(map(str, (REPORT / "templates").glob(f"{name}.*")))
