"""Settings of a whole experiment, of how its jobs run, and of how its records are judged."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from prunebench.errors import PrunebenchError, shown, suggest
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import (
    Allocation,
    Criterion,
    Engine,
    Figure,
    Measure,
    Pattern,
    Probe,
    Recovery,
    Schedule,
    TaskKindTraits,
)
from prunebench.experiment.settings.method import Method
from prunebench.experiment.settings.names import Count, Length, Name, Seed, Share
from prunebench.experiment.settings.task import Regime, Task
from prunebench.experiment.settings.training import Model, Training
from prunebench.experiment.validation import Settings, validated
from prunebench.storage.layout import TAKEN, rule_name, sparsity_name
from prunebench.storage.records import ALL, COLUMNS, DENSE

MOST_SHOWN = 10  # seeds that a message writes out
MEASURED = "measured"  # of the multiple of channels: the fastest that is found
REGULAR = "re:"  # before a pattern of names that is a regular expression


class Compute(Settings):
    """How jobs run. Threads come from here, never from the machine, so that bits agree."""

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$")
    """Where to compute: auto (a GPU where there is one), cpu, cuda or cuda:<number>."""
    threads: int = Field(1, gt=0, le=1024)
    """CPU threads of each job. Another number may give other bits."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of training; auto: bfloat16 where instructions make it faster, else float32."""
    compile: bool = False
    """Whether to train with torch.compile: try it first, on one GPU it did not pay."""
    train_shrunk: bool = True
    """Whether recoveries train the network without its removed filters, heads and blocks."""
    baselines_per_job: Count = 1
    """Baselines of one task that are trained in one process."""
    curves_per_job: Count = 1
    """Curves of one method that are computed in one process."""
    checkpoint_minutes: float = Field(10, ge=0)
    """Minutes between two checkpoints of a training; 0: one after every epoch."""
    keep: Literal["everything", "predictions", "records"] = "everything"
    """Files of pruned cells that stay once they are measured; predictions: all but the weights."""


class Prunable(Settings):
    """Which weights may be pruned, of convolutions, linear and recurrent layers, embeddings."""

    head: bool = False
    """Whether the classifier is pruned, too."""
    exclude: list[str] = Field([])
    """Layers that are not pruned: names of weights or modules, with * or as re:…, e.g. 'conv1'."""
    classifier: list[str] = Field([])
    """Layers that are the classifier, named as in exclude; empty: the last before the outputs."""

    @field_validator("exclude", "classifier")
    @classmethod
    def _valid(cls, value: list[str]) -> list[str]:
        for pattern in value:
            if pattern.startswith(REGULAR):
                try:
                    re.compile(pattern.removeprefix(REGULAR))
                except re.error as error:
                    raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return value

    def settings(self) -> dict[str, Any]:
        """Return what decides masks: a classifier only where one is named."""
        return self.model_dump(exclude=None if self.classifier else {"classifier"})


class Calibration(Settings):
    """What criteria and allocations look at: samples of the calibration split, else of training."""

    samples: Count | None = None
    """Samples that are drawn; empty: 512 of training, or all of a task's calibration split."""
    batch_size: Count | None = None
    """Samples in a batch; empty: as many as in a training step."""

    def settings(self) -> dict[str, Any]:
        """Return what is set: what is not names no result."""
        return self.model_dump(exclude_none=True)


Tracker = Literal["mlflow", "tensorboard", "wandb"]


class Analysis(Settings):
    """How the records are judged: declared before the run; it changes nothing that is computed."""

    primary: list[Name] = Field([])
    """The methods whose p-values Holm's procedure adjusts; empty: all but the controls."""
    equivalence: float = Field(0.5, gt=0)
    """Half-width of the region of equivalence, in percentage points of test error."""
    alpha: float = Field(0.05, gt=0, lt=1)
    """Level of significance, and probability with which a sparsity is wrongly within tolerance."""
    tolerance: float = Field(1.0, gt=0, lt=100)
    """Points of error above dense up to which the largest sparsity is looked for."""

    def of_scores(self) -> dict[str, Any]:
        """Return what scores are judged by."""
        return self.model_dump(exclude={"tolerance"})


