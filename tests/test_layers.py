"""Rooms and their order: imports point down only, also in functions and for types; no cycles."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "prunebench"
# from the top; the order in which a result comes about, read upwards
ROOMS = (
    "cli", "reproduce", "runner", "evaluation", "compression", "pruning", "training", "tasks",
    "report", "tracking", "published", "statistics", "experiment", "storage", "text", "errors",
)  # fmt: skip
RANK = {room: rank for rank, room in enumerate(reversed(ROOMS))}
HEAVY = {"torch", "torchvision", "timm", "torch_pruning", "safetensors"}
TABLES = {"pandas", "mlflow", "matplotlib", "seaborn", "scipy"}
# what every start of the workflow and the command line imports at once must be light
LIGHT = ("cli", "experiment", "storage", "text", "errors")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """The module's name; of a package, the package's."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {dotted(path) for path in modules()}


def room(module: str) -> str:
    """The first name below the package: ``prunebench.pruning.masks`` is of ``pruning``."""
    return module.split(".")[1] if "." in module else "__init__"


@cache
def imports(path: Path, only_on_import: bool = False) -> list[tuple[str, int]]:
    """Every module that a file imports, with the line, for types alone too.

    ``only_on_import``: only what is imported when the file itself is.
    """
    found: list[tuple[str, int]] = []
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if only_on_import and _waits(node):
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            assert node.module is not None
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = {name if name in KNOWN else node.module for name in inner}
            found += [(name, node.lineno) for name in sorted(names)]
        waiting += ast.iter_child_nodes(node)
    return found


def _waits(node: ast.AST) -> bool:
    """Whether the import of a file leaves out what stands here: a function, or types alone."""
    types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    return types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def test_every_module_is_in_a_room() -> None:
    assert {room(name) for name in KNOWN} == {*ROOMS, "__init__", "__main__"}


def test_imports_point_down() -> None:
    up = [
        f"{path.relative_to(PACKAGE)}:{line}: {own} must not import {module}"
        for path in modules()
        # the package's face shows what is below on demand
        if (own := room(dotted(path))) in RANK
        for module, line in imports(path)
        if module.startswith("prunebench")
        if (other := room(module)) not in (own, "__init__") and RANK[other] >= RANK[own]
    ]
    assert up == []


def imported(rooms: Collection[str], heavy: Collection[str], only_on_import: bool) -> list[str]:
    """Where modules of rooms import what is too heavy for them."""
    return [
        f"{path.relative_to(PACKAGE)}:{line}: {module}"
        for path in modules()
        if room(dotted(path)) in rooms
        for module, line in imports(path, only_on_import)
        if module.partition(".")[0] in heavy
    ]


def test_torch_stays_above_the_records() -> None:
    below = {*ROOMS[ROOMS.index("tasks") + 1 :], "__init__", "__main__"}
    assert imported(below - {"storage"}, HEAVY, only_on_import=False) == []
    assert imported({"storage"}, HEAVY, only_on_import=True) == []


def test_light_rooms_import_what_is_heavy_when_it_is_called() -> None:
    assert imported(LIGHT, HEAVY | TABLES, only_on_import=True) == []


def test_there_are_no_cycles() -> None:
    graph: dict[str, set[str]] = {}
    for path in modules():
        own = dotted(path)
        if own != "prunebench":
            found = {module for module, _ in imports(path) if module.startswith("prunebench")}
            graph[own] = found - {own, "prunebench"}
    TopologicalSorter(graph).prepare()  # raises CycleError with the cycle


def test_no_file_is_named_twice() -> None:
    names = [path.name for path in modules() if path.name != "__init__.py"]
    assert sorted(set(names)) == sorted(names)


def test_what_the_workflow_imports_is_light() -> None:
    code = (
        "import sys\n"
        "from prunebench import cli\n"
        "from prunebench.experiment import catalog, config, plan\n"
        "from prunebench.runner import damaged_files, pipeline, progress\n"
        "from prunebench.storage import cell_files\n"
        "grid = plan.Plan(config.load('config/default.yaml'))\n"
        "[grid.job_digest(job) for job in grid.curve_jobs.values()]\n"
        "catalog.json_schema()\n"
        "heavy = {'torch', 'timm', 'numpy', 'pandas', 'mlflow', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from prunebench import statistics, tracking\n"
        "from prunebench.report import figures, leaderboard, tables, terminal_summary\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
