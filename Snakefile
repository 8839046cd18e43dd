# One command answers the question:
#   python -m prunebench workflow config/x.yaml
# It reads configurations before Snakemake does, which would run Python that they hold.
# The grid, its jobs and their settings come from prunebench.experiment.plan; here stands only their order.


import os


include: "workflows/common.smk"
include: "workflows/resources.smk"
include: "workflows/data.smk"
include: "workflows/grid.smk"
include: "workflows/report.smk"


localrules:
    all,


rule all:
    input:
        *(getattr(rules, step).output for step in STEPS),


onstart:
    work_alone()
    offer_warm_processes()


onsuccess:
    for name in (WARM, SUPERVISOR):  # what follows is no job
        os.environ.pop(name, None)
    # of a batch before the last (--batch collect=1/4) there is no table yet, or an old one
    table = PLAN.layout.cells_csv
    old = provenance.outdated(PLAN.layout.provenance, PLAN.layout.config, table)
    told = "summary" if table.exists() and not old else "status"
    if (
        os.environ.get("SUMMARY") != "later"
    ):  # make prints it, also where nothing was left to do
        shell("prunebench {told} {ROOT:q}")


onerror:
    print(failures.text(PLAN, since=BEGUN), file=sys.stderr)
    print(
        f"Some jobs failed; the messages stand above and in {ROOT}/logs. What is finished is kept:"
        " remove the cause and run the same command again.",
        file=sys.stderr,
    )
