"""How many samples go through networks while a grid is computed, and what for. Run by hand.

    PYTHONPATH=. python benchmarks/forward_images.py config/smoke.yaml [--methods magnitude]

Each call of a whole network counts its batch, under the innermost of the functions below that is at
work, with the processor seconds of the call itself: of training steps the forward half alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.runner import pipeline

# function -> what it does; the innermost one counts
PHASES = {
    "train": "training steps", "_entry": "validation by epoch", "look": "around the removal",
    "predictions": "predictions at the end", "stopped_predictions": "predictions where stopped",
    "score": "scores", "sort_layers": "layers", "macs": "MACs", "checked_for_draws": "draws",
    "smaller_network": "smaller network",
}  # fmt: skip
JOBS = ("baselines", "curves")


class Count:
    """Counts the samples of outermost calls, by phase."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.inside: nn.Module | None = None
        self.phase, self.start = "", 0.0

    def begin(self, module: nn.Module, inputs: Any) -> None:
        if self.inside is None:
            self.inside = module
            first = next((each for each in inputs if isinstance(each, Tensor)), None)
            self.phase, self.start = _phase(), time.process_time()
            self.found[self.phase] += 0 if first is None else len(first)

    def end(self, module: nn.Module, *_: Any) -> None:
        if module is self.inside:
            self.inside = None
            self.seconds[self.phase] += time.process_time() - self.start


def _phase() -> str:
    frame: FrameType | None = sys._getframe(2)
    within = "other"
    while frame is not None:
        name = frame.f_code.co_name
        if name == "stopped_predictions":  # which calls the one inside it
            return PHASES[name]
        if within == "other" and name in PHASES and "prunebench" in frame.f_code.co_filename:
            within = PHASES[name]
        frame = frame.f_back
    return within


def main() -> None:
    """Compute a grid in this process, and print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--methods", nargs="+", help="of the grid; default: all")
    parser.add_argument("--data", type=Path, default=Path("data"))
    given = parser.parse_args()
    experiment = config.load(given.config)
    if given.methods:
        methods = [method for method in experiment.methods if method.name in given.methods]
        experiment = experiment.model_copy(update={"methods": methods})
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(experiment, Path(folder))
        pipeline.begin(plan, given.data)
        for kind in JOBS:
            count, start = Count(), time.process_time()
            hooks = (
                register_module_forward_pre_hook(count.begin),
                register_module_forward_hook(count.end, always_call=True),
            )
            for name in plan.jobs[kind]:
                getattr(pipeline, kind)(plan, name, given.data)
            for hook in hooks:
                hook.remove()
            total, seconds = sum(count.found.values()), time.process_time() - start
            print(f"{kind}: {total:,} samples, {seconds:.1f} processor seconds")
            for phase, samples in count.found.most_common():
                own = count.seconds[phase]
                print(
                    f"  {phase:28} {samples:10,} {samples / total:6.1%}"
                    f" {own:7.2f} s {own / seconds:6.1%}"
                )


if __name__ == "__main__":
    main()
