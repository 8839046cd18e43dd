# The grid: baselines, curves on them, and the measures of both.


rule baselines:
    input:
        # of every task: each job builds all models for all tasks before it trains
        data=done("prepare", TASKS),
    output:
        f"{ROOT}/jobs/baselines/{{job}}.json",
    log:
        f"{ROOT}/logs/baselines/{{job}}.log",
    conda:
        "envs/prunebench.yaml"
    threads: THREADS
    resources:
        gpu=PLAN.gpus_per_job,
        mem_mb=doubling(NETWORK_MB),
        runtime=minutes_of("baselines"),
    params:
        config=CONFIG,
        digest=digest_of("baselines"),
    shell:
        "prunebench baselines {params.config:q} {wildcards.job:q} --output {output:q}"
        " 2> >(tee {log:q} >&2)"


rule channels:
    input:
        data=lambda wildcards: ancient(done("prepare", [wildcards.task])),
        code=[str(path) for path in PLAN.latency_sources()],
    output:
        f"{ROOT}/jobs/channels/{{task}}.json",
    log:
        f"{ROOT}/logs/channels/{{task}}.log",
    conda:
        "envs/prunebench.yaml"
    # as ``latencies``: it runs alone
    threads: every_core()
    resources:
        gpu=PLAN.gpus_per_job,
        mem_mb=doubling(NETWORK_MB),
        runtime=doubling(LOOK),
        slurm_extra="--exclusive",
    params:
        config=CONFIG,
        networks=canonical(
            [model.model_dump() for model in PLAN.experiment.models]
            + sorted({regime.width for regime in PLAN.experiment.regimes})
        ),
        latency=canonical(PLAN.experiment.latency.model_dump()),
    shell:
        "prunebench channels {params.config:q} {wildcards.task:q} 2> >(tee {log:q} >&2)"


# a rule for each method, so that the longest can start first and none is left alone at the end
for method in PLAN.experiment.methods:

    rule:
        name:
            f"curves_{rule_name(method.name)}"
        input:
            data=data_of("curves"),
            channels=channels_of("curves"),
            baselines=baselines_of("curves"),
        output:
            f"{ROOT}/jobs/curves/{{job}}.json",
        log:
            f"{ROOT}/logs/curves/{{job}}.log",
        wildcard_constraints:
            # not each job's name: Snakemake reads the pattern again for each file of each job
            job=re.escape(method.name) + "@.+",
        priority: round(expected_epochs(method, PLAN.experiment.training))
        conda:
            "envs/prunebench.yaml"
        threads: THREADS
        resources:
            gpu=PLAN.gpus_per_job,
            mem_mb=doubling(NETWORK_MB),
            runtime=minutes_of("curves"),
        params:
            config=CONFIG,
            digest=digest_of("curves"),
        shell:
            "prunebench curves {params.config:q} {wildcards.job:q} --output {output:q}"
            " 2> >(tee {log:q} >&2)"


rule probes:
    input:
        data=data_of("probes"),
        channels=channels_of("probes"),
        baselines=baselines_of("probes"),
        curves=curves_of("probes"),
        code=[
            str(path) for path in (*PLAN.probe_sources(), *PLAN.sensitivity_sources())
        ],
    output:
        f"{ROOT}/jobs/probes/{{job}}.json",
    log:
        f"{ROOT}/logs/probes/{{job}}.log",
    conda:
        "envs/prunebench.yaml"
    threads: THREADS
    resources:
        gpu=PLAN.gpus_per_job,
        mem_mb=doubling(NETWORK_MB),
        runtime=doubling(LOOK),
    params:
        config=CONFIG,
        probes=canonical(PLAN.experiment.probes.settings()),
    shell:
        "prunebench probes {params.config:q} {wildcards.job:q} --output {output:q}"
        " 2> >(tee {log:q} >&2)"


rule latencies:
    input:
        data=data_of("latencies"),
        channels=channels_of("latencies"),
        baselines=baselines_of("latencies"),
        curves=curves_of("latencies"),
        # nothing that computes may run beside
        probes=done("probes", PLAN.probe_jobs),
        code=[str(path) for path in PLAN.latency_sources()],
    output:
        f"{ROOT}/jobs/latencies/{{job}}.json",
    log:
        f"{ROOT}/logs/latencies/{{job}}.log",
    conda:
        "envs/prunebench.yaml"
    # all of them, whatever the networks are given: the rule runs alone
    threads: every_core()
    resources:
        gpu=PLAN.gpus_per_job,
        mem_mb=doubling(NETWORK_MB),
        runtime=doubling(LOOK),
        # and of its node, where Slurm gives one
        slurm_extra="--exclusive",
    params:
        config=CONFIG,
        latency=canonical(PLAN.experiment.latency.model_dump()),
    shell:
        "prunebench latencies {params.config:q} {wildcards.job:q} --output {output:q}"
        " 2> >(tee {log:q} >&2)"


rule measure:
    input:
        baselines=baselines_of("measures"),
        curves=curves_of("measures"),
        networks=network_jobs_of,
    output:
        f"{ROOT}/jobs/measures/{{job}}.json",
    log:
        f"{ROOT}/logs/measures/{{job}}.log",
    conda:
        "envs/prunebench.yaml"
    resources:
        mem_mb=doubling(MEASURE_MB),
        runtime=doubling(START),
    params:
        config=CONFIG,
        code=MEASURES,
        # once rows are written, the job removes what is not kept
        keep=PLAN.experiment.compute.keep,
    shell:
        "prunebench measure {params.config:q} {wildcards.job:q} --output {output:q}"
        " 2> >(tee {log:q} >&2)"


rule collect:
    input:
        MEASURED,
    output:
        str(PLAN.layout.cells_csv),
        str(PLAN.layout.provenance),
        directory(str(PLAN.layout.workflow)),
    log:
        f"{ROOT}/logs/collect.log",
    conda:
        "envs/prunebench.yaml"
    resources:
        mem_mb=doubling(TABLE_MB),
        runtime=doubling(TABLE),
    params:
        config=CONFIG,
        # provenance.json names the configuration, also what no record stands on
        experiment=digest(PLAN.experiment.model_dump(mode="json")),
        # thousands of paths do not fit on a command line
        measured=f"{ROOT}/jobs/measured.txt",
    shell:
        "printf '%s\\n' {input:q} > {params.measured:q};"
        " prunebench collect {params.config:q} {params.measured:q} 2> >(tee {log:q} >&2)"
