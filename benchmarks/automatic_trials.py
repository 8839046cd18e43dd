"""Does automatic pruning beat a ratio set by hand, and Torch-Pruning? A trial on real images.

    PYTHONPATH=. python benchmarks/automatic_trials.py fashion-mnist --task "{path: data/fashion}"

Dense networks of three seeds are trained. ``budgeted`` compresses each to half of its measured time
on the CPU. The other methods then get as many MACs as that has left on the average: the suite's
``l1-filter`` at the one ratio that has as many, Torch-Pruning's own global pruning by group norms
(``torch_pruning_global``), ``budgeted`` and ``searched`` at a budget of MACs, and filters drawn at
random. All are cells of one experiment on the same dense networks: one fine-tuning, one shrinking,
one stopwatch. At the end the shrunk networks of a seed are timed in turns with each other and with
the dense network.

Run by hand. Interrupted, the same command goes on. The trial ``digits`` takes a minute or two and
shows that all works; it has nothing to say.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import stats
from torch import Tensor

from prunebench.compression.timing import measure_speed, runner
from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.cell import Cell
from prunebench.experiment.plan import Plan
from prunebench.experiment.prepared_data import prepared
from prunebench.pruning.api import prune
from prunebench.pruning.macs import macs
from prunebench.runner import pipeline
from prunebench.runner.compress.size_budget import sparsity_at
from prunebench.runner.export_cell import rebuilt_cell
from prunebench.runner.job_context import JobContext
from prunebench.storage.files import read_json, write_json
from prunebench.storage.layout import DATA
from prunebench.storage.records import DENSE
from prunebench.text.numbers import number

LEVEL = 0.95  # of intervals
TURNS = 40  # of the stopwatch at the end
REFERENCE, BY_HAND = "half-time", "l1-filter"  # what sets the MACs; whose ratio is then found
OWN = Path(os.path.relpath(Path(__file__).with_name("torch_pruning_global.py")))

# a network of timm's, of one block a stage and narrow, that some minutes of a processor can train
_RESNET = {
    "name": "resnet10", "architecture": "resnet18",
    "arguments": {"layers": [1, 1, 1, 1], "channels": [16, 32, 64, 128]},
}  # fmt: skip
TRIALS: dict[str, dict[str, Any]] = {
    "digits": {
        "task": {"name": "digits", "train": 600, "val": 200, "test": 500, "calibration": 64},
        "model": "seed-cnn",
        "training": {"epochs": 10, "recovery_epochs": 2, "batch_size": 50, "learning_rate": 0.05},
    },
    "fashion-mnist": {
        "task": {"name": "fashion-mnist", "val": 2000, "calibration": 512},
        # with the stem for large images most of its time is overhead: half of it cannot be saved
        "model": _RESNET | {"stem": "small"},
        "training": {"epochs": 10, "recovery_epochs": 3, "batch_size": 64, "learning_rate": 0.05},
    },
    "cifar10": {
        "task": {"name": "cifar10", "val": 2000, "calibration": 512},
        "model": _RESNET | {"stem": "small"},
        "training": {"epochs": 30, "recovery_epochs": 10, "batch_size": 64, "learning_rate": 0.05},
    },
}  # fmt: skip


def tuned() -> dict[str, Any]:
    """Return the control that removes nothing and is fine-tuned as long."""
    return {
        "name": "dense-tuned", "criterion": "magnitude", "schedule": "dense",
        "recovery": "fine-tuning", "control": True,
    }  # fmt: skip


def within(name: str, base: str, budget: dict[str, float], rate: float) -> dict[str, Any]:
    """Return a preset of the suite under a budget, by a name of its own."""
    own = {"name": config.method(base).allocation.name, "budget": budget, "rate": rate}
    return {"name": name, "base": base, "allocation": own}


def by_time(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the methods whose budget is time."""
    return [tuned(), within(REFERENCE, "budgeted-filter", {"latency": given.time}, given.rate)]


