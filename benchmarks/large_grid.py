"""A large grid: seconds and peak memory of its plan, its dry run, a job's start, and collecting.

    PYTHONPATH=. python benchmarks/large_grid.py --curves 20000

Run by hand. Each is measured in a process of its own, at a quarter, a half and the whole of the
curves, so that growth shows: what is linear doubles. Nothing is trained: the records are made up,
five sparsities a curve, every column filled, with the layers of the first seed. The leaderboard of
as many records: benchmarks/leaderboard_page.py.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.storage.files import write_json, write_sealed, write_text
from prunebench.storage.records import DENSE, LAYER_COLUMNS, OK, row

ROOT = Path(__file__).resolve().parents[1]
SPARSITIES = [0.5, 0.75, 0.875, 0.9375, 0.96875]
# 20 methods of the grid's own, 4 regimes, 5 networks: 400 curves a seed
METHODS = [{"name": f"method-{number:02d}", "base": "magnitude"} for number in range(20)]
REGIMES = [{"name": f"noisy-{share}", "label_noise": share / 100} for share in (10, 20, 30, 40)]
MODELS = [{"name": f"net-{number}", "architecture": "seed-cnn"} for number in range(5)]
LAYERS = 20
EACH = len(METHODS) * len(REGIMES) * len(MODELS)
PLAN = "import sys; from pathlib import Path; from prunebench.cli.app import plan_of; "
SCAN = "from prunebench.runner.progress import Progress; Progress(plan_of(Path(sys.argv[1])))"


def grid(curves: int, per_job: int) -> dict[str, Any]:
    """A configuration of at least ``curves`` curves, ``per_job`` of them a job."""
    return {
        "experiment": "large", "tasks": ["digits"], "regimes": REGIMES, "models": MODELS,
        "seeds": list(range(-(-curves // EACH))), "methods": METHODS, "sparsities": SPARSITIES,
        "compute": {"curves_per_job": per_job, "baselines_per_job": per_job},
        "probes": {"baselines_per_job": per_job},
    }  # fmt: skip


def made_up(plan: Plan) -> list[Path]:
    """The measured jobs of a plan, as if it had been computed."""
    draw = random.Random(0)
    filled = {column: 0.123456789 for column, value in row({}).items() if value is None}
    filled |= {
        name: "0123456789abcdef" * 4 for name in filled if name.endswith(("hash", "identity"))
    }
    filled |= {"published": None, "control": False, "augmentation": False, "dirty": False}
    filled |= {"kind": "classification", "precision": "float32", "nondeterministic": None}
    paths = []
    for name in plan.measure_jobs:
        cells = [
            filled | cell.coordinates._asdict() | {
                "experiment": "large", "status": OK, "message": "", "test_error": draw.random(),
                "family": cell.method.family if cell.method else DENSE,
            }
            for cell in plan.cells_of("measures", name)
        ]  # fmt: skip
        path = plan.layout.measured(name)
        write_sealed(path, {"cells": cells, "latency": [], "layers": _layers(cells)})
        paths.append(path)
    return paths


def _layers(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers of the first seed's cells, as many as a ResNet-20 has."""
    sizes = {"weights": 2304, "kept": 1152, "units": 16, "units_kept": 16}
    return [
        {name: cell[name] for name in LAYER_COLUMNS if name in cell}
        | {"layer": f"layer1.{place}.conv1.weight", "place": place, **sizes}
        for cell in cells
        if cell["seed"] == 0
        for place in range(LAYERS)
    ]


def measured(folder: Path, *command: str) -> tuple[float, float, float]:
    """Seconds, those of the processor, and peak MiB of a command; where it fails, its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        run = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
        _, status, usage = os.wait4(run.pid, 0)
        seconds = time.perf_counter() - began
        if status:
            out.seek(0)
            sys.exit(out.read().decode(errors="replace"))
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def steps(folder: Path, curves: int, per_job: int) -> dict[str, tuple[float, float, float]]:
    """What a grid of so many curves costs, by step."""
    file, tools = folder / "large.yaml", Path(sys.executable).parent
    value = grid(curves, per_job)
    write_json(file, value)
    python = (sys.executable, "-c")
    found = {
        "plan": measured(folder, *python, f"{PLAN} plan_of(Path(sys.argv[1]))", str(file)),
        "a job's start": measured(folder, *python, f"{PLAN} {SCAN}", str(file)),
        "dry run": measured(
            folder, str(tools / "snakemake"), "-n", "--quiet", "all", "--snakefile",
            str(ROOT / "Snakefile"), "--configfile", str(file),
        ),
    }  # fmt: skip
    plan = Plan(config.parse(value), folder / "results")
    listed = folder / "measured.txt"
    write_text(listed, "".join(f"{path}\n" for path in made_up(plan)))
    command = ("-m", "prunebench", "collect", str(file), str(listed))
    found["collect"] = measured(folder, sys.executable, *command)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--curves", type=int, default=20_000)
    parser.add_argument("--per-job", type=int, default=1, help="curves that share a process")
    given = parser.parse_args()
    for part in (4, 2, 1):
        folder = Path(tempfile.mkdtemp(prefix="prunebench-large-"))
        try:
            curves = given.curves // part
            for step, (wall, cpu, mib) in steps(folder, curves, given.per_job).items():
                print(
                    f"{curves:>7,} curves  {step:<14}{wall:8.1f} s {cpu:8.1f} s of CPU"
                    f" {mib:8,.0f} MiB",
                    flush=True,
                )
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
