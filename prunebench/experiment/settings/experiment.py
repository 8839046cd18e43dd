"""The whole grid, how its jobs run, and how its records are judged."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment import registry
from prunebench.experiment.settings.method import Method
from prunebench.experiment.settings.names import Count, Name, Seed, Share
from prunebench.experiment.settings.task import Regime, Task
from prunebench.experiment.settings.training import Model, Training
from prunebench.experiment.validation import Settings, validated
from prunebench.storage.layout import rule_name
from prunebench.storage.records import DENSE


class Compute(Settings):
    """How jobs run. Threads come from here, never from the machine, so that bits agree."""

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$")
    threads: int = Field(1, gt=0, le=1024)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    baselines_per_job: Count = 1
    curves_per_job: Count = Field(1, description="curves of one method that share a process")
    checkpoint_minutes: float = Field(
        10, ge=0, description="how often a training keeps its state on disk; 0: after every epoch"
    )
    keep: Literal["everything", "predictions", "records"] = Field(
        "everything",
        description="of pruned cells, once they are measured; predictions: all but the weights",
    )


class Prunable(Settings):
    """Which weights may be pruned, beyond convolutions, linear layers and embeddings."""

    head: bool = False
    exclude: list[str] = Field([], description="patterns of parameter names, e.g. '*.downsample.*'")


class Analysis(Settings):
    """How the records are judged: declared before the run, without influence on what is computed.

    Sizes are in points of test error.
    """

    primary: list[Name] = Field(
        [], description="the family of methods that Holm adjusts for; empty: all but the controls"
    )
    equivalence: float = Field(0.5, gt=0, description="± points: the region of equivalence")
    alpha: float = Field(0.05, gt=0, lt=1, description="level of significance")


class Probes(Settings):
    """What to look at the stored weights with, once they are there."""

    run: list[str] = Field(
        ["shrunk", "encoded"],
        description="shrunk, encoded, quantized; corruptions, distance, sharpness",
    )
    samples: Count = Field(250, description="images that a probe looks at")
    round_to: Count = Field(
        1, description="keep the channels of shrunk networks at a multiple of it"
    )
    baselines_per_job: Count = Field(
        6, description="all cells on which share a process, here and when they are measured"
    )

    @field_validator("run")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        return [registry.find("probe", name).name for name in dict.fromkeys(value)]


class Latency(Settings):
    """How long networks take, measured with nothing else on the machine; no engine, no times."""

    engines: list[str] = Field(
        [], description="eager, compile, onnxruntime, half, semi-structured; the first is shown"
    )
    batches: list[Annotated[int, Field(gt=0, le=65_536)]] = Field([1, 128], min_length=1)
    seeds: Count = Field(1, description="how many seeds' cells: times hang on sizes alone")
    repeats: Count = 30
    warm_up: int = Field(5, ge=0, le=1_000_000)

    @field_validator("engines")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        return [registry.find("engine", name).name for name in dict.fromkeys(value)]

    @field_validator("batches")
    @classmethod
    def _sorted(cls, value: list[int]) -> list[int]:
        return sorted(set(value))


class Experiment(Settings):
    """A grid: every method on every baseline at every sparsity."""

    experiment: Name
    tasks: list[Task] = Field(min_length=1)
    regimes: list[Regime] = Field(min_length=1)
    models: list[Model] = Field(min_length=1)
    seeds: list[Seed] = Field(min_length=1)
    methods: list[Method] = Field(min_length=1)
    sparsities: list[Share] = Field(min_length=1)
    training: Training = Training()
    compute: Compute = Compute()
    prunable: Prunable = Prunable()
    probes: Probes = Probes()
    latency: Latency = Latency()
    analysis: Analysis = Analysis()

    @field_validator("seeds", "sparsities")
    @classmethod
    def _unique_numbers(cls, values: list[Any]) -> list[Any]:
        # as a cell's folder is named: ten digits
        texts = [f"{value:.10g}" if isinstance(value, float) else str(value) for value in values]
        doubled = sorted({text for text in texts if texts.count(text) > 1})
        if doubled:
            raise ValueError(f"given more than once: {', '.join(doubled)}")
        return sorted(values)

    @field_validator("sparsities")
    @classmethod
    def _no_dense(cls, values: list[float]) -> list[float]:
        if 0 in values:
            raise ValueError("0 is the dense baseline, which every grid has: leave it out")
        return values

    @field_validator("tasks", "regimes", "models", "methods")
    @classmethod
    def _unique_names(cls, values: list[Any]) -> list[Any]:
        names = [value.name for value in values]
        # folders that ignore case, and rules of the DAG, know only letters and digits
        alike = [rule_name(name).casefold() for name in names]
        doubled = [name for name, key in zip(names, alike, strict=True) if alike.count(key) > 1]
        if len(set(doubled)) == 1:
            raise ValueError(f"named more than once: {doubled[0]}")
        if doubled:
            raise ValueError(f"named too much alike: {', '.join(doubled)}")
        if DENSE in names:
            raise ValueError(f"{DENSE!r} is the baseline's own name")
        return values

    @model_validator(mode="after")
    def _checked(self) -> Experiment:
        for model, regime in product(self.models, self.regimes):
            training = self.training_of(model, regime)
            for method in self.methods:
                _check_rewinding(method, training)
        names = [method.name for method in self.methods]
        for name in self.analysis.primary:
            if name not in names:
                raise PrunebenchError(
                    f"analysis: primary: no method {name!r}{suggest(name, names)}"
                )
        return self

    def training_of(self, model: Model, regime: Regime) -> Training:
        """The common training with what the model's entry changes, then the regime's."""
        given = self.training.model_dump()
        for kind, entry in (("models", model), ("regimes", regime)):
            given |= entry.training
            checked = validated(Training, given, f"{kind}: {entry.name}: training")
        return checked


def _check_rewinding(method: Method, training: Training) -> None:
    epoch = method.recovery.parameters.get("to_epoch", 0)
    if epoch and method.spec("schedule").trait("untrained", False):
        raise PrunebenchError(
            f"methods: {method.name}: schedule {method.schedule.name!r} trains from epoch 0: there"
            f" is no epoch {epoch} to go back to"
        )
    if epoch and epoch not in training.rewind_epochs:
        raise PrunebenchError(
            f"methods: {method.name}: recovery {method.recovery.name!r} goes back to epoch {epoch},"
            f" which is not kept: add it to training.rewind_epochs {training.rewind_epochs}"
        )