def by_macs(share: float, rate: float) -> list[dict[str, Any]]:
    """Return the methods that get a share of the MACs."""
    budget = {"macs": share}
    searched = within("searched-macs", "searched-filter", budget, rate)
    torch_pruning = {
        "name": "torch-pruning", "criterion": "l1-norm", "pattern": "filter",
        "allocation": {"name": f"{OWN}:chosen", "budget": budget},
    }  # fmt: skip
    return [
        {"name": BY_HAND}, torch_pruning,
        within("budgeted-macs", "budgeted-filter", budget, rate), searched,
        {"name": "random-filter"},
    ]  # fmt: skip


def planned(
    given: argparse.Namespace, methods: list[dict[str, Any]], sparsities: list[float]
) -> Plan:
    """Return the experiment with some methods; what is there of it already is not done again."""
    trial = TRIALS[given.trial]
    grid = {
        "experiment": f"trial-{given.trial}",
        "tasks": [trial["task"] | given.task],
        "regimes": ["clean"],
        "models": [trial["model"]],
        "seeds": list(range(given.seeds)),
        "methods": methods,
        "sparsities": sparsities,
        "training": trial["training"] | given.training,
        "compute": {"threads": given.threads},
        "probes": {"run": ["shrunk"]},
        # no engine: the grid times nothing; the search does, this many inputs at a time
        "latency": {"engines": [], "batches": [given.batch], "repeats": 9, "warm_up": 2},
    }
    return Plan(config.parse(grid, "trial"), given.output)


def ratio(plan: Plan, share: float, data: Path) -> float:
    """Return the sparsity at which ``BY_HAND`` leaves a share of the MACs; of no data or weights.

    Args:
        plan: the experiment.
        share: of the dense network's MACs.
        data: the folder of prepared data.
    """
    [task] = plan.experiment.tasks
    job = JobContext(plan, task, prepared(task, data))
    samples, _ = job.samples(plan.baselines[0])
    example: Tensor = samples.normalize(samples.inputs[:2])

    def kept(sparsity: float) -> float:
        network = job.build(plan.baselines[0]).eval()
        masks = prune(network, BY_HAND, sparsity, example=example)
        whole, left = macs(network, example[:1], masks)
        return left / whole

    found = sparsity_at(kept, share)
    if found is None:
        raise PrunebenchError(f"{BY_HAND}: no sparsity leaves {share:.3g} of the MACs")
    return found


def cells(plan: Plan, seed: int) -> Iterator[Cell]:
    """Yield the cells of a seed, the dense one first."""
    for baseline in plan.baselines:
        if baseline.seed == seed:
            yield from plan.cells_on(baseline)


def times(plan: Plan, seed: int, batch: int, data: Path) -> dict[str, float]:
    """Return the median milliseconds of each shrunk network of a seed, measured in turns.

    Args:
        plan: the experiment.
        seed: of the networks.
        batch: inputs at a time.
        data: the folder of prepared data.
    """
    path = plan.layout.root / f"times-{seed}-{batch}.json"
    records = {cell.method_name: cell.record() or {} for cell in cells(plan, seed)}
    wanted = {name: record.get("identity") for name, record in records.items()}
    if path.exists():
        stored = read_json(path)
        if stored["cells"] == wanted:
            found: dict[str, float] = stored["ms"]
            return found
    threads = plan.experiment.compute.threads
    [task] = plan.experiment.tasks
    runners, image = {}, None
    for cell in cells(plan, seed):
        rebuilt = rebuilt_cell(cell, prepared(task, data))
        if image is None:
            image = rebuilt.job.data.normalized(rebuilt.job.data.inputs["test"][:1])
        example = image.repeat(batch, *(1 for _ in image.shape[1:]))
        runners[cell.method_name] = runner("eager", rebuilt.network.model, example, threads)
    assert image is not None
    speeds = measure_speed(runners, image, batch, threads, TURNS, 5, seed)
    ms = {name: speed.median_ms for name, speed in speeds.items()}
    write_json(path, {"cells": wanted, "ms": ms})
    return ms


