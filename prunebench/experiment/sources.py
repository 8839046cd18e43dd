"""The source files that decide results: the one place where code names source files.

Places are relative to the package: a file, a folder (every Python file below it) or a pattern.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

# the bits of a trained baseline, whatever the method
BASELINE = (
    "training/models.py", "training/widen.py", "training/loop.py", "training/optimizers.py",
    "training/checkpoints.py", "tasks/batches.py", "tasks/task_data.py", "tasks/prepare.py",
    "tasks/regimes.py", "tasks/stratified.py", "tasks/forms.py", "tasks/task_kind.py",
    "tasks/positions.py", "runner/job_context.py", "runner/baselines.py",
)  # fmt: skip
# what else builds networks named hf:…
HUB = ("training/hub_networks.py",)
# the bits of a mask, beside the method's own parts
PRUNING = (
    "pruning/layers.py", "pruning/masks.py", "pruning/groups.py", "pruning/view.py",
    "pruning/compose.py", "pruning/curve.py", "runner/curves.py",
)  # fmt: skip
# the bits of a network that is trained without the units that it lost
SHRUNK_TRAINING = ("compression/shrunk_training.py",)
# the measures of stored predictions
MEASURES = (
    "evaluation/*.py", "tasks/predictions.py", "tasks/task_kind.py", "tasks/kinds/*.py",
    "experiment/training_gate.py",
)  # fmt: skip
# what a layer that is pruned alone loses
SENSITIVITY = ("pruning/automatic/one_at_a_time.py", *PRUNING)
# rooms whose modules count for a part that imports them
FOLLOWED = ("pruning", "evaluation", "compression")
# kind of part -> where the parts that ship stand: modules, or folders of modules
PART_PLACES = {
    "criterion": ("pruning/criteria",),
    "pattern": ("pruning/patterns.py",),
    "allocation": ("pruning/allocation.py", "pruning/automatic"),
    "schedule": ("pruning/schedules",),
    "recovery": ("pruning/recovery",),
    "probe": ("evaluation/probes",),
    # those that ship have tables of their own, which say more
    "measure": (),
    "figure": (),
    "engine": ("compression/engines.py",),
    "network": ("training/networks",),
    "task_kind": ("tasks/kinds",),
}
# a module for each kind of data source, and the folder of what ships by name
TASK_SOURCES = "tasks/sources"
PRESETS = "experiment/presets"
# what is made of the records -> the code and the templates that it stands on
OUTPUTS = {
    "tables": (
        "statistics", "report/tables", "report/declared_analysis.py", "report/verdict_words.py",
        "text",
    ),
    "figures": (
        "statistics", "report/figures", "report/tables/compression_tables.py",
        "report/declared_analysis.py", "text",
    ),
    "leaderboard": (
        "statistics", "report/leaderboard", "report/declared_analysis.py",
        "report/verdict_words.py", "report/slower_networks.py",
        "report/tables/compression_tables.py",
        "report/reader_warnings.py", "report/html_template.py", "text",
        "report/templates/leaderboard.*", "report/templates/vendor/*",
    ),
    "report": (
        "statistics", "report/document", "report/report_inputs.py", "report/declared_analysis.py",
        "report/verdict_words.py", "report/slower_networks.py",
        "report/reader_warnings.py", "report/html_template.py",
        "report/tables/compression_tables.py", "report/tables/tolerance_tables.py", "text",
        "report/templates/report.*",
    ),
    "kit": (
        "statistics", "report/paper", "report/figures", "report/document", "report/tables",
        "report/report_inputs.py", "report/declared_analysis.py", "report/verdict_words.py",
        "text",
        "report/paper/paper.tex.j2", "report/paper/references.bib",
    ),
    "crate": ("storage/ro_crate.py",),
}  # fmt: skip


def paths(places: Iterable[str]) -> list[Path]:
    """Return the files at ``places``, absolute, without repetition, in a fixed order."""
    return list(_paths(tuple(places)))


@cache
def _paths(places: tuple[str, ...]) -> tuple[Path, ...]:
    found: set[Path] = set()
    for place in places:
        for path in PACKAGE.glob(place):
            found |= {path} if path.is_file() else set(path.rglob("*.py"))
    return tuple(sorted(found))


def modules(place: str) -> list[Path]:
    """Return the files that hold parts at ``place``: the module itself, or those of a folder."""
    path = PACKAGE / place
    return sorted(path.glob("[!_]*.py")) if path.is_dir() else [path]
