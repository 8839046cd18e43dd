import atexit
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from shlex import quote

from snakemake.settings.types import DeploymentMethod

# an installed package has this file within itself, and is found without help
CHECKOUT = (Path(workflow.basedir) / "prunebench").is_dir()
if CHECKOUT:
    sys.path.insert(0, workflow.basedir)

from prunebench.errors import PrunebenchError
from prunebench.experiment import config as settings
from prunebench.experiment import plan as planning
from prunebench.experiment import before_work, inheritance, reachable_p, sources
from prunebench.experiment.code_identity import code_hash, with_helpers
from prunebench.experiment.jobs import expected_epochs
from prunebench.experiment.prepared_data import prepared
from prunebench.experiment.strict_yaml import read_plain, read_yaml
from prunebench.runner import damaged_files, progress
from prunebench.runner.progress import failures
from prunebench.runner.warm_client import WARM
from prunebench.runner.watched import SUPERVISOR
from prunebench.storage import provenance
from prunebench.storage.hashing import canonical, digest
from prunebench.storage.layout import STEPS, rule_name
from prunebench.storage.lock import Lock


def refuse(why):
    """End here in a line: of a WorkflowError, Snakemake would show a part of this file."""
    print(f"error: {why}", file=sys.stderr)
    sys.exit(2)


if set("{}") & set(str(workflow.basedir)):
    refuse(
        f"{workflow.basedir}: Snakemake takes {{}} in a path for wildcards: move the checkout"
    )

if workflow.deployment_settings.deployment_method and not CHECKOUT:
    refuse("an environment of their own for jobs (conda, a container) needs a checkout")

# a dry run too writes there, and fails with a traceback where it cannot
NOTES = next(filter(Path.exists, (Path(".snakemake"), Path())))
if workflow.is_main_process and not os.access(NOTES, os.W_OK):
    refuse(
        f"cannot write {NOTES.resolve()}, where Snakemake keeps its notes: make it writable, or work"
        " in another folder with --directory"
    )

# Jobs run in the working directory, which need not be where the package stands. A function of the
# shell, not a parameter: moving the environment must not run anything again.
PYTHON = "python" if workflow.deployment_settings.deployment_method else sys.executable
FOUND_IN = f" PYTHONPATH={quote(workflow.basedir)}" if CHECKOUT else ""
shell.prefix(
    f"set -euo pipefail; prunebench() {{{{{FOUND_IN}"
    f' {quote(PYTHON)} -m prunebench "$@"; }}}}; '
)

# for provenance.json; not parameters either: another command must not run anything again
os.environ.setdefault(provenance.COMMAND, provenance.command_line(sys.argv))
os.environ.setdefault(provenance.STARTED, provenance.now())


def read_experiment():
    """What --configfile and --config gave; the embedded default where no file was given."""
    if not workflow.configfiles:
        default = Path(workflow.basedir) / "config" / "default.yaml"
        return settings.parse(read_yaml(default) | config, str(default))
    written = {}
    for file in workflow.configfiles:
        # Snakemake has read them by now, and run their templates: ``prunebench workflow`` refuses
        # these before. It also overlooks keys given twice.
        read_plain(file)
        written = inheritance.merged(written, inheritance.read(file).value)
    given = {key: value for key, value in config.items() if key != inheritance.EXTENDS}
    return settings.parse(
        inheritance.merged(written, given), " + ".join(map(str, workflow.configfiles))
    )


# Snakemake's own lock outlives a kill and must then be taken away by hand; this one does not.
# Jobs on other machines read this file too, while the one that sent them holds it.
BEGUN = time.time()
LOCK = None
try:
    PLAN = planning.Plan(read_experiment())
    if workflow.is_main_process:
        before_work.check(PLAN.experiment)
        print(reachable_p.Reach.of(PLAN.experiment).said(), file=sys.stderr)
    if workflow.is_main_process and not workflow.output_settings.dryrun:
        LOCK = Lock(PLAN.layout.root)
    # another command's settings are not to change under it, nor those of records by looking
    if LOCK.taken if LOCK else not PLAN.layout.config.exists():
        PLAN.write()
    if LOCK and LOCK.taken:
        if found := damaged_files.said(damaged_files.damaged(PLAN)):
            print(found, file=sys.stderr)
        progress.begin(PLAN, STEPS)
