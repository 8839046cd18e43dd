"""What pruning itself costs, on a ResNet-18 at 32×32: seconds, processor seconds and peak memory.

    PYTHONPATH=. python benchmarks/pruning_cost.py --methods magnitude synflow --samples 512

Run by hand. Every method runs in a process of its own, so that the peak is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from typing import Any

METHODS: dict[str, dict[str, Any]] = {
    "magnitude": {"criterion": "magnitude"},
    "taylor": {"criterion": "taylor"},
    "grasp": {"criterion": "grasp"},
    "synflow": {
        "criterion": "synflow",
        "schedule": {"name": "at-initialization", "rounds": 100},
        "recovery": "weight-rewinding",
    },
    "obd": {"criterion": "obd"},
    "wanda": {"criterion": "wanda", "allocation": "per-row"},
    "sparsegpt": {"criterion": "sparsegpt", "allocation": "uniform"},
    "woodfisher": {"criterion": "woodfisher"},
}


def measure(name: str, samples: int, threads: int, sparsity: float) -> None:
    """Prune once and print a line."""
    import timm
    import torch

    from prunebench.pruning.api import prune

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = timm.create_model("resnet18", num_classes=10, zero_init_last=False)
    inputs, labels = torch.randn(samples, 3, 32, 32), torch.randint(0, 10, (samples,))
    batches = list(zip(inputs.split(128), labels.split(128), strict=True))
    prune(torch.nn.Sequential(torch.nn.Linear(2, 2)), "magnitude", 0.5, prunable={"head": True})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, processor = time.perf_counter(), time.process_time()
    prune(model, METHODS[name], sparsity, batches=batches)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{name:12} {wall:8.2f} s {processor:8.2f} processor s"
        f" {peak / 2**20:6.2f} GiB peak ({before / 2**20:.2f} before)",
        flush=True,
    )


def main() -> None:
    """Measure each method in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--one", choices=METHODS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        measure(given.one, given.samples, given.threads, given.sparsity)
        return
    options = [f"--{key}={getattr(given, key)}" for key in ("samples", "threads", "sparsity")]
    for name in given.methods:
        subprocess.run([sys.executable, __file__, f"--one={name}", *options], check=True)


if __name__ == "__main__":
    main()
