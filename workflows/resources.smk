import math

from snakemake.exceptions import WorkflowError

# What jobs take, for schedulers to pack: memory in MB, time in minutes. Peaks are of
# `/usr/bin/time -v`, the figures twice them or more. A job that was killed for lack of either has
# twice as much when it is tried again (--retries); --set-resources baselines:mem_mb=8000 says
# another figure for a rule.

NETWORK_MB = (
    2000  # smoke: 0.93 GB baselines, 0.95 curves, 0.98 probes; 0.9 of it libraries
)
DATA_MB = 2000  # CIFAR-10: 0.9 GB
MEASURE_MB = 200  # 60 MB
TABLE_MB = 1000  # 2,544 records: 0.31 GB figures, 0.25 track, 0.23 report, 0.21 tables

START = 20  # minutes: imports, data, a slow file system
LOOK = 240  # of all cells on some baselines, or all of a task
# an epoch of what was measured took 1.4 s at most (results/reference, one thread)
MINUTES_PER_EPOCH = 1


def doubling(figure):
    """A resource that doubles with each attempt."""
    return lambda wildcards, attempt: figure * 2 ** (attempt - 1)


def minutes_of(kind):
    """How long the jobs of a rule that trains may take, from the epochs that they train.

    A job that is cut off goes on from its last finished cell when it is tried again.
    """

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


def every_core():
    """All of this machine's; on a cluster, where none are counted, those that networks are given."""
    try:
        return workflow.cores
    except WorkflowError:
        return THREADS
