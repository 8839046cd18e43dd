# What people read: from cells.csv alone.


# one machine writes MLflow's database: two on a shared file system harm it where its locks fail, and
# nodes of a cluster often have no way out to a server
localrules:
    track_cells,
    track,


rule tables:
    input:
        cells=rules.collect.output,
        published=PUBLISHED,
        code=code_of("tables"),
    output:
        report(
            str(PLAN.layout.tables / "generalization.csv"),
            caption="captions/generalization.rst",
            category="Tables",
            labels={"table": "generalization"},
        ),
        report(
            str(PLAN.layout.tables / "compression.csv"),
            caption="captions/compression.rst",
            category="Tables",
            labels={"table": "compression and cost"},
        ),
    log:
        f"{ROOT}/logs/tables.log",
    conda:
        "envs/prunebench.yaml"
    resources:
        mem_mb=doubling(TABLE_MB),
        runtime=doubling(TABLE),
    params:
        root=ROOT,
    shell:
        "prunebench tables {params.root:q} 2> >(tee {log:q} >&2)"


rule figures:
    input:
        cells=rules.collect.output,
        published=PUBLISHED,
        code=code_of("figures") + OWN_FIGURES,
    output:
        report(
            directory(str(PLAN.layout.figures)),
            patterns=["{figure}.png"],
            caption="captions/figures.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{ROOT}/logs/figures.log",
    conda:
        "envs/prunebench.yaml"
    resources:
        mem_mb=doubling(TABLE_MB),
        runtime=doubling(TABLE),
    params:
        root=ROOT,
        analysis=ANALYSIS,
        own=canonical(PLAN.experiment.report.figures),
    shell:
        "prunebench figures {params.root:q} --trust-code 2> >(tee {log:q} >&2)"


rule leaderboard:
    input:
        cells=rules.collect.output,
        published=PUBLISHED,
        figures=rules.figures.output,
        code=code_of("leaderboard"),
    output:
        html=report(
            str(PLAN.layout.leaderboard("html")),
            caption="captions/leaderboard.rst",
            category="Answers",
            labels={"page": "leaderboard"},
        ),
        rest=[str(PLAN.layout.leaderboard(kind)) for kind in ("md", "csv")],
    log:
        f"{ROOT}/logs/leaderboard.log",
    conda:
        "envs/prunebench.yaml"
    resources:
        mem_mb=doubling(TABLE_MB),
        runtime=doubling(TABLE),
    params:
        root=ROOT,
        analysis=ANALYSIS,
    shell:
        "prunebench leaderboard {params.root:q} 2> >(tee {log:q} >&2)"


rule report:
    input:
        cells=rules.collect.output,
        published=PUBLISHED,
        figures=rules.figures.output,
        code=code_of("report"),
    output:
        html=report(
            str(PLAN.layout.report("html")),
            caption="captions/report.rst",
            category="Answers",
            labels={"page": "report"},
        ),
        md=str(PLAN.layout.report("md")),
    log:
        f"{ROOT}/logs/report.log",
    conda:
        "envs/prunebench.yaml"
    resources:
        mem_mb=doubling(TABLE_MB),
        runtime=doubling(TABLE),
    params:
        root=ROOT,
        analysis=ANALYSIS,
    shell:
        "prunebench report {params.root:q} 2> >(tee {log:q} >&2)"


rule kit:
    input:
        cells=rules.collect.output,
        published=PUBLISHED,
        tables=rules.tables.output,
        code=code_of("kit"),
    output:
        figures=directory(f"{ROOT}/paper/figures"),
        rest=[
            f"{ROOT}/paper/{name}"
            for name in (
                "macros.tex",
                "methods.tex",
                "measures.tex",
                "methods.md",
                "methods.bib",
                "paper.tex",
            )
        ],
    log:
        f"{ROOT}/logs/kit.log",
    conda:
        "envs/prunebench.yaml"
    resources:
        mem_mb=doubling(TABLE_MB),
        runtime=doubling(TABLE),
    params:
        root=ROOT,
        # a function: in a text, Snakemake would take a path's {braces} for a wildcard
        experiment=lambda wildcards: canonical(PLAN.experiment.model_dump(mode="json")),
    shell:
        "prunebench paper {params.root:q} 2> >(tee {log:q} >&2)"


rule crate:
    input:
        rules.collect.output,
        rules.tables.output,
        rules.figures.output,
        rules.leaderboard.output,
        rules.report.output,
        code=code_of("crate"),
    output:
        str(PLAN.layout.crate),
    log:
        f"{ROOT}/logs/crate.log",
    conda:
        "envs/prunebench.yaml"
    resources:
        mem_mb=doubling(TABLE_MB),
        runtime=doubling(TABLE),
    params:
        root=ROOT,
    shell:
        "prunebench ro-crate {params.root:q} 2> >(tee {log:q} >&2)"


# the runs of cells, which take longest, beside the tables and figures; a server that cannot be
# reached is tried again by the other rule, which says so
rule track_cells:
    input:
        rules.collect.output,
    output:
        f"{ROOT}/jobs/track-cells.json",
    log:
        f"{ROOT}/logs/track-cells.log",
    priority: 1
    conda:
        "envs/prunebench.yaml"
    resources:
        mem_mb=doubling(TABLE_MB),
        runtime=doubling(TABLE),
    params:
        root=ROOT,
    shell:
        "prunebench track-cells {params.root:q} --output {output:q} 2> >(tee {log:q} >&2)"


rule track:
    input:
        rules.track_cells.output,
        rules.collect.output,
        rules.tables.output,
        rules.figures.output,
        rules.leaderboard.output,
        rules.report.output,
    output:
        f"{ROOT}/jobs/track.json",
    log:
        f"{ROOT}/logs/track.log",
    conda:
        "envs/prunebench.yaml"
    resources:
        mem_mb=doubling(TABLE_MB),
        runtime=doubling(TABLE),
    params:
        root=ROOT,
    shell:
        "prunebench track {params.root:q} --output {output:q} 2> >(tee {log:q} >&2)"