class Report(Settings):
    """What figures, tables and pages show: no cell is computed or judged otherwise."""

    highlight: list[Name] = Field([])
    """The methods that stand out, at every length of recovery, where the others are grey."""
    measures: list[str] = Field([])
    """Measures of one's own, each a column of cells.csv: file.py:function, or an entry point."""
    figures: list[str] = Field([])
    """Figures of one's own: file.py:function, or an entry point."""

    @field_validator("measures")
    @classmethod
    def _known_measures(cls, value: list[str]) -> list[str]:
        return [registry.find(Measure, name).name for name in dict.fromkeys(value)]

    @field_validator("figures")
    @classmethod
    def _known_figures(cls, value: list[str]) -> list[str]:
        return [registry.find(Figure, name).name for name in dict.fromkeys(value)]


class Probes(Settings):
    """Measurements of stored networks: size, compression, robustness, sharpness."""

    run: list[str] = Field(["shrunk", "encoded"])
    """Which probes to run: shrunk, encoded, quantized, corruptions, distance, sharpness, …"""
    samples: Count = 250
    """Images that a probe evaluates."""
    round_to: Count | Literal["measured"] = 1
    """Shrunk networks keep a multiple of this number of channels; measured: the fastest."""
    baselines_per_job: Count = 6
    """Baselines whose cells share a process, in probing and in measuring."""
    sensitivity: list[Method] = Field([])
    """Methods whose criterion and pattern prune each layer of the dense network alone."""

    @field_validator("run")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        return [registry.find(Probe, name).name for name in dict.fromkeys(value)]

    @field_validator("sensitivity")
    @classmethod
    def _alone(cls, value: list[Method]) -> list[Method]:
        names = [method.name for method in value]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"named more than once: {', '.join(doubled)}")
        for method in value:
            if why := _not_alone(method):
                raise ValueError(f"{method.name}: {why}")
        return value

    @property
    def finds_channels(self) -> bool:
        """Whether it is measured which multiple of channels is fastest."""
        return self.round_to == MEASURED

    def settings(self) -> dict[str, Any]:
        """Return what decides what is looked at: a sensitivity only where one is asked for."""
        return self.model_dump(exclude=None if self.sensitivity else {"sensitivity"})


def _not_alone(method: Method) -> str:
    """Return why a method cannot prune one layer of a trained network alone; empty where it can."""
    criterion, pattern = method.spec(Criterion), method.spec(Pattern)
    if method.first is not None:
        return "prunes in two parts, of which neither is the whole"
    if "training" in criterion.traits.needs:
        return f"criterion {criterion.name!r} adds its scores up in training, and none is done"
    if criterion.traits.compensates or criterion.traits.sweeps:
        return (
            f"criterion {criterion.name!r} changes the weights that stay, and the networks that are"
            " looked at have them as they are"
        )
    known = registry.find(Allocation, "budgeted").traits.patterns or ()
    if pattern.name not in known:
        return f"pattern {pattern.name!r} is not pruned layer by layer; {', '.join(known)} are"
    return ""


class Latency(Settings):
    """Inference times, measured while nothing else runs. Without engines none are measured."""

    engines: list[str] = Field([])
    """Any of eager, compile, onnxruntime, half, semi-structured; tables show the first's times."""
    batches: list[Annotated[int, Field(gt=0, le=65_536)]] = Field([1, 128], min_length=1)
    """Batch sizes, in samples."""
    seeds: Count = 1
    """Number of seeds whose cells are timed: times depend on sizes alone."""
    repeats: Count = 30
    """Timed passes, after those that warm up."""
    warm_up: int = Field(5, ge=0, le=1_000_000)
    """Passes before the timed ones."""

    @field_validator("engines")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        return [registry.find(Engine, name).name for name in dict.fromkeys(value)]

    @field_validator("batches")
    @classmethod
    def _sorted(cls, value: list[int]) -> list[int]:
        return sorted(set(value))