def table(plan: Plan, records: pd.DataFrame, given: argparse.Namespace) -> pd.DataFrame:
    """Return a row of each method and seed: errors in points, shares of the dense network's."""
    rows = []
    for seed in range(given.seeds):
        ms = {batch: times(plan, seed, batch, given.data) for batch in (1, given.batch)}
        own = records[records["seed"] == seed].set_index("method")
        dense = own.loc[DENSE]
        for key, row in own.iterrows():
            name = str(key)
            shrunk = row if name != DENSE and not pd.isna(row["macs_shrunk"]) else None
            rows.append(
                {
                    "method": name, "seed": seed, "error": 100 * row["test_error"],
                    "rise": 100 * (row["test_error"] - dense["test_error"]),
                    "macs": 1.0 if shrunk is None else row["macs_shrunk"] / dense["macs_dense"],
                    "weights": 1.0 if shrunk is None
                    else row["params_shrunk"] / dense["params_total"],
                    "seconds": row["prune_seconds"], "tried": row["search_evaluations"],
                    **{f"ms {batch}": found[name] for batch, found in ms.items()},
                    **{f"time {batch}": found[name] / found[DENSE] for batch, found in ms.items()},
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def interval(values: pd.Series) -> str:
    """Return the mean of values of several seeds, with the interval of Student's t."""
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return number(mean, 2)
    half = stats.t.ppf((1 + LEVEL) / 2, count - 1) * float(values.std()) / np.sqrt(count)
    return f"{number(mean, 2)} ± {number(float(half), 2)}"


def summary(found: pd.DataFrame, batch: int) -> str:
    """Return the table of the trial in Markdown: means over seeds, intervals of errors."""
    names = list(dict.fromkeys(found["method"]))
    shares = {
        "MACs": "macs", "weights": "weights", f"time of {batch}": f"time {batch}",
        "time of 1": "time 1",
    }  # fmt: skip
    head = ["method", *shares, "ms", "test error", "rise", f"above {REFERENCE}", "search"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    reference = found[found["method"] == REFERENCE].set_index("seed")["error"]
    for name in names:
        own = found[found["method"] == name].set_index("seed")
        tried = own["tried"].fillna(0).mean()
        cost = f"{own['seconds'].mean():.0f} s" + (f", {tried:.0f} networks" if tried else "")
        values = [
            name,
            *(f"{100 * own[column].mean():.1f} %" for column in shares.values()),
            number(float(own[f"ms {batch}"].mean()), 1),
            interval(own["error"]),
            "" if name == DENSE else interval(own["rise"]),
            "" if name in (DENSE, REFERENCE) else interval(own["error"] - reference),
            "" if name == DENSE else cost,
        ]
        lines.append("| " + " | ".join(values) + " |")
    return "\n".join(lines)


def carry_out(given: argparse.Namespace) -> str:
    """Run a trial, or what is missing of it, and return its table."""
    first = planned(given, by_time(given), [0.5])
    pipeline.run(first, given.data)
    records = pd.read_csv(first.layout.cells_csv)
    half = records[records["method"] == REFERENCE]
    failed = half[half["macs_shrunk"].isna()]
    if len(failed):
        raise PrunebenchError(f"{REFERENCE}: {failed['message'].iloc[0]}")
    share = round(float((half["macs_shrunk"] / half["macs_dense"]).mean()), 3)
    set_by_hand = ratio(first, share, given.data)
    print(
        f"{REFERENCE} leaves {share:.1%} of the MACs, as {BY_HAND} at {set_by_hand:g}", flush=True
    )
    others = [each for each in by_macs(share, given.rate) if each["name"] not in given.without]
    whole = planned(given, [*by_time(given), *others], [set_by_hand])
    pipeline.run(whole, given.data)
    found = table(whole, pd.read_csv(whole.layout.cells_csv), given)
    found.to_csv(whole.layout.root / "trial.csv", index=False)
    return summary(found, given.batch)


def main() -> None:
    """Run a trial and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trial", choices=TRIALS)
    parser.add_argument(
        "--task", type=yaml.safe_load, default={},
        help="settings of the task that differ, e.g. '{path: data/fashion, train: 6000}'",
    )  # fmt: skip
    parser.add_argument(
        "--training", type=yaml.safe_load, default={}, help="the same of the training"
    )
    parser.add_argument(
        "--without", nargs="*", default=[], help="methods at equal MACs to leave out"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--time", type=float, default=0.5, help="share of the time that is kept")
    parser.add_argument("--rate", type=float, default=0.4, help="of levels, as of budgeted")
    parser.add_argument("--batch", type=int, default=32, help="inputs that are timed at once")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of results")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of all data")
    print(carry_out(parser.parse_args()))


if __name__ == "__main__":
    main()
