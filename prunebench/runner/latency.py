"""Measured times of a cell's networks: dense, masked, shrunk, and in 8 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from prunebench.compression import layer_times
from prunebench.compression.onnx_int8 import pair
from prunebench.compression.timing import Runner, Speed, device_name, measure_speed, runner
from prunebench.errors import Refused
from prunebench.evaluation.stored_network import Subject
from prunebench.experiment.cell import Cell
from prunebench.experiment.code_identity import code_hash
from prunebench.runner.channels import round_to
from prunebench.runner.job_context import JobContext
from prunebench.runner.rebuilt_network import subject_of
from prunebench.runner.stored_results import compute_once
from prunebench.storage.layout import LATENCY, LAYER_MS
from prunebench.storage.records import DENSE

MASKED, SHRUNK, SINGLE, EIGHT = "masked", "shrunk", "onnx", "int8"
QUANTIZED = "quantized"  # the probe, with which times in 8 bits are asked for too
Row = dict[str, Any]


def compute_latency(job: JobContext, cell: Cell) -> None:
    """Measure how long a cell's networks take, unless that was done so on this machine.

    Raises:
        PrunebenchError: files of the cell are missing.
    """
    settings = job.plan.experiment.latency
    eight = QUANTIZED in job.plan.experiment.probes.run
    each = cell.method is None and bool(job.plan.experiment.probes.sensitivity)

    def compute() -> dict[str, Any]:
        subject = subject_of(job, cell)
        dense = subject_of(job, cell.dense)
        stopwatch = _Stopwatch(job, subject)
        rows = [
            row
            for engine in settings.engines
            for batch in settings.batches
            for row in stopwatch.engine(engine, batch, _networks(subject, dense.model))
        ]
        if eight:
            rows += stopwatch.eight_bits(dense)
        values = _values(rows, settings.engines[0], settings.batches)
        return {"rows": rows, "values": values} | ({LAYER_MS: stopwatch.layers()} if each else {})

    said: list[Any] = [
        settings.model_dump(), eight, round_to(job, cell.baseline),
        job.plan.experiment.compute.threads, device_name(job.device),
        code_hash(job.plan.latency_sources()),
    ]  # fmt: skip
    if each:
        said += [LAYER_MS, code_hash([Path(layer_times.__file__)])]
    compute_once(cell, LATENCY, said, compute)


def _networks(subject: Subject, dense: nn.Module) -> dict[str, nn.Module]:
    """Networks to compare: all there are of a pruned cell, or the dense one alone."""
    found = {DENSE: dense}
    if subject.masks:
        found[MASKED] = subject.model
    if subject.smallest.kind == SHRUNK:
        found[SHRUNK] = subject.smallest.model
    return found


class _Stopwatch:
    """Times the networks of one cell on one of its images."""

    def __init__(self, job: JobContext, subject: Subject) -> None:
        self.subject, self.settings = subject, job.plan.experiment.latency
        self.threads = job.plan.experiment.compute.threads
        self.device = device_name(job.device)

    def engine(self, engine: str, batch: int, networks: Mapping[str, nn.Module]) -> list[Row]:
        """Return a row for each network; one that cannot be measured has no times and says why."""
        image = self.subject.normalize(self.subject.test_inputs[:1])
        runners, rows = {}, []
        for name, network in networks.items():
            try:
                runners[name] = runner(engine, network, _repeated(image, batch), self.threads)
            except Refused as error:
                rows.append(self._missing(name, engine, batch, str(error)))
        return rows + self._times(runners, image, batch)

    def layers(self) -> dict[str, float]:
        """Return the milliseconds of each module of the network, for the first batch."""
        settings, image = self.settings, self.subject.normalize(self.subject.test_inputs[:1])
        return layer_times.layer_times(
            self.subject.model, image, settings.batches[0], self.threads, settings.repeats,
            settings.warm_up,
        )  # fmt: skip

    def eight_bits(self, dense: Subject) -> list[Row]:
        """Time the dense and the smallest network in ONNX Runtime, in float32 and in int8."""
        runners: dict[str, Runner] = {}
        kinds = {DENSE: dense, self.subject.smallest.kind: self.subject}
        for kind, subject in kinds.items():
            try:
                files = pair(subject.deployed, subject.train[0])
            except Refused as error:
                return [self._missing(f"{kind} {EIGHT}", "onnxruntime", 1, str(error))]
            for suffix, file in zip((SINGLE, EIGHT), files, strict=True):
                runners[f"{kind} {suffix}"] = file.runner(self.threads)
        image = self.subject.test_inputs[:1].cpu()
        return [r for b in self.settings.batches for r in self._times(runners, image, b)]

    def _times(self, runners: Mapping[str, Runner], image: Tensor, batch: int) -> list[Row]:
        found: dict[str, Speed] = {}
        if runners:
            repeats, warm_up = self.settings.repeats, self.settings.warm_up
            found = measure_speed(runners, image, batch, self.threads, repeats, warm_up)
        return [{"network": name, **asdict(speed), "message": ""} for name, speed in found.items()]

    def _missing(self, network: str, engine: str, batch: int, why: str) -> Row:
        return {
            "network": network, "engine": engine, "batch": batch, "threads": self.threads,
            "device": self.device, "message": " ".join(why.split()),
        }  # fmt: skip


def _repeated(image: Tensor, batch: int) -> Tensor:
    return image.repeat(batch, *(1 for _ in image.shape[1:]))


def _values(rows: list[Row], engine: str, batches: list[int]) -> dict[str, float]:
    """Return the columns of the record, as far as they were measured."""
    taken = {
        (row["engine"], row["batch"], row["network"]): row["median_ms"]
        for row in rows
        if "median_ms" in row
    }

    def ms(batch: int, *networks: str, by: str = engine) -> float | None:
        """Milliseconds of the first of ``networks`` that was measured."""
        return next((taken[by, batch, n] for n in networks if (by, batch, n) in taken), None)

    few, many = batches[0], batches[-1]
    dense, dense_many = ms(few, DENSE), ms(many, DENSE)
    single = ms(few, f"{DENSE} {SINGLE}", by="onnxruntime")
    eight = ms(few, *(f"{kind} {EIGHT}" for kind in (SHRUNK, MASKED, DENSE)), by="onnxruntime")
    found = {
        "latency_ms": ms(few, SHRUNK, MASKED, DENSE),
        "latency_dense_ms": dense,
        "measured_speedup": _ratio(dense, ms(few, SHRUNK, MASKED)),
        "measured_speedup_batch": _ratio(dense_many, ms(many, SHRUNK, MASKED)),
        "masked_speedup_batch": _ratio(dense_many, ms(many, MASKED)),
        "quantized_latency_ms": eight,
        "quantized_speedup": _ratio(single, eight),
    }
    return {column: value for column, value in found.items() if value is not None}


def _ratio(before: float | None, after: float | None) -> float | None:
    return before / after if before is not None and after is not None else None