class Experiment(Settings):
    """An experiment: every method on every baseline at every sparsity."""

    experiment: Name
    """Name of the experiment: its results lie in results/<experiment>/."""
    tasks: list[Task] = Field(min_length=1)
    """Data sets with their splits: names of presets, or mappings that refine one."""
    regimes: list[Regime] = Field(min_length=1)
    """Conditions that provoke overfitting: names of presets, or mappings that refine one."""
    models: list[Model] = Field(min_length=1)
    """Networks: names of timm's, of our own, or mappings with further settings."""
    seeds: list[Seed] = Field(min_length=1)
    """Seeds: each trains a baseline of its own for every task, regime and model."""
    methods: list[Method] = Field(min_length=1)
    """Pruning methods: names of presets, or mappings that refine one or compose parts."""
    sparsities: list[Share] = Field(min_length=1)
    """Target sparsities: shares of the prunable weights to remove, above 0 and below 1."""
    recovery_lengths: list[Length] = Field([1], min_length=1)
    """Lengths of recovery, in times the declared epochs: 10 adds magnitude-10x to magnitude."""
    training: Training = Training()
    """How baselines are trained; a model's or a regime's own training settings go before."""
    compute: Compute = Compute()
    """How jobs run: device, threads, precision, what stays on disk."""
    prunable: Prunable = Prunable()
    """Which weights may be pruned."""
    calibration: Calibration = Calibration()
    """What criteria and allocations look at."""
    probes: Probes = Probes()
    """Measurements of stored networks."""
    latency: Latency = Latency()
    """How inference times are measured."""
    analysis: Analysis = Analysis()
    """How the records are judged."""
    report: Report = Report()
    """What figures, tables and pages show."""
    tracking: list[Tracker] = Field(["mlflow"])
    """Where the step `track` exports to: mlflow, tensorboard, wandb; the latter two are extras."""

    @field_validator("tracking")
    @classmethod
    def _each_tracker_once(cls, values: list[Tracker]) -> list[Tracker]:
        return list(dict.fromkeys(values))

    @field_validator("recovery_lengths")
    @classmethod
    def _with_the_declared(cls, values: list[float]) -> list[float]:
        if 1 not in values:
            raise ValueError("1, the declared length, must be one of them")
        return values

    @field_validator("seeds", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            some = list(range(value)) if 0 < value <= MOST_SHOWN else [0, 1, 2]
            raise ValueError(f"must be a list of seeds, e.g. {some}, found {shown(value)}")
        return value

    @field_validator("seeds", "sparsities", "recovery_lengths")
    @classmethod
    def _unique_numbers(cls, values: list[Any]) -> list[Any]:
        texts = [sparsity_name(v) if isinstance(v, float) else str(v) for v in values]
        doubled = sorted(text for text, count in Counter(texts).items() if count > 1)
        if doubled:
            raise ValueError(f"given more than once: {', '.join(doubled)}")
        return sorted(values)

    @field_validator("sparsities")
    @classmethod
    def _no_dense(cls, values: list[float]) -> list[float]:
        if 0 in values:
            raise ValueError("0 is the dense baseline, which every grid has: leave it out")
        return values

    @field_validator("experiment")
    @classmethod
    def _own_folder(cls, value: str) -> str:
        # beside the experiments' folders lie MLflow's store and the results that are shipped
        if value.casefold().startswith(TAKEN):
            raise ValueError(f"results/{value} is not an experiment's: choose another name")
        return value

    @field_validator("tasks", "regimes", "models", "methods")
    @classmethod
    def _unique_names(cls, values: list[Any]) -> list[Any]:
        names = [value.name for value in values]
        # folders that ignore case, and rules of the DAG, know only letters and digits
        alike = [rule_name(name).casefold() for name in names]
        counts = Counter(alike)
        doubled = [name for name, key in zip(names, alike, strict=True) if counts[key] > 1]
        if len(set(doubled)) == 1:
            raise ValueError(f"named more than once: {doubled[0]}")
        if doubled:
            raise ValueError(f"named too much alike: {', '.join(doubled)}")
        if DENSE in alike:
            raise ValueError(f"{DENSE!r} is the baseline's own name")
        if ALL in alike:
            raise ValueError(f"{ALL!r} is what the results of all are called: name it otherwise")
        return values

    @model_validator(mode="after")
    def _checked(self) -> Experiment:
        kinds = {task.kind: task.name for task in self.tasks}
        if len(kinds) > 1:
            (one, first), (other, second) = list(kinds.items())[:2]
            raise PrunebenchError(
                f"tasks: {first} is of kind {one}, {second} of kind {other}: their errors are"
                " different things, and no ranking mixes them; make an experiment of each kind"
            )
        if self.probes.finds_channels and not self.latency.engines:
            raise PrunebenchError(
                "probes: round_to: measured needs an engine to measure with: set latency: {engines:"
                " [eager]}, or a number"
            )
        kind = registry.find(TaskKindTraits, self.tasks[0].kind)
        known = kind.traits.noises
        for regime in self.regimes:
            if regime.noise not in known:
                raise PrunebenchError(
                    f"regimes: {regime.name}: noise {regime.noise!r}: kind {kind.name}"
                    f" knows {' and '.join(known)} alone"
                )
        for method in self.methods:
            if method.spec(Recovery).traits.distils and not kind.traits.distils:
                raise PrunebenchError(
                    f"methods: {method.name}: recovery {method.recovery.name!r} trains towards the"
                    f" dense network's outputs, and kind {kind.name} has no measure of how far"
                    " they are; recovery: fine-tuning needs none"
                )
        for model, regime in product(self.models, self.regimes):
            training = self.training_of(model, regime)
            if training.epochs == 0 and not model.loads:
                raise PrunebenchError(
                    f"models: {model.name}: epochs: 0 is for pretrained weights and one's"
                    " own; drawn ones know nothing"
                )
            for method in self.methods:
                _check_rewinding(method, training)
                _check_trains(method, training)
        _ = self.own_columns  # raises where two are named alike
        names = [method.name for method in self.methods]
        for where, named in (
            ("analysis: primary", self.analysis.primary),
            ("report: highlight", self.report.highlight),
        ):
            for name in named:
                if name not in names:
                    raise PrunebenchError(f"{where}: no method {name!r}{suggest(name, names)}")
        return self

    @property
    def own_columns(self) -> dict[str, str]:
        """Columns of cells.csv beside those of every experiment, each with the part that fills it.

        A measure of one's own has the column of its function's name; a probe those that it says.

        Raises:
            PrunebenchError: a column has the name of one that there is.
        """
        found: dict[str, str] = {}
        pairs: list[tuple[str, registry.Spec[Any]]] = []
        for probe in (registry.find(Probe, name) for name in self.probes.run):
            pairs += [(column, probe) for column in probe.traits.columns if column not in COLUMNS]
        for measure in (registry.find(Measure, name) for name in self.report.measures):
            pairs.append((measure.function, measure))
        for column, spec in pairs:
            if column in COLUMNS or column in found:
                raise PrunebenchError(
                    f"{spec.kind} {spec.name!r}: cells.csv has a column {column!r} already: give"
                    " it another name"
                )
            found[column] = spec.name
        return found

    def training_of(self, model: Model, regime: Regime) -> Training:
        """Return the common training settings, changed by the model's and then the regime's own.

        Args:
            model: a network of the experiment.
            regime: a regime of the experiment.

        Raises:
            PrunebenchError: a changed setting is unknown or out of range.
        """
        given = self.training.model_dump()
        for kind, entry in (("models", model), ("regimes", regime)):
            given |= entry.training
            checked = validated(Training, given, f"{kind}: {entry.name}: training")
        return checked


def _check_trains(method: Method, training: Training) -> None:
    if training.epochs:
        return
    lengths = {method.spec(Schedule).traits.length, method.spec(Recovery).traits.length}
    if "training" in lengths:
        raise PrunebenchError(
            f"methods: {method.name}: trains, and epochs: 0 allows no training as long as the"
            " baseline's; set recovery: fine-tuning or none, and a schedule that does not train"
        )
    own = method.recovery.parameters.get("epochs")
    if "recovery" in lengths and not (training.recovery_epochs or own):
        raise PrunebenchError(
            f"methods: {method.name}: trains, and epochs: 0 allows no training without"
            " recovery_epochs; set these, or recovery: none"
        )


def _check_rewinding(method: Method, training: Training) -> None:
    epoch = method.recovery.parameters.get("to_epoch", 0)
    if epoch and method.spec(Schedule).traits.untrained:
        raise PrunebenchError(
            f"methods: {method.name}: schedule {method.schedule.name!r} trains from epoch 0: there"
            f" is no epoch {epoch} to go back to"
        )
    if epoch and epoch not in training.rewind_epochs:
        raise PrunebenchError(
            f"methods: {method.name}: recovery {method.recovery.name!r} goes back to epoch {epoch},"
            f" which is not kept: add it to training.rewind_epochs {training.rewind_epochs}"
        )
