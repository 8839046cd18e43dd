"""Imports point down only (DESIGN.md, section 4), also those inside functions; no cycles."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "prunebench"
# from the top; what is not named here has no place and fails the test
LAYERS = (
    {"__main__"},
    {"cli"},
    {"submission"},
    {"rerun"},
    {"pipeline"},
    {"work", "progress", "audit", "faults"},
    {"measure"},  # torch from here
    {"compress"},
    {"pruning"},
    {"train", "models"},
    {"checkpoints", "optimizers"},
    {"widths"},
    {"tasks"},  # to here
    {"others"},  # pandas, never torch
    {"report"},
    {"statistics", "track", "crate"},
    {"catalog"},  # from here on neither
    {"config", "collect"},
    {"plan"},
    {"jobs", "inputs"},
    {"settings"},
    {"components", "store", "made"},
    {"removal"},
    {"validation", "layout", "identity", "provenance", "ranges", "notes", "database"},
    {"files", "lock", "bars", "plain_yaml", "harmless", "memory"},
    {"errors", "records"},
)
HEAVY = {"torch", "torchvision", "timm", "torch_pruning", "safetensors"}
TABLES = {"pandas", "mlflow", "matplotlib", "seaborn", "scipy"}
NEVER = ("others", "report", "statistics", "track", "crate", "pipeline", "cli")  # torch
RANK = {name: rank for rank, layer in enumerate(reversed(LAYERS)) for name in layer}
TORCH = RANK["tasks"]
# the command line and the order of things import what they call when they call it
LATE = {"__init__", "cli", "pipeline", "progress", "faults"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """The module's name; of a package, the package's."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit(module: str) -> str:
    """The first name below the package: ``prunebench.pruning.masks`` is of ``pruning``."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(path: Path, only_on_import: bool = False) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, with the line; but for types alone none."""
    known = {dotted(file) for file in modules()}
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if only_on_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            assert node.module is not None
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found = {name if name in known else node.module for name in inner}
            yield from ((name, node.lineno) for name in sorted(found))
        waiting += ast.iter_child_nodes(node)


def test_every_module_has_a_place() -> None:
    assert {unit(dotted(path)) for path in modules()} == {*RANK, "__init__"}


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_imports_point_down(path: Path) -> None:
    own = unit(dotted(path))
    if own == "__init__":
        return  # the package's face shows what is below on demand
    for module, line in imports(path):
        other = unit(module)
        if not module.startswith("prunebench") or other in (own, "__init__"):
            continue
        where = f"{path.relative_to(PACKAGE)}:{line}"
        assert RANK[other] < RANK[own], f"{where}: {own} must not import {module}"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_torch_and_tables_stay_where_they_belong(path: Path) -> None:
    own = unit(dotted(path))
    late = own in LATE or RANK[own] <= RANK["catalog"]
    never = HEAVY if own in NEVER else set()
    for module, line in imports(path):
        assert module.partition(".")[0] not in never, f"{path}:{line}: {module}"
    for module, line in imports(path, only_on_import=True) if late else ():
        assert module.partition(".")[0] not in HEAVY | TABLES, f"{path}:{line}: {module}"
        if module.startswith("prunebench.") and unit(module) not in LATE:
            assert RANK[unit(module)] <= RANK["catalog"], f"{path}:{line}: {module}"


def test_bottom_layers_may_use_torch_in_one_place_alone() -> None:
    users = {
        unit(dotted(path))
        for path in modules()
        for module, _ in imports(path)
        if module.partition(".")[0] in HEAVY
    }
    below = {name for name in users if name != "__init__" and RANK[name] < TORCH}
    assert below == {"store"}  # writes and reads tensors, imported when it does


def test_there_are_no_cycles() -> None:
    graph: dict[str, set[str]] = {}
    for path in modules():
        own = dotted(path)
        if own != "prunebench":
            found = {module for module, _ in imports(path) if module.startswith("prunebench")}
            graph[own] = found - {own, "prunebench"}
    TopologicalSorter(graph).prepare()  # raises CycleError with the cycle


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_modules_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300


def test_what_the_workflow_imports_never_imports_torch() -> None:
    code = (
        "import sys\n"
        "from prunebench import catalog, cli, config, pipeline, plan, progress, store\n"
        "grid = plan.Plan(config.load('config/default.yaml'))\n"
        "[grid.job_digest(job) for job in grid.curve_jobs.values()]\n"
        "catalog.json_schema()\n"
        "heavy = {'torch', 'timm', 'numpy', 'pandas', 'mlflow', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from prunebench import statistics, track\n"
        "from prunebench.report import figures, leaderboard, summary, tables\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
