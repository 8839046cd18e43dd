"""Times of the chosen network and the dense one in ONNX Runtime, for which ONNX is written."""

from __future__ import annotations

from pathlib import Path

from prunebench.compression.channel_counts import channel_times
from prunebench.compression.timing import Speed, measure_speed, runner
from prunebench.errors import Refused
from prunebench.experiment.cell import Cell
from prunebench.runner.card_facts import stored_speeds
from prunebench.runner.compress.request import REPEATS
from prunebench.runner.export_cell import rebuilt_cell

ENGINE, WARM_UP = "onnxruntime", 3
NO_DIFFERENCE = "no difference shown: the quartiles overlap"


def fastest_channels(cell: Cell, data: Path) -> int:
    """Return the multiple of channels that ONNX Runtime runs a cell's network fastest with.

    Args:
        cell: the chosen cell.
        data: the prepared data of its task.
    """
    dense = rebuilt_cell(cell.dense, data, 1)
    image = dense.job.data.normalized(dense.job.data.inputs["test"][:1]).cpu()
    try:
        return channel_times(
            dense.network.model.cpu().eval(), image, engine=ENGINE, batch=1,
            threads=cell.experiment.compute.threads, repeats=REPEATS, warm_up=WARM_UP,
        ).multiple  # fmt: skip
    except Refused:
        return 1


def onnx_times(cell: Cell, data: Path, multiple: int) -> tuple[Speed, Speed] | None:
    """Return the times of one input before and after; None where ONNX Runtime refuses either.

    Args:
        cell: the chosen cell.
        data: the prepared data of its task.
        multiple: of channels that the smaller network keeps.
    """
    smaller, dense = rebuilt_cell(cell, data, multiple), rebuilt_cell(cell.dense, data, 1)
    image = smaller.job.data.normalized(smaller.job.data.inputs["test"][:1]).cpu()
    threads = cell.experiment.compute.threads
    try:
        runners = {
            name: runner(ENGINE, each.network.model.cpu().eval(), image, threads)
            for name, each in (("before", dense), ("after", smaller))
        }
    except Refused:
        return None
    speeds = measure_speed(runners, image, 1, threads, REPEATS, WARM_UP)
    return speeds["before"], speeds["after"]


def eager_times(cell: Cell) -> tuple[Speed, Speed] | None:
    """Return the times of one input before and after in PyTorch, as the search measured them.

    Args:
        cell: the chosen cell.
    """
    found = dict(stored_speeds(cell, ("dense", "masked", "shrunk")))
    after = found.get("shrunk", found.get("masked"))
    before = found.get("dense")
    return None if before is None or after is None else (before, after)


def faster_here(
    eager: tuple[Speed, Speed] | None, onnx: tuple[Speed, Speed] | None
) -> list[str]:  # fmt: skip
    """Return a note that answers whether the network is faster on this machine.

    Args:
        eager: times in PyTorch before and after.
        onnx: in ONNX Runtime.
    """
    told = [
        f"in {name} {_told(*times)}"
        for name, times in (("PyTorch", eager), ("ONNX Runtime", onnx))
        if times is not None
    ]
    if not told:
        return []
    return [
        f"Is one input faster on this machine: {'; '.join(told)}. Another machine, number of"
        " threads or batch may answer otherwise: measure there."
    ]


def _told(before: Speed, after: Speed) -> str:
    ratio = before.median_ms / after.median_ms
    if before.slower_than(after):
        return f"yes, {ratio:.2f}×"
    return f"no, it is slower ({ratio:.2f}×)" if after.slower_than(before) else NO_DIFFERENCE


def slower(times: tuple[Speed, Speed] | None, macs: float) -> list[str]:
    """Return a note where the smaller network is slower: the quartiles do not overlap.

    Args:
        times: before and after.
        macs: the share of the MACs that is left.
    """
    if times is None or not times[1].slower_than(times[0]):
        return []
    before, after = times
    return [
        f"ONNX Runtime runs the smaller network slower than the one before, {after.median_ms:.3g}"
        f" against {before.median_ms:.3g} ms for one input, although it has {1 / macs:.2f}× fewer"
        " MACs: measure on the machine that it is for."
    ]