except (PrunebenchError, OSError) as error:
    refuse(error)

ROOT = PLAN.layout.root
CONFIG = str(PLAN.layout.config)
THREADS = PLAN.experiment.compute.threads
TASKS = {task.name: task for task in PLAN.experiment.tasks}


def work_alone():
    """End here where another command is at work on this experiment, or nothing can be written."""
    try:
        LOCK.require()
    except PrunebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        os._exit(2)  # Snakemake would show a traceback


def offer_warm_processes():
    """Let jobs on this machine run in processes that have loaded their libraries already.

    And end with this process, also where it is killed: the same command may start again at once.
    """
    methods = workflow.deployment_settings.deployment_method
    # a container may have process ids of its own
    if not workflow.local_exec or DeploymentMethod.APPTAINER in methods:
        return
    os.environ[SUPERVISOR] = str(os.getpid())
    if methods:
        return
    folder = tempfile.mkdtemp(prefix="prunebench-warm-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[WARM] = f"{os.getpid()}:{folder}"


wildcard_constraints:
    task="|".join(map(re.escape, TASKS)),


def digest_of(kind):
    """What a job must compute, as one word: an edit of the configuration reruns only its jobs."""
    return lambda wildcards: PLAN.job_digest(PLAN.find(kind, wildcards.job))


def as_inputs(paths):
    """Paths of the user's as a rule's inputs, in which Snakemake would see wildcards."""
    for path in paths:
        if set("{}") & set(path):
            refuse(f"{path}: Snakemake takes {{}} in a path for wildcards: rename it")
    return paths


def source_of(task):
    """What decides which files a download brings; as text, since the order of keys may differ."""
    later = {"hub"} if task.hub else set()
    return canonical(task.model_dump(include={"source", "dataset", "path", *later}))


def own_data(task):
    """The files behind data of one's own: a function's with all that it imports, or arrays."""
    local = Path(task.local or "")
    if task.source != "own":
        return []
    found = with_helpers([local]) if local.suffix == ".py" else [local]
    return as_inputs([str(path) for path in found])


def done(kind, jobs):
    """The files that say that jobs are done."""
    return [f"{ROOT}/jobs/{kind}/{job}.json" for job in jobs]


def data_of(kind):
    """The data of a job's task: to be there. Once they change, so do the baselines."""
    return lambda wildcards: ancient(
        done("prepare", [PLAN.find(kind, wildcards.job).task.name])
    )


def channels_of(kind):
    """The measured multiple of channels of a job's networks, where that is asked for."""
    if not PLAN.experiment.probes.finds_channels:
        return []
    return lambda wildcards: done(
        "channels", [PLAN.find(kind, wildcards.job).task.name]
    )


def baselines_of(kind):
    return lambda wildcards: done(
        "baselines", PLAN.baseline_jobs_of(PLAN.find(kind, wildcards.job))
    )


def curves_of(kind):
    return lambda wildcards: done(
        "curves", PLAN.curve_jobs_of(PLAN.find(kind, wildcards.job))
    )


def network_jobs_of(wildcards):
    found = PLAN.network_jobs_of(PLAN.find("measures", wildcards.job))
    return [f"{ROOT}/jobs/{kind}/{job}.json" for kind, job in found]


# The code of jobs that there are many of is a parameter, as in ``digest_of``: source files as inputs
# of each would make a dry run of a large grid take half as long again.
MEASURES = code_hash(PLAN.measure_sources())


MEASURED = done("measures", PLAN.measure_jobs)

# how the records are judged is declared in the configuration: an edit judges them again
ANALYSIS = canonical(PLAN.experiment.analysis.model_dump())


# figures of one's own, with what they import
OWN_FIGURES = as_inputs([str(path) for path in PLAN.figure_sources()])


# what others published and was imported beside the records: a new import is shown at once
PUBLISHED = as_inputs(sorted(map(str, PLAN.layout.published.glob("*.csv"))))


def code_of(output):
    """The code and the templates that an output of the records stands on."""
    return [str(path) for path in sources.paths(sources.OUTPUTS[output])]
