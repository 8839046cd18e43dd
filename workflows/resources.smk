import math

from snakemake.exceptions import WorkflowError

# What jobs take, for schedulers to pack: memory in MB, time in minutes. Peaks are of
# `/usr/bin/time -v`, the figures twice them or nearly; on a cluster two processes of Snakemake stand
# beside each job, 0.19 GB each, with 20,000 curves too. A job that was killed for lack of either has
# twice as much when it is tried again (--retries); --set-resources baselines:mem_mb=8000 says
# another figure for a rule.

# CIFAR-10: 1.4 GB ResNet-20, 2.0 ResNet-18. smoke: 0.93 GB baselines, 0.95 curves, 1.1 probes (with
# quantized) and latencies (with compile); 0.9 of it libraries
NETWORK_MB = 4000
DATA_MB = 2000  # CIFAR-10: 0.9 GB
MEASURE_MB = 900  # 60 MB, and Snakemake
# What reads all records. 2,544: 0.31 GB figures, 0.25 track, 0.23 report, 0.21 tables; 6,060: 0.49
# kit; 14,140: 0.50 figures; 100,000: 1.7 leaderboard, 1.4 collect; and 0.1 for every 100,000 layers
TABLE_MB = 1400 + 0.03 * PLAN.cell_count

START = 20  # minutes: imports, data, a slow file system
LOOK = 240  # of all cells on some baselines, or all of a task
# an epoch of what was measured took 1.4 s at most (results/reference, one thread)
MINUTES_PER_EPOCH = 1
# 6,060 records: 2.2 minutes kit, 1.7 figures, 0.4 tables
TABLE = START + 0.001 * PLAN.cell_count


def doubling(figure):
    """A resource that doubles with each attempt."""
    return lambda wildcards, attempt: math.ceil(figure) * 2 ** (attempt - 1)


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
