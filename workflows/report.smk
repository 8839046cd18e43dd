# What people read: from cells.csv alone.

STATISTICS = [
    str(path) for path in Path(workflow.basedir, "prunebench/statistics").glob("*.py")
]
REPORT = f"{workflow.basedir}/prunebench/report"


rule tables:
    input:
        cells=rules.collect.output,
        code=[*STATISTICS, f"{REPORT}/tables.py", f"{REPORT}/markup.py"],
    output:
        report(
            expand(
                str(PLAN.layout.tables / "{table}.csv"),
                table=["generalization", "compression"],
            ),
            caption="captions/tables.rst",
            category="Tables",
        ),
    log:
        f"{ROOT}/logs/tables.log",
    conda:
        "envs/prunebench.yaml"
    params:
        root=ROOT,
    shell:
        "prunebench tables {params.root:q} 2> >(tee {log:q} >&2)"


rule figures:
    input:
        cells=rules.collect.output,
        code=[*STATISTICS, f"{REPORT}/figures.py", f"{REPORT}/style.py"],
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
    params:
        root=ROOT,
    shell:
        "prunebench figures {params.root:q} 2> >(tee {log:q} >&2)"


rule leaderboard:
    input:
        cells=rules.collect.output,
        figures=rules.figures.output,
        code=[*STATISTICS, f"{REPORT}/leaderboard.py", f"{REPORT}/board.py"],
        templates=[str(path) for path in Path(REPORT, "templates").iterdir()],
    output:
        html=report(
            str(PLAN.layout.leaderboard("html")),
            caption="captions/leaderboard.rst",
            category="Leaderboard",
        ),
        rest=[str(PLAN.layout.leaderboard(kind)) for kind in ("md", "csv")],
    log:
        f"{ROOT}/logs/leaderboard.log",
    conda:
        "envs/prunebench.yaml"
    params:
        root=ROOT,
    shell:
        "prunebench leaderboard {params.root:q} 2> >(tee {log:q} >&2)"


rule track:
    input:
        rules.collect.output,
        rules.tables.output,
        rules.figures.output,
        rules.leaderboard.output,
    output:
        f"{ROOT}/jobs/track.json",
    log:
        f"{ROOT}/logs/track.log",
    conda:
        "envs/prunebench.yaml"
    params:
        root=ROOT,
    shell:
        "prunebench track {params.root:q} --output {output:q} 2> >(tee {log:q} >&2)"
