"""The leaderboard of a large grid: seconds, peak memory, the page's size, and the browser's time.

    PYTHONPATH=. python benchmarks/leaderboard_page.py --records 100000

Run by hand. The cells are made up: 40 methods at five sparsities with five seeds, in as many
settings (task, regime, model) as it takes; a curve is five records. The figures are not drawn: the
page embeds what ``figures`` wrote before it. Where Chromium and Playwright are there, the page is
opened, sorted, filtered and unfolded too.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from itertools import islice, product
from pathlib import Path

import numpy as np
import pandas as pd

from prunebench.report import leaderboard
from prunebench.storage.layout import Layout
from prunebench.storage.records import COLUMNS, DENSE, FAMILIES

METHODS = ("random", *(f"method-{i:02d}" for i in range(1, 40)))
SPARSITIES = (0.5, 0.75, 0.875, 0.9375, 0.96875)
SEEDS = 5
AXES = (5, 5, 400)  # tasks, regimes, models: the last one grows with the number of records
PICTURE = b"\x89PNG"  # stands for the figure of a task


def made_up(records: int) -> pd.DataFrame:
    """At least ``records`` pruned cells and their dense ones; one in a thousand is diverged."""
    each = len(METHODS) * len(SPARSITIES) * SEEDS
    count = -(-records // each)
    models = max(1, -(-count // (AXES[0] * AXES[1])))
    settings = islice(product(range(AXES[0]), range(AXES[1]), range(models)), count)
    rows = [
        (f"task-{t}", f"regime-{r}", f"model-{m}", method, seed, sparsity)
        for t, r, m in settings
        for seed in range(SEEDS)
        for method, sparsity in [(DENSE, 0.0), *product(METHODS, SPARSITIES)]
    ]
    table = pd.DataFrame(rows, columns=["task", "regime", "model", "method", "seed", "sparsity"])
    draw = np.random.default_rng(0)
    strength = table["method"].map({name: i / len(METHODS) for i, name in enumerate(METHODS)})
    error = 0.2 + 0.3 * table["sparsity"] ** 4 * (1 - strength.fillna(1))
    error = (error + draw.normal(0, 0.01, len(table))).clip(0, 1)
    families = {name: FAMILIES[i % len(FAMILIES)] for i, name in enumerate(METHODS)}
    kept = 1 - table["sparsity"]
    table = table.assign(
        experiment="large", family=table["method"].map(families).fillna(DENSE), status="ok",
        classes=10.0, test_error=error, val_error=error, train_error=0.0, train_epochs=40.0,
        train_seconds=draw.uniform(5, 10, len(table)), prune_seconds=0.1,
        sparsity_achieved=table["sparsity"], compression_ratio=1 / kept,
        theoretical_speedup=kept**-0.5,
    )  # fmt: skip
    lost = (draw.random(len(table)) < 0.001) & (table["method"] != DENSE)
    table.loc[lost, "status"] = "diverged"
    return table.reindex(columns=list(COLUMNS)).assign(message="")


def opened(page: Path) -> str:
    """How long the page takes to open, to sort, to filter and to unfold; why not, where not."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return "Playwright is not there"
    chromium = shutil.which("chromium")
    if chromium is None:
        return "Chromium is not there"
    with sync_playwright() as api:
        browser = api.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        times = {}
        for name, act in {
            "open": lambda: tab.goto(page.as_uri()),
            "sort": lambda: tab.locator("th", has_text="Score").click(),
            "filter": lambda: tab.locator("select[name=regime]").select_option("regime-1"),
            "unfold": lambda: tab.locator(".unfold").first.click(),
        }.items():
            start = time.perf_counter()
            act()
            tab.evaluate("document.body.offsetHeight")
            times[name] = time.perf_counter() - start
        browser.close()
    return ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in times.items())


def main() -> None:
    """Make the cells, write the page, say what it took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="a folder to leave the files in")
    given = parser.parse_args()
    cells = made_up(given.records)
    pruned = cells[cells["method"] != DENSE]
    curves = len(pruned.drop_duplicates(["task", "regime", "model", "method", "seed"]))
    print(f"{len(cells)} records, {curves} curves of {len(SPARSITIES)} cells", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(given.keep or Path(folder))
        layout.figures.mkdir(parents=True, exist_ok=True)
        for task in cells["task"].unique():
            (layout.figures / f"error-compression-{task}.png").write_bytes(PICTURE)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wall, processor = time.perf_counter(), time.process_time()
        leaderboard.write(cells, layout)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        size = layout.leaderboard("html").stat().st_size
        print(
            f"{wall:.1f} s, {processor:.1f} processor s, {peak / 2**20:.2f} GiB peak"
            f" ({before / 2**20:.2f} before), page {size / 1e6:.2f} MB",
            flush=True,
        )
        print(f"in Chromium: {opened(layout.leaderboard('html'))}")


if __name__ == "__main__":
    main()
