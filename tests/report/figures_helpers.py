"""A made-up table with every column that a figure shows."""

from __future__ import annotations

import numpy as np
import pandas as pd

PARTS = ("control", "criterion", "pattern", "allocation", "schedule", "recovery")
MADE = {
    "dense": (True, None, None, None, None, None),
    "random": (True, "random", "weight", "global", "one-shot", "fine-tuning"),
    "magnitude": (False, "magnitude", "weight", "global", "one-shot", "fine-tuning"),
    "imp": (False, "magnitude", "weight", "global", "one-shot", "weight-rewinding"),
    "snip": (True, "magnitude", "weight", "shuffled", "one-shot", "fine-tuning"),
    "l1-filter": (False, "l1-norm", "filter", "uniform", "one-shot", "fine-tuning"),
    "apoz": (False, "apoz", "filter", "uniform", "one-shot", "fine-tuning"),
    "wanda": (False, "wanda", "weight", "per-row", "one-shot", "none"),
}


def every_column(cells: pd.DataFrame) -> pd.DataFrame:
    """The table of conftest with parts, regimes, harm and predictors made up; snip is shuffled."""
    cells = cells.reset_index(drop=True)
    for place, part in enumerate(PARTS):
        cells[part] = [MADE[method][place] for method in cells["method"]]
    generator = np.random.default_rng(0)
    share = pd.Series(generator.random(len(cells)), cells.index)
    noisy = cells["regime"] != "clean"
    return cells.assign(
        label_noise=np.where(noisy, 0.4, 0.0), train_samples=1000.0, width=1.0,
        recovered=(1 - cells["memorized"]) * 0.8, flips_to_wrong=0.1 * share,
        flips_to_right=0.2 * share, worst_class_change=share - 0.5, corrupted_error=share,
        test_overconfidence=0.3 - share,
        instability=share.where(cells["sparsity"] > 0),
        distance=1 + share, sharpness=np.exp(6 * share),
    )  # fmt: skip
