# Data: fetched once, turned into one verified file of tensors.


# nodes of a cluster often have no way out
localrules:
    download,


rule download:
    output:
        touch(f"{ROOT}/jobs/download/{{task}}.json"),
    log:
        f"{ROOT}/logs/download/{{task}}.log",
    retries: 3
    conda:
        "envs/prunebench.yaml"
    params:
        config=CONFIG,
        # a local path is never downloaded
        source=lambda wildcards: source_of(TASKS[wildcards.task]),
    shell:
        "prunebench download {params.config:q} {wildcards.task:q} 2> >(tee {log:q} >&2)"


for task in PLAN.experiment.tasks:

    rule:
        name:
            f"prepare_{rule_name(task.name)}"
        input:
            f"{ROOT}/jobs/download/{task.name}.json",
            own_data(task),
        output:
            # not the data: Snakemake removes outputs first, and others may train on them
            f"{ROOT}/jobs/prepare/{task.name}.json",
        log:
            f"{ROOT}/logs/prepare/{task.name}.log",
        conda:
            "envs/prunebench.yaml"
        resources:
            mem_mb=doubling(DATA_MB),
            runtime=doubling(START),
        params:
            config=CONFIG,
            task=task.name,
            data=prepared(task).name,
        shell:
            "prunebench prepare {params.config:q} {params.task:q} --output {output:q} 2> >(tee {log:q} >&2)"
